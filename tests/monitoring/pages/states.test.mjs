// The pages of jobs that did not run as they should, or that wait: how they look in a real browser.

import { test } from "node:test";
import { useBrowser } from "./chromium.mjs";
import { holdLook } from "./look.mjs";

const RUNS = JSON.parse(process.env.PAGES_RUNS);
const LIST = "/plugin/snowflake-batch-jobs";
const tab = (name) => `/dags/salaries/runs/${RUNS[name]}/tasks/score/plugin/snowflake-batch-job`;
// What each page shows once it is there. One has two sentences, and so less for axe to look at.
const PAGES = {
  "stale jobs in the list": [`${LIST}?dag_id=salaries&group=active`, "not confirmed for 1 h"],
  "refused jobs in the list": [`${LIST}?text=refused`, "The compute pool NOWHERE does not exist."],
  "a list of nothing": [`${LIST}?text=nothing+of+it`, "No job matches"],
  "a filter that is refused": [`${LIST}?text=a%00b`, "The filter is not valid."],
  waits: [`/dags/scores/runs/${RUNS.mapped}/tasks/parts/mapped/0/plugin/snowflake-batch-job`, "What it waits for: a node of the compute pool (No node is free yet.)"],
  stale: [tab("stale"), "Not confirmed for 1 h"],
  refused: [tab("refused"), "The job was refused"],
  "no job": [`/dags/scores/runs/${RUNS.running}/tasks/other/plugin/snowflake-batch-job`, "No batch job", { rules: 2 }],
  "a run without jobs": [`/dags/salaries/runs/${RUNS.nothing}/plugin/snowflake-batch-run-jobs`, "No task of this run has a batch inference job yet."],
  cancelled: [tab("cancelled"), "The job was cancelled"],
};

const { open } = useBrowser();

for (const [name, [address, text, more]] of Object.entries(PAGES)) {
  for (const theme of ["light", "dark"]) {
    test(`${name}, ${theme}, made narrower: nothing is cut off, and axe finds nothing`, async () => {
      const shown = await open([address, text], { theme, width: 1_440 });
      await holdLook(shown, { name, theme, width: 1_440, ...more });
      await shown.setViewportSize({ width: 400, height: 900 });
      await holdLook(shown, { name, theme, width: 400, ...more });
    });
  }
}

for (const theme of ["light", "dark"]) {
  test(`the question before a job is cancelled, ${theme}: nothing is cut off, and axe finds nothing`, async () => {
    const shown = await open(PAGES.stale, { theme, width: 1_440 });
    await shown.getByRole("button", { name: "Cancel job", exact: true }).click();
    await shown.getByRole("button", { name: "Yes: Cancel job" }).waitFor();
    await holdLook(shown, { name: "question", theme, width: 1_440 });
  });
}
