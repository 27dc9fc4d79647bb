// Browse → Batch inference: the batch inference jobs of all Dags that the user may read.

import { ask, usePolled } from "./api.js";
import { formatDuration, formatNumber, jobSeconds, lastLine, shortName, taskName, taskPath } from "./format.js";
import { Empty, ProgressBar, StatusBadge, Time, Trouble, locale, progressTexts } from "./parts.js";

const { createElement: h, useEffect, useState } = globalThis.React;
const { Box, Button, Flex, Heading, HStack, Input, Link, NativeSelect, Skeleton, Spacer, Table, Text, VisuallyHidden } =
  globalThis.ChakraUI;
const { Link: RouterLink, useSearchParams } = globalThis.ReactRouterDOM;

const PAGE = 25;
const GROUPS = { "": "All jobs", active: "Running or waiting", done: "Done", failed: "Failed or cancelled" };
const COLUMNS = ["Status", "Task", "Progress", "Model", "Compute pool", "Submitted", "Duration", "Log"];

export function JobsPage() {
  const [asked, setAsked] = useSearchParams();
  const filter = Object.fromEntries(["group", "dag_id", "text"].map((name) => [name, asked.get(name) ?? ""]));
  const offset = Math.max(0, Number.parseInt(asked.get("offset") ?? "0", 10) || 0);
  const answer = usePolled("jobs", { ...filter, limit: PAGE, offset }, ({ jobs }) => jobs.some((job) => job.live));
  const { data, error, loading, refresh } = answer;

  const change = (changes) => {
    const next = { ...filter, offset: 0, ...changes };
    setAsked(Object.fromEntries(Object.entries(next).filter(([, value]) => value)), { replace: true });
  };
  const filtered = Object.values(filter).some(Boolean);

  return h(
    Box,
    { p: 2 },
    h(
      Flex,
      { align: "center", gap: 3, mb: 3, wrap: "wrap" },
      h(Heading, { as: "h1", size: "md" }, "Batch inference"),
      h(Spacer),
      h(Filters, { filter, change }),
      h(Refreshed, { at: answer.at, loading, refresh }),
    ),
    error && h(Trouble, { error, refresh }),
    !data && !error && h(Waiting),
    data?.jobs.length === 0 && h(NoJobs, { filtered, offset }),
    data?.jobs.length > 0 && h(JobsTable, { jobs: data.jobs, faded: loading, at: answer.at }),
    data && (offset > 0 || data.more) && h(Pages, { offset, more: data.more, shown: data.jobs.length, change }),
  );
}

function Filters({ filter, change }) {
  const dags = useDags();
  const known = filter.dag_id && !dags.includes(filter.dag_id) ? [...dags, filter.dag_id] : dags;
  return h(
    HStack,
    { as: "form", gap: 2, onSubmit: (event) => event.preventDefault(), role: "search", wrap: "wrap" },
    h(Choice, {
      label: "Status",
      options: Object.entries(GROUPS),
      value: filter.group,
      choose: (group) => change({ group }),
    }),
    h(Choice, {
      label: "Dag",
      options: [["", "All Dags"], ...known.map((id) => [id, id])],
      value: filter.dag_id,
      choose: (dag_id) => change({ dag_id }),
    }),
    h(Search, { text: filter.text, search: (text) => change({ text }) }),
  );
}

function useDags() {
  const [dags, setDags] = useState([]);
  useEffect(() => {
    const controller = new AbortController();
    // Without it the list of Dags is empty; what is wrong is told where the jobs are.
    ask("dags", {}, controller.signal).then(
      ({ dags }) => setDags(dags),
      () => {},
    );
    return () => controller.abort("over");
  }, []);
  return dags;
}

function Choice({ label, options, value, choose }) {
  return h(
    NativeSelect.Root,
    { size: "sm", width: "auto", minW: "9rem", maxW: "16rem" },
    h(
      NativeSelect.Field,
      { "aria-label": label, value, onChange: (event) => choose(event.target.value) },
      options.map(([key, text]) => h("option", { key, value: key }, text)),
    ),
    h(NativeSelect.Indicator),
  );
}

function Search({ text, search }) {
  const [typed, setTyped] = useState(text);
  useEffect(() => setTyped(text), [text]);
  useEffect(() => {
    if (typed === text) return undefined;
    const timer = setTimeout(() => search(typed), 400);
    return () => clearTimeout(timer);
  }, [typed]);
  return h(Input, {
    "aria-label": "Search for a Dag, run, task, job, model or compute pool",
    maxLength: 250,
    onChange: (event) => setTyped(event.target.value),
    placeholder: "Dag, run, task, job, model, pool",
    size: "sm",
    type: "search",
    value: typed,
    width: "16rem",
  });
}

function Refreshed({ at, loading, refresh }) {
  return h(
    HStack,
    { gap: 2 },
    at && h(Text, { color: "fg.muted", fontSize: "xs" }, "as of ", h(Time, { seconds: at })),
    h(Button, { disabled: loading, onClick: refresh, size: "sm", variant: "outline" }, "Refresh"),
  );
}

function JobsTable({ jobs, faded, at }) {
  return h(
    Table.ScrollArea,
    { borderRadius: "md", borderWidth: "1px", opacity: faded ? 0.6 : 1 },
    h(
      Table.Root,
      { size: "sm", interactive: true },
      h(VisuallyHidden, { as: "caption" }, "Batch inference jobs, the newest first"),
      h(
        Table.Header,
        null,
        h(
          Table.Row,
          null,
          COLUMNS.map((name) => h(Table.ColumnHeader, { key: name, scope: "col" }, name)),
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

function JobRow({ job, now }) {
  const { card } = job;
  return h(
    Table.Row,
    null,
    h(Table.Cell, null, h(StatusBadge, { job })),
    h(
      Table.Cell,
      null,
      h(
        Link,
        { asChild: true, color: "fg.info", fontWeight: "semibold" },
        h(RouterLink, { to: taskPath(job, "/plugin/snowflake-batch-job") }, `${job.dag_id} · ${taskName(job)}`),
      ),
      h(Muted, { title: "Dag run" }, job.run_id),
    ),
    h(Table.Cell, { minW: "14rem" }, h(ProgressCell, { job })),
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
        h(Muted, null, `${formatNumber(card.replicas, locale())} ${card.replicas === 1 ? "replica" : "replicas"}`),
    ),
    h(Table.Cell, null, h(Time, { seconds: card.submitted_at })),
    h(Table.Cell, { whiteSpace: "nowrap" }, formatDuration(jobSeconds(job, now))),
    h(
      Table.Cell,
      null,
      h(
        Link,
        { asChild: true, color: "fg.info" },
        h(
          RouterLink,
          { "aria-label": `Log of ${taskName(job)} of ${job.dag_id}, ${job.run_id}`, to: taskPath(job) },
          "Log",
        ),
      ),
    ),
  );
}

function ProgressCell({ job }) {
  const { message } = job.card;
  const why = lastLine(message);
  if (job.group === "failed" && why) {
    return h(Text, { lineClamp: 2, maxW: "16rem", title: message, wordBreak: "break-word" }, why);
  }
  const { rows, percent, rate, left } = progressTexts(job);
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

function NoJobs({ filtered, offset }) {
  if (offset > 0) return h(Empty, { title: "No older jobs" }, "The jobs of this page are gone. Go back to newer ones.");
  if (filtered) return h(Empty, { title: "No job matches" }, "Change or remove a filter to see more jobs.");
  return h(
    Empty,
    { title: "No batch inference jobs yet" },
    "Each task of RunBatchOperator appears here once it has submitted its job, if you may read its Dag.",
  );
}

function Waiting() {
  return h(
    Box,
    { "aria-busy": true, "aria-label": "Loading" },
    [1, 2, 3].map((key) => h(Skeleton, { key, height: 10, mb: 2 })),
  );
}

function Pages({ offset, more, shown, change }) {
  const first = formatNumber(offset + 1, locale());
  const last = formatNumber(offset + shown, locale());
  return h(
    HStack,
    { as: "nav", "aria-label": "Pages", gap: 3, justify: "flex-end", mt: 3 },
    shown > 0 && h(Text, { color: "fg.muted", fontSize: "sm" }, `${first} to ${last}`),
    h(
      Button,
      {
        disabled: offset === 0,
        onClick: () => change({ offset: Math.max(0, offset - PAGE) }),
        size: "sm",
        variant: "outline",
      },
      "Newer",
    ),
    h(
      Button,
      { disabled: !more, onClick: () => change({ offset: offset + PAGE }), size: "sm", variant: "outline" },
      "Older",
    ),
  );
}
