// The jobs of a Dag run taken together: how many, how far and how fast, which are slow, and why some failed.

import { usePolled } from "./api.js";
import { formatCount, formatDuration, formatNumber, formatRate, formatRows, jobSeconds, reason } from "./format.js";
import { TaskLink } from "./jobs_list.js";
import { Figures, StatusBadge, headed, locale, scrolled } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Box, Flex, Table, Text } = globalThis.ChakraUI;

// An error is told where the jobs are.
export function RunSummary({ dagId, runId }) {
  const { data } = usePolled("run", { dag_id: dagId, run_id: runId });
  const total = data ? all(data.counts) : 0;
  if (total < 2) return null;
  return h(
    Flex,
    { as: "section", "aria-label": "All jobs of this run", borderRadius: "md", borderWidth: "1px", direction: "column", gap: 4, mb: 4, p: 3 },
    h(Figures, {
      figures: [
        ["Jobs", formatNumber(total, locale()), statuses(data)],
        ["Rows", rows(data)],
        ["Speed of all", speed(data)],
        ["Node time", nodeTime(data), data.ran === 0 && "no job was seen to run"],
      ],
    }),
    h(Tasks, { tasks: data.tasks, leftOut: data.tasks_left_out }),
    h(
      Flex,
      { columnGap: 10, rowGap: 4, wrap: "wrap" },
      h(Slowest, { jobs: data.slowest, now: data.now }),
      h(Failed, { jobs: data.failed, more: data.counts.failed - data.failed.length, now: data.now }),
    ),
  );
}

function all(counts) {
  return Object.values(counts).reduce((sum, each) => sum + each, 0);
}

function statuses({ statuses, unconfirmed }) {
  const each = Object.entries(statuses).map(([status, count]) => `${formatNumber(count, locale())} ${status.replaceAll("_", " ") || "UNKNOWN"}`);
  return [...each, unconfirmed > 0 && `${formatNumber(unconfirmed, locale())} not confirmed`].filter(Boolean).join(" · ");
}

// No card tells of rows where Snowflake's own runtime scores them.
function rows(progress) {
  return progress.rows_total > 0 ? formatRows(progress, locale()) : "–";
}

function speed({ rows_per_second: rate }) {
  return rate > 0 ? formatRate(rate, locale()) : "–";
}

// A job that was refused, or of which nobody saw that it ran, has none.
function nodeTime({ ran, node_seconds: seconds }) {
  return ran === 0 ? "–" : formatDuration(seconds);
}

function Tasks({ tasks, leftOut }) {
  if (tasks.length + leftOut < 2) return null;
  const table = h(
    Table.Root,
    { "aria-label": "Jobs by task", size: "sm", width: "auto" },
    h(
      Table.Header,
      null,
      h(
        Table.Row,
        null,
        ["Task", "Jobs", "States", "Rows", "Speed", "Node time"].map((name) => h(Table.ColumnHeader, { key: name, scope: "col" }, name)),
      ),
    ),
    h(
      Table.Body,
      null,
      tasks.map((task) =>
        h(
          Table.Row,
          { key: task.task_id },
          [task.task_id, formatNumber(all(task.counts), locale()), statuses(task), rows(task), speed(task), nodeTime(task)].map(
            (cell, place) => h(Table.Cell, { key: place }, cell),
          ),
        ),
      ),
    ),
  );
  return h(
    Box,
    null,
    scrolled("Jobs by task", table),
    leftOut > 0 && h(Text, { color: "fg.muted", fontSize: "xs" }, `and ${formatCount(leftOut, "task", locale())} more`),
  );
}

function Slowest({ jobs, now }) {
  const lasted = jobs.filter((job) => jobSeconds(job, now) !== null);
  if (!lasted.length) return null;
  return headed(
    "h2",
    "Took longest",
    lines(lasted, (job) => h(Text, null, formatDuration(jobSeconds(job, now)))),
  );
}

function Failed({ jobs, more, now }) {
  if (!jobs.length) return null;
  return headed(
    "h2",
    "Failed or cancelled",
    lines(jobs, (job) => [
      h(StatusBadge, { key: "status", job, now }),
      h(Text, { key: "why", lineClamp: 3, maxW: "36rem", title: job.card.message, wordBreak: "break-word" }, reason(job.card.message)),
    ]),
    more > 0 && h(Text, { color: "fg.muted", fontSize: "xs" }, `and ${formatCount(more, "job", locale())} more, in the list below`),
  );
}

function lines(jobs, told) {
  return h(
    Flex,
    { as: "ul", direction: "column", fontSize: "sm", gap: 1, listStyleType: "none" },
    jobs.map((job) =>
      h(Flex, { key: `${job.task_id} ${job.map_index}`, align: "flex-start", as: "li", columnGap: 3, wrap: "wrap" }, h(TaskLink, { job }), told(job)),
    ),
  );
}
