// The tab "Batch job" of a task instance: everything that is known of its job.

import { Actions } from "./actions.js";
import { usePolled } from "./api.js";
import { Cost } from "./cost.js";
import { formatCount, formatDuration, formatNumber, reason, staleSeconds, statusLook, taskPath } from "./format.js";
import { CopyButton, Empty, EndOfText, ProgressBar, StatusBadge, SteadyButton, Time, Trouble, locale, progressTexts, section } from "./parts.js";
import { LastLines } from "./log.js";
import { Output } from "./output.js";
import { Replicas } from "./replicas.js";
import { Containers, EarlierTries } from "./containers_and_tries.js";
import { Throughput } from "./throughput.js";
import { Timeline } from "./timeline.js";

const { createElement: h } = globalThis.React;
const { Alert, Badge, Box, Button, Code, DataList, Flex, Heading, HStack, Link, Skeleton, Text } = globalThis.ChakraUI;
const { Link: RouterLink } = globalThis.ReactRouterDOM;

export function JobTab({ dagId, runId, taskId, mapIndex }) {
  const task = { dag_id: dagId, run_id: runId, task_id: taskId, map_index: mapIndex ?? -1 };
  const { data, error, refresh, at } = usePolled("job", task);
  return h(
    Box,
    { className: "snowflake-batch", p: 4, maxW: "64rem" },
    error && h(Trouble, { error, refresh }),
    !data && !error && h(Skeleton, { "aria-label": "Loading", height: "12rem" }),
    data && (data.job ? h(Job, { job: data.job, links: data.links, may: data.may, exampleRows: data.example_rows, cost: data.cost, now: at, refresh }) : h(NoJob)),
  );
}

function NoJob() {
  return h(
    Empty,
    { title: "No batch job" },
    "This try of the task has no Snowflake batch inference job yet. Tasks of RunBatchOperator show theirs here from the ",
    "moment that it is submitted, and why there is none if they fail before.",
  );
}

function Job({ job, links, may, exampleRows, cost, now, refresh }) {
  return h(
    Flex,
    { direction: "column", gap: 5 },
    h(Title, { job, links, now }),
    h(Actions, { job, may, refresh }),
    h(Stale, { job, now }),
    h(Notice, { job }),
    h(Rows, { job, now }),
    h(LastLines, { job }),
    h(Output, { job, exampleRows }),
    h(Timeline, { job, now }),
    h(Containers, { job }),
    h(EarlierTries, { job }),
    h(Cost, { cost }),
    h(Details, { job }),
  );
}

function Title({ job, links, now }) {
  const { card } = job;
  return h(
    Flex,
    { align: "center", gap: 3, wrap: "wrap" },
    h(StatusBadge, { job, now, size: "md" }),
    h(
      Heading,
      { as: "h2", size: "sm", wordBreak: "break-all" },
      card.job_name === "" ? "No job was submitted" : (card.job_name ?? "Unnamed job"),
    ),
    card.job_name && h(CopyButton, { value: card.job_name, label: "Copy the job's name" }),
    Object.entries(links).map(([name, url]) =>
      h(
        Button,
        { key: name, asChild: true, size: "xs", variant: "outline" },
        h("a", { href: url, rel: "noopener noreferrer", target: "_blank" }, `${name} ↗`),
      ),
    ),
    !links[SNOWSIGHT] && h(NoSnowsight, { job }),
  );
}

const SNOWSIGHT = "Snowsight job";

function NoSnowsight({ job }) {
  const why =
    job.card.job_name === "" ? "There is no job to open." : "The task has found no address for its job there; the local Snowflake has none.";
  return h(
    HStack,
    { gap: 2 },
    h(SteadyButton, { id: "batch-job-snowsight", idle: true, size: "xs", title: why }, `${SNOWSIGHT} ↗`),
    h(Text, { color: "fg.muted", fontSize: "xs" }, why),
  );
}

// Nobody looks at the job any more, though it may run.
function Stale({ job, now }) {
  const stale = staleSeconds(job, now);
  if (stale === null) return null;
  return h(
    Alert.Root,
    { role: "status", status: "warning" },
    h(Alert.Indicator),
    h(
      Alert.Content,
      null,
      h(Alert.Title, null, `Not confirmed for ${formatDuration(stale)}`),
      h(
        Alert.Description,
        null,
        "Nobody has looked at the job since: no triggerer or worker may be running, or they are overloaded, or they cannot ",
        "reach Snowflake. What stands here is what was seen last.",
      ),
    ),
  );
}

const HEADLINES = {
  REFUSED: "The job was refused",
  NOT_SUBMITTED: "No job was submitted",
  CANCELLED: "The job was cancelled",
  CANCELLING: "The job was cancelled",
};

// What went wrong, or why this may not be the last word.
function Notice({ job }) {
  const { message, status } = job.card;
  if (message) {
    const headline = HEADLINES[status?.toUpperCase()] ?? "The task failed";
    const why = reason(message);
    return h(
      Alert.Root,
      { alignItems: "flex-start", status: job.live ? "warning" : "error" },
      h(Alert.Indicator),
      h(
        Alert.Content,
        { minW: 0 },
        h(Alert.Title, null, job.live ? `${headline}, in the last try of the task` : headline),
        h(Text, { fontWeight: "semibold", wordBreak: "break-word" }, why),
        why !== message.trim() && h(EndOfText, { label: "The whole message", maxH: "24rem" }, message),
        h(Link, { asChild: true, fontSize: "sm", variant: "underline" }, h(RouterLink, { to: taskPath(job) }, "Log of the task")),
      ),
    );
  }
  if (job.live || !statusLook(job).unseen) return null;
  return h(
    Alert.Root,
    { status: "warning" },
    h(Alert.Indicator),
    h(Alert.Description, null, "The task has ended without seeing the end of the job. This is what it saw last."),
  );
}

function Rows({ job, now }) {
  if (job.card.job_name === "") return null;
  const { rows, percent, rate, left } = progressTexts(job, now);
  const phase = job.group === "active" ? job.card.progress?.phase : null;
  const { batch_rows: batch, first_bad_rows: bad } = job.card.progress ?? {};
  const batches = batch > 0 && `${formatCount(batch, "row", locale())} a call`;
  const figures = [rows, percent, rate, batches, left, phase].filter(Boolean);
  return section(
    "Progress",
    h(ProgressBar, { job, size: "md" }),
    figures.length
      ? h(
          Flex,
          { columnGap: 5, mt: 2, rowGap: 1, wrap: "wrap" },
          figures.map((text) => h(Text, { key: text }, text)),
        )
      : h(
          Text,
          { color: "fg.muted" },
          job.group === "active" ? "No rows reported yet. " : "No rows reported. ",
          "Snowflake's own runtime reports none; this package's worker does.",
        ),
    bad?.length > 0 && h(BadRows, { told: bad, all: job.card.progress.quarantined_rows }),
    h(Throughput, { job }),
    h(Replicas, { job }),
  );
}

function BadRows({ told, all }) {
  const more = typeof all === "number" && all > told.length;
  return h(
    Box,
    { fontSize: "sm", mt: 2 },
    h(Text, { color: "fg.muted" }, more ? "Set aside as bad, the first:" : "Set aside as bad:"),
    h(
      Box,
      { as: "ul", "aria-label": "Bad rows", listStyleType: "disc", ps: 5 },
      told.map((text) => h(Box, { key: text, as: "li", wordBreak: "break-word" }, text)),
    ),
  );
}

function Details({ job }) {
  const { card } = job;
  const { output_location: location } = card;
  const state = job.state ?? "none";
  const entries = [
    ["Model", card.model && h(Code, null, card.model)],
    ["Version", card.model && (card.version ? h(Code, null, card.version) : "the model's default")],
    ["Function", card.function && h(Code, null, card.function)],
    ["Compute pool", card.compute_pool && h(Code, null, card.compute_pool)],
    ["Instance family", card.instance_family && h(Code, null, card.instance_family)],
    ["Replicas", card.job_name !== "" && typeof card.replicas === "number" && formatNumber(card.replicas, locale())],
    ["Output", location && h(Location, { location })],
    ["Statement", card.job_name !== "" && h(Statement, { card })],
    ["Try of the task", typeof card.attempt === "number" && formatNumber(card.attempt, locale())],
    ["State of the task", h(Badge, { borderRadius: "full", colorPalette: state, px: 2, variant: "subtle" }, state)],
    ["Last confirmed", typeof card.updated_at === "number" && h(Time, { seconds: card.updated_at })],
  ].filter(([, value]) => value);
  return section(
    "Job",
    h(
      DataList.Root,
      { orientation: "horizontal", size: "sm" },
      entries.map(([name, value]) =>
        h(
          DataList.Item,
          { key: name },
          h(DataList.ItemLabel, { minW: "9rem" }, name),
          h(DataList.ItemValue, null, value),
        ),
      ),
    ),
  );
}

function Statement({ card: { statement, no_statement: why } }) {
  const label = "Copy the statement";
  const told = statement ? "To run it again, give it another NAME." : (why ?? "The task does not tell it.");
  return h(
    HStack,
    { gap: 2, wrap: "wrap" },
    statement
      ? h(CopyButton, { value: statement, label })
      : h(SteadyButton, { "aria-label": label, idle: true, size: "2xs", title: told }, "Copy"),
    h(Text, { color: "fg.muted", fontSize: "xs" }, told),
  );
}

function Location({ location }) {
  return h(
    HStack,
    { gap: 2, wrap: "wrap" },
    h(Code, { wordBreak: "break-all" }, location),
    h(CopyButton, { value: location, label: "Copy the output location" }),
  );
}
