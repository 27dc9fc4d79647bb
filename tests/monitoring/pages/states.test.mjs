// The pages of jobs that did not run as they should, or that wait: how they look in a real browser.

import { test } from "node:test";
import { useBrowser } from "./chromium.mjs";
import { holdLook } from "./look.mjs";

const RUNS = JSON.parse(process.env.PAGES_RUNS);
const LIST = "/plugin/snowflake-batch-jobs";
const tab = (name) => `/dags/salaries/runs/${RUNS[name]}/tasks/score/plugin/snowflake-batch-job`;
// What each page shows once it is there.
const PAGES = {
  "stale jobs in the list": [`${LIST}?dag_id=salaries&group=active`, "not confirmed for 1 h"],
  "refused jobs in the list": [`${LIST}?text=refused`, "The compute pool NOWHERE does not exist."],
  "a list of nothing": [`${LIST}?text=nothing+of+it`, "No job matches"],
  "a filter that is refused": [`${LIST}?text=a%00b`, "The filter is not valid."],
  waits: [`/dags/scores/runs/${RUNS.mapped}/tasks/parts/mapped/0/plugin/snowflake-batch-job`, "What it waits for: No node is free yet."],
  stale: [tab("stale"), "Not confirmed for 1 h"],
  refused: [tab("refused"), "The job was refused"],
  cancelled: [tab("cancelled"), "The job was cancelled"],
};

const { open } = useBrowser();

for (const [name, page] of Object.entries(PAGES)) {
  for (const theme of ["light", "dark"]) {
    test(`${name}, ${theme}, made narrower: nothing is cut off, and axe finds nothing`, async () => {
      const shown = await open(page, { theme, width: 1_440 });
      await holdLook(shown, { name, theme, width: 1_440 });
      await shown.setViewportSize({ width: 400, height: 900 });
      await holdLook(shown, { name, theme, width: 400 });
    });
  }
}
