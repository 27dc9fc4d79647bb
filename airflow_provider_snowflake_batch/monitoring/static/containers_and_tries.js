// What the containers of a job report, and how the tries before this one have ended.

import { formatDuration, formatNumber, reason } from "./format.js";
import { Time, locale, scrolled, section } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Table, Text } = globalThis.ChakraUI;

// What a process ends with that a signal has ended.
const SIGNALS = { 137: "killed, as for want of memory", 143: "told to end" };

export function Containers({ job }) {
  const { containers } = job.card;
  if (!containers?.length) return null;
  return section(
    "Containers",
    h(Lines, {
      label: "Containers",
      heads: ["Replica", "Status", "Message", "Exit code", "Restarts", "Container"],
      lines: containers.map(({ replica, name, status, exit_code: code, restarts, message }) => [
        formatNumber(replica, locale()),
        status ?? "–",
        message ? h(Long, null, message) : "–",
        typeof code === "number" ? [String(code), SIGNALS[code]].filter(Boolean).join(": ") : "–",
        formatNumber(restarts, locale()),
        name ?? "–",
      ]),
    }),
  );
}

export function EarlierTries({ job }) {
  const { earlier_tries: tries } = job.card;
  if (!tries?.length) return null;
  return section(
    "Earlier tries",
    h(Lines, {
      label: "Earlier tries",
      heads: ["Try", "Why", "Status", "Ended", "Took", "Rows", "Job"],
      lines: tries.map((one) => [
        formatNumber(one.attempt, locale()),
        one.message ? h(Long, { title: one.message }, reason(one.message)) : "–",
        one.status?.replaceAll("_", " ") ?? "–",
        typeof one.ended_at === "number" ? h(Time, { seconds: one.ended_at }) : "–",
        one.job_name ? h("span", { style: { whiteSpace: "nowrap" } }, formatDuration(one.ended_at - one.submitted_at)) : "–",
        rows(one),
        one.job_name || "–",
      ]),
    }),
  );
}

function rows({ rows_done: done, rows_reused: reused }) {
  const kept = reused > 0 ? ` (${formatNumber(reused, locale())} kept)` : "";
  return `${formatNumber(done, locale())}${kept}`;
}

function Lines({ label, heads, lines }) {
  return scrolled(
    label,
    h(
      Table.Root,
      { "aria-label": label, size: "sm", width: "auto" },
      h(
        Table.Header,
        null,
        h(
          Table.Row,
          null,
          heads.map((name) => h(Table.ColumnHeader, { key: name, scope: "col" }, name)),
        ),
      ),
      h(
        Table.Body,
        null,
        lines.map((cells, line) =>
          h(
            Table.Row,
            { key: line },
            cells.map((cell, place) => h(Table.Cell, { key: heads[place], verticalAlign: "top" }, cell)),
          ),
        ),
      ),
    ),
  );
}

function Long({ children, ...more }) {
  return h(Text, { maxW: "30rem", minW: "12rem", wordBreak: "break-word", ...more }, children);
}
