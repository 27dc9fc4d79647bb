// What the tab shows of each replica of a job.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, jobs, screen, show, within } from "./host.mjs";

const { replicaLook } = await import(new URL("format.js", process.env.PAGES_SCRIPT));
const props = { dagId: "scores", runId: "run", taskId: "score" };
const tab = (job) => show("Batch job", { job: { job, links: {}, now: NOW } }, { props });
const text = () => document.body.textContent;

test("each replica has a line", async () => {
  await tab(jobs.each);
  const lines = screen.getAllByRole("row").slice(1);
  const said = lines.map((line) => within(line).getAllByRole("cell").map((cell) => cell.textContent));
  assert.deepEqual(said, [
    ["0", "running", "1,200", "", "400 rows/s"],
    ["1", "slow", "90", "", "30 rows/s"],
    ["2", "late", "0", "", "–"],
    ["3", "lost", "7", "", "–"],
  ]);
  const bars = lines.map((line) => within(line).getByRole("progressbar", { name: /^Rows of replica/ }));
  assert.deepEqual(bars.map((bar) => bar.getAttribute("aria-valuenow")), ["1200", "90", "0", "7"]);
  assert.ok(bars.every((bar) => bar.getAttribute("aria-valuemax") === "1200"));
});

test("of many replicas the others are a sum", async () => {
  await tab(jobs.many);
  assert.ok(text().includes("1,000 running more: 1,000,000 rows"));
  assert.equal(screen.getAllByRole("row").length, 1 + 24 + 1);
});

test("one that did not come was not needed", async () => {
  await tab(jobs.not_needed);
  assert.ok(text().includes("not needed"));
  assert.equal(screen.queryByText("late"), null);
});

for (const [index, job] of jobs.odd.entries()) {
  test(`a card that does not tell shows no table: ${index}`, async () => {
    await tab(job);
    assert.equal(screen.queryByRole("table"), null);
    assert.ok(text().includes("1,297 of 9,000 rows"));
  });
}

test("what is unknown in an entry reaches no page", async () => {
  await tab(jobs.unknown);
  assert.ok(!text().includes("s3cret") && !text().includes("<script>"));
});

test("how a replica looks", () => {
  const looks = [5, 0].map((rows) => replicaLook({ state: "done", rows }));
  assert.deepEqual(looks, [{ label: "done", palette: "success" }, { label: "done", palette: "none" }]);
});
