// What the pages tell of many jobs together: the overview above the list, and the jobs of a Dag run.

import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, jobs, list, screen, show, userEvent, waitFor, within } from "./host.mjs";

const { running, done, mapped, overview, together, together_refused: refused } = jobs;
const props = { dagId: "scores", runId: running.run_id };
const figures = (where) =>
  Object.fromEntries([...within(where).getAllByRole("term")].map((term) => [term.textContent, term.nextSibling.textContent]));

test("the overview tells what runs and how the last days were", async () => {
  await show("Batch inference", { ...list([running]), overview });
  const shown = await screen.findByRole("region", { name: "Overview" });
  assert.deepEqual(figures(shown), {
    "Running now": "3",
    "Speed of all": "26,543 rows/s",
    "Failed or cancelled in 24 hours": "4",
    "Node-hours in 7 days": "4.5",
  });
  assert.ok(shown.textContent.includes("2 waiting · 1 not confirmed"));
  assert.ok(shown.textContent.includes("2,103 jobs ended in 7 days"));
  const days = within(shown).getByRole("img").getAttribute("aria-label");
  assert.match(days, /Monday, October 26: 600 done, 0 failed or cancelled, 6 node-hours; Tuesday, October 27: 500 done, 1 failed/);
  assert.equal(within(shown).getByRole("img").children.length, 7);
  assert.equal(asked.find((each) => each.startsWith("overview")), "overview?timezone=UTC");
});

test("the overview is of the Dag that is chosen", async () => {
  await show("Batch inference", { ...list([running]), overview });
  await userEvent.setup({ delay: 0 }).selectOptions(screen.getByLabelText("Dag"), "other");
  await waitFor(() => assert.ok(asked.includes("overview?dag_id=other&timezone=UTC")));
});

test("an overview that fails leaves the list alone", async () => {
  await show("Batch inference", { ...list([running]), overview: 500 });
  assert.ok(screen.getByText("scores · score"));
  assert.equal(screen.queryByRole("region", { name: "Overview" }), null);
});

test("there is none where there are no jobs", async () => {
  await show("Batch inference", { ...list([]), overview });
  await screen.findByText("No batch inference jobs yet");
  assert.equal(screen.queryByRole("region", { name: "Overview" }), null);
});

test("the jobs of a run are told together", async () => {
  await show("Batch jobs", { ...list([running, ...mapped]), run: together }, { props });
  const shown = await screen.findByRole("region", { name: "All jobs of this run" });
  assert.deepEqual(figures(shown), {
    Jobs: "1,208",
    Rows: "500 of 1,000 rows",
    "Speed of all": "12 rows/s",
    "Node time": "2 h 0 min",
  });
  assert.ok(shown.textContent.includes("1,200 DONE · 6 FAILED · 1 UNKNOWN · 1 RUNNING · 1 not confirmed"));
  const [, parts, score] = within(within(shown).getByRole("table", { name: "Jobs by task" })).getAllByRole("row");
  assert.deepEqual([...parts.cells].map((cell) => cell.textContent), ["parts", "1,208", "1 DONE", "500 rows", "–", "1 min 0 s"]);
  assert.equal(score.cells[3].textContent, "–");
  assert.ok(shown.textContent.includes("and 3 tasks more"));
  const slow = within(within(shown).getByRole("region", { name: "Took longest" })).getByRole("link");
  assert.equal(slow.textContent, "scores · parts [7] March");
  assert.match(slow.getAttribute("href"), /\/mapped\/7\/plugin\/snowflake-batch-job$/);
  const failures = within(shown).getByRole("region", { name: "Failed or cancelled" });
  assert.ok(failures.textContent.includes("ValueError: <script>alert(1)</script>"));
  assert.ok(failures.textContent.includes("and 6 jobs more, in the list below"));
  assert.equal(asked.find((each) => each.startsWith("run")), `run?${new URLSearchParams({ dag_id: "scores", run_id: running.run_id })}`);
});

test("jobs that never ran have no node time, and none of them took longest", async () => {
  await show("Batch jobs", { ...list([jobs.refused]), run: refused }, { props });
  const shown = await screen.findByRole("region", { name: "All jobs of this run" });
  assert.deepEqual(figures(shown), { Jobs: "2", Rows: "–", "Speed of all": "–", "Node time": "–" });
  assert.ok(shown.textContent.includes("no job was seen to run"));
  const [, ...tasks] = within(within(shown).getByRole("table", { name: "Jobs by task" })).getAllByRole("row");
  assert.deepEqual(tasks.map(({ cells }) => cells[5].textContent), ["–", "–"]);
  assert.equal(within(shown).queryByRole("region", { name: "Took longest" }), null);
  assert.ok(!shown.textContent.includes("0 s"));
});

test("one job needs no summary", async () => {
  const run = { ...together, counts: { active: 0, done: 1, failed: 0 } };
  await show("Batch jobs", { ...list([done]), run }, { props });
  await waitFor(() => assert.ok(asked.some((each) => each.startsWith("run"))));
  assert.equal(screen.queryByRole("region", { name: "All jobs of this run" }), null);
});
