// The batch inference jobs of all Dags that the user may read (Browse → Batch inference), or those of one Dag run.

import { ask, usePolled } from "./api.js";
import { makeFilter } from "./filter.js";
import { formatCount, formatNumber } from "./format.js";
import { JobsList } from "./jobs_list.js";
import { Overview } from "./overview.js";
import { RunSummary } from "./run_summary.js";
import { Empty, SteadyButton, Time, Trouble, locale } from "./parts.js";

const { createElement: h, useEffect, useState } = globalThis.React;
const { Box, Flex, Heading, HStack, Input, NativeSelect, Skeleton, Spacer, Text } = globalThis.ChakraUI;

const PAGE = 25;
const GROUPS = { active: "Running or waiting", done: "Done", failed: "Failed or cancelled" };
const useJobsFilter = makeFilter();
const useRunFilter = makeFilter();

export function JobsPage() {
  return h(Jobs, {
    useFilter: useJobsFilter,
    scope: {},
    title: "Batch inference",
    dags: true,
    top: ({ dag_id }) => h(Overview, { dagId: dag_id }),
  });
}

// The tab of a Dag run.
export function RunTab({ dagId, runId }) {
  return h(Jobs, {
    useFilter: useRunFilter,
    scope: { dag_id: dagId, run_id: runId },
    title: "Batch jobs of this run",
    top: () => h(RunSummary, { dagId, runId }),
  });
}

// top: what stands above the list while there are jobs, by what is chosen.
function Jobs({ useFilter, scope, title, dags, top }) {
  const filter = useFilter();
  const { settled, change } = filter;
  const asked = { ...settled, ...scope, limit: PAGE };
  const answer = usePolled("jobs", asked);
  const { data, error, loading, refresh } = answer;
  const chosen = settled.group || settled.text || (dags && settled.dag_id);
  const beyond = settled.after || settled.before;
  const sorted = { sort: settled.sort, reverse: settled.reverse === "true", change };

  return h(
    Box,
    { className: "snowflake-batch", p: 2 },
    h(
      Flex,
      { align: "center", gap: 3, mb: 3, wrap: "wrap" },
      h(Heading, { as: "h1", size: "md" }, title),
      h(Spacer),
      h(Refreshed, { at: answer.at, loading, refresh }),
    ),
    (data?.jobs.length > 0 || chosen) && top(settled),
    h(
      Flex,
      { align: "center", gap: 3, mb: 3, wrap: "wrap" },
      data?.counts && h(Counts, { counts: data.counts }),
      h(Spacer),
      h(Filters, { filter, counts: data?.counts, dags }),
    ),
    error && h(Trouble, { error, refresh }),
    !data && !error && h(Waiting),
    data?.jobs.length === 0 && h(NoJobs, { chosen, beyond, inRun: !dags }),
    data?.jobs.length > 0 && h(JobsList, { jobs: data.jobs, faded: loading, at: answer.at, ...sorted }),
    data && (beyond || data.older) && h(Pages, { data, change }),
  );
}

function Counts({ counts }) {
  const total = Object.values(counts).reduce((sum, each) => sum + each, 0);
  const each = Object.keys(GROUPS).filter((group) => counts[group]);
  const parts = each.map((group) => `${formatNumber(counts[group], locale())} ${GROUPS[group].toLowerCase()}`);
  return h(
    Text,
    { color: "fg.muted", fontSize: "sm", role: "status" },
    [formatCount(total, "job", locale()), parts.join(" · ")].filter(Boolean).join(": "),
  );
}

function Filters({ filter, counts, dags }) {
  const { draft, change, type, settle } = filter;
  const groups = Object.entries(GROUPS).map(([group, text]) => [
    group,
    counts ? `${text} (${formatNumber(counts[group], locale())})` : text,
  ]);
  return h(
    HStack,
    {
      as: "form",
      gap: 2,
      onSubmit: (event) => {
        event.preventDefault();
        settle();
      },
      role: "search",
      wrap: "wrap",
    },
    h(Choice, {
      id: "batch-jobs-status",
      label: "Status",
      options: [["", "All jobs"], ...groups],
      value: draft.group,
      choose: (group) => change({ group }),
    }),
    dags && h(Dags, { chosen: draft.dag_id, choose: (dag_id) => change({ dag_id }) }),
    h(Input, {
      "aria-label": "Search for a Dag, run, task, job, status, model, version, compute pool or error",
      id: "batch-jobs-text",
      maxLength: 250,
      onChange: (event) => type(event.target.value),
      placeholder: "Dag, run, task, job, model, error",
      size: "sm",
      type: "search",
      value: draft.text,
      width: "16rem",
    }),
  );
}

function Dags({ chosen, choose }) {
  const dags = useDags();
  const known = chosen && !dags.includes(chosen) ? [...dags, chosen] : dags;
  const options = [["", "All Dags"], ...known.map((id) => [id, id])];
  return h(Choice, { id: "batch-jobs-dag", label: "Dag", options, value: chosen, choose });
}

function useDags() {
  const [dags, setDags] = useState([]);
  useEffect(() => {
    const controller = new AbortController();
    // Without it the list of Dags is empty; what is wrong is told where the jobs are.
    ask("dags", {}, controller.signal).then(
      ({ data }) => setDags(data.dags),
      () => {},
    );
    return () => controller.abort("over");
  }, []);
  return dags;
}

function Choice({ id, label, options, value, choose }) {
  return h(
    NativeSelect.Root,
    { size: "sm", width: "auto", minW: "9rem", maxW: "16rem" },
    h(
      NativeSelect.Field,
      { "aria-label": label, id, value, onChange: (event) => choose(event.target.value) },
      options.map(([key, text]) => h("option", { key, value: key }, text)),
    ),
    h(NativeSelect.Indicator),
  );
}

function Refreshed({ at, loading, refresh }) {
  return h(
    HStack,
    { gap: 2 },
    at && h(Text, { color: "fg.muted", fontSize: "xs" }, "as of ", h(Time, { seconds: at })),
    h(SteadyButton, { id: "batch-jobs-refresh", idle: loading, onClick: refresh }, "Refresh"),
  );
}

function NoJobs({ chosen, beyond, inRun }) {
  if (beyond) return h(Empty, { title: "No more jobs" }, "The jobs of this page are gone. Go back to the others.");
  if (chosen) return h(Empty, { title: "No job matches" }, "Change or remove a filter to see more jobs.");
  if (inRun) return h(Empty, { title: "No batch inference jobs" }, "No task of this run has a batch inference job yet.");
  return h(
    Empty,
    { title: "No batch inference jobs yet" },
    "Each task of RunBatchOperator appears here once it has submitted its job, or has failed before, if you may read its Dag.",
  );
}

function Waiting() {
  return h(
    Box,
    { "aria-busy": true, "aria-label": "Loading", role: "status" },
    [1, 2, 3].map((key) => h(Skeleton, { key, height: 10, mb: 2 })),
  );
}

function Pages({ data, change }) {
  const turn = (way, place) => change({ [way]: place });
  return h(
    HStack,
    { as: "nav", "aria-label": "Pages", gap: 3, justify: "flex-end", mt: 3 },
    h(SteadyButton, { id: "batch-jobs-first", idle: !data.newer, onClick: () => turn("after", "") }, "First"),
    h(
      SteadyButton,
      { id: "batch-jobs-newer", idle: !data.newer, onClick: () => turn("before", data.newer) },
      "Previous",
    ),
    h(SteadyButton, { id: "batch-jobs-older", idle: !data.older, onClick: () => turn("after", data.older) }, "Next"),
  );
}
