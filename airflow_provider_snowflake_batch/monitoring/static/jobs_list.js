// Jobs as a table, or one below the other where that has no room.

import { formatCount, formatDuration, jobSeconds, reason, shortName, taskName, taskPath } from "./format.js";
import { ProgressBar, StatusBadge, Time, locale, progressTexts } from "./parts.js";

const { createElement: h, useLayoutEffect, useRef, useState } = globalThis.React;
const { Box, Button, Flex, Link, Table, Text, VisuallyHidden } = globalThis.ChakraUI;
const { Link: RouterLink } = globalThis.ReactRouterDOM;

const NARROW = "(max-width: 48rem)";
const NARROW_PLACE = 768;
// Each column's name and, if jobs can be sorted by it, the sort and which way that goes.
const COLUMNS = [
  ["Status", "status", "ascending"],
  ["Task", "task", "ascending"],
  ["Progress"],
  ["Model", "model", "ascending"],
  ["Compute pool", "pool", "ascending"],
  ["Submitted", "submitted", "descending"],
  ["Duration", "duration", "descending"],
  ["Log"],
];
const PLAIN = { color: "inherit", font: "inherit", h: "auto", minW: 0, px: 0, variant: "plain" };
const OTHER_WAY = { ascending: "descending", descending: "ascending" };

export function JobsList({ jobs, faded, at, ...sorted }) {
  const place = useRef(null);
  const narrow = useNarrow(place);
  return h(Box, { ref: place, opacity: faded ? 0.6 : 1 }, h(narrow ? Cards : JobsTable, { jobs, at, ...sorted }));
}

// The window may be narrow, or in a wide one the panel that Airflow shows a Dag run in.
function useNarrow(place) {
  const [narrow, setNarrow] = useState(() => globalThis.matchMedia(NARROW).matches);
  useLayoutEffect(() => {
    const window = globalThis.matchMedia(NARROW);
    const look = () => {
      const width = place.current?.clientWidth;
      setNarrow(window.matches || (width > 0 && width < NARROW_PLACE));
    };
    look();
    const room = new ResizeObserver(look);
    room.observe(place.current);
    window.addEventListener("change", look);
    return () => {
      room.disconnect();
      window.removeEventListener("change", look);
    };
  }, [place]);
  return narrow;
}

function JobsTable({ jobs, at, sort, reverse, change }) {
  return h(
    Table.ScrollArea,
    { borderRadius: "md", borderWidth: "1px" },
    h(
      Table.Root,
      { size: "sm", interactive: true },
      h(VisuallyHidden, { as: "caption" }, "Batch inference jobs"),
      h(
        Table.Header,
        null,
        h(
          Table.Row,
          null,
          COLUMNS.map(([name, by, way]) => h(Header, { key: name, name, by, way, sort, reverse, change })),
        ),
      ),
      h(
        Table.Body,
        null,
        jobs.map((job) => h(JobRow, { key: taskPath(job), job, now: at })),
      ),
    ),
  );
}

function Header({ name, by, way, sort, reverse, change }) {
  if (!by) return h(Table.ColumnHeader, { scope: "col" }, name);
  const chosen = sort === by;
  const shown = chosen ? (reverse ? OTHER_WAY[way] : way) : undefined;
  // The third time leads back: what runs first, then the newest.
  const next = !chosen ? { sort: by, reverse: "" } : reverse ? { sort: "", reverse: "" } : { sort: by, reverse: "true" };
  return h(
    Table.ColumnHeader,
    { "aria-sort": shown, scope: "col" },
    h(
      Button,
      { ...PLAIN, id: `batch-jobs-by-${by}`, onClick: () => change(next) },
      name,
      shown && h("span", { "aria-hidden": true }, shown === "ascending" ? "▲" : "▼"),
    ),
  );
}

function Cards({ jobs, at }) {
  return h(
    Flex,
    { as: "ul", "aria-label": "Batch inference jobs", direction: "column", gap: 3, listStyleType: "none" },
    jobs.map((job) => h(Card, { key: taskPath(job), job, now: at })),
  );
}

function Card({ job, now }) {
  const { card } = job;
  const figures = [
    [shortName(card.model), card.version].filter(Boolean).join(" "),
    card.compute_pool,
    typeof card.replicas === "number" && card.job_name !== "" && formatCount(card.replicas, "replica", locale()),
    formatDuration(jobSeconds(job, now)),
  ].filter((text) => text && text !== "–");
  return h(
    Box,
    { as: "li", borderRadius: "md", borderWidth: "1px", p: 3 },
    h(
      Flex,
      { align: "flex-start", gap: 2, justify: "space-between", mb: 1 },
      h(Box, { minW: 0 }, h(TaskLink, { job })),
      h(StatusBadge, { job, now }),
    ),
    h(Muted, { title: "Dag run" }, job.run_id),
    h(Box, { my: 2 }, h(ProgressCell, { job, now })),
    h(Text, { color: "fg.muted", fontSize: "xs", wordBreak: "break-word" }, figures.join(" · ")),
    h(
      Flex,
      { fontSize: "xs", justify: "space-between", mt: 1 },
      h(Time, { seconds: card.submitted_at }),
      h(LogLink, { job }),
    ),
  );
}

export function TaskLink({ job }) {
  return h(
    Link,
    { asChild: true, color: "fg.info", fontWeight: "semibold", wordBreak: "break-word" },
    h(RouterLink, { to: taskPath(job, "/plugin/snowflake-batch-job") }, `${job.dag_id} · ${taskName(job)}`),
  );
}

function LogLink({ job }) {
  return h(
    Link,
    { asChild: true, color: "fg.info" },
    h(
      RouterLink,
      { "aria-label": `Log of ${taskName(job)} of ${job.dag_id}, ${job.run_id}`, to: taskPath(job) },
      "Log",
    ),
  );
}

function JobRow({ job, now }) {
  const { card } = job;
  return h(
    Table.Row,
    null,
    h(Table.Cell, null, h(StatusBadge, { job, now })),
    h(
      Table.Cell,
      null,
      h(TaskLink, { job }),
      h(Muted, { title: "Dag run" }, job.run_id),
    ),
    h(Table.Cell, { minW: "14rem" }, h(ProgressCell, { job, now })),
    h(
      Table.Cell,
      null,
      h(Cut, { maxW: "9rem", title: card.model ?? undefined }, shortName(card.model)),
      card.version && h(Muted, null, card.version),
    ),
    h(
      Table.Cell,
      null,
      h(Cut, { maxW: "9rem" }, card.compute_pool ?? "–"),
      typeof card.replicas === "number" &&
        card.job_name !== "" &&
        h(Muted, null, formatCount(card.replicas, "replica", locale())),
    ),
    h(Table.Cell, null, h(Time, { seconds: card.submitted_at })),
    h(Table.Cell, { whiteSpace: "nowrap" }, formatDuration(jobSeconds(job, now))),
    h(Table.Cell, null, h(LogLink, { job })),
  );
}

function ProgressCell({ job, now }) {
  const { message } = job.card;
  const why = reason(message);
  if (job.group === "failed" && why) {
    return h(Text, { lineClamp: 3, maxW: "24rem", title: message, wordBreak: "break-word" }, why);
  }
  const { rows, percent, rate, left } = progressTexts(job, now);
  const first = [rows, percent].filter(Boolean).join(" · ");
  const second = [rate, left].filter(Boolean).join(" · ");
  if (!first) return h(Text, { color: "fg.muted" }, job.group === "active" ? "no rows reported yet" : "–");
  return h(
    Box,
    null,
    h(ProgressBar, { job }),
    h(Text, { fontSize: "sm", mt: 1 }, first),
    second && h(Muted, null, second),
  );
}

function Cut({ children, ...more }) {
  return h(Text, { maxW: "14rem", truncate: true, title: children, ...more }, children);
}

function Muted({ children, ...more }) {
  return h(
    Text,
    { color: "fg.muted", fontSize: "xs", maxW: "14rem", truncate: true, title: children, ...more },
    children,
  );
}
