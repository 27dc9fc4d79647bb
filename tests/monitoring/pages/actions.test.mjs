// What can be done with a job from its tab.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, asked, jobs, screen, sent, show, userEvent, waitFor, within } from "./host.mjs";

const RUN = jobs.running.run_id;
const props = { dagId: "scores", runId: RUN, taskId: "score" };
const ALL = { edit: true, cancel_deferred: true };
const tab = (job, may = ALL, more = {}) => show("Batch job", { job: { job, links: {}, may, now: NOW }, ...more }, { props });
const button = (name) => screen.getByRole("button", { name });
const idle = (name) => button(name).getAttribute("aria-disabled") === "true";
const user = () => userEvent.setup({ delay: 0 });

test("a job is cancelled by Airflow, once it was confirmed", async () => {
  await tab(jobs.running, ALL, { score: {} });
  const me = user();
  await me.click(button("Cancel job"));
  assert.deepEqual(sent, []);
  const before = asked.filter((each) => each.startsWith("job?")).length;
  await me.click(within(screen.getByRole("group", { name: "Cancel job" })).getByRole("button", { name: "Yes: Cancel job" }));
  await waitFor(() => assert.ok(document.body.textContent.includes("It now cancels the job.")));
  const [{ method, path, headers, body }] = sent;
  assert.deepEqual([method, path], ["PATCH", `dags/scores/dagRuns/${RUN}/taskInstances/score`]);
  assert.deepEqual(body, { new_state: "failed" });
  assert.equal(headers["X-Requested-With"], "snowflake-batch");
  await waitFor(() => assert.ok(asked.filter((each) => each.startsWith("job?")).length > before));
});

for (const leave of ["{Enter}", "{Escape}"]) {
  test(`a question is left with the keyboard: ${leave}`, async () => {
    await tab(jobs.running);
    const me = user();
    button("Cancel job").focus();
    await me.keyboard("{Enter}");
    assert.equal(document.activeElement, button("Leave it alone"));
    await me.keyboard(leave);
    await waitFor(() => assert.equal(screen.queryByRole("group", { name: "Cancel job" }), null));
    assert.deepEqual(sent, []);
  });
}

test("one of several mapped tasks is cleared alone", async () => {
  await tab({ ...jobs.failed, map_index: 3 }, ALL, { clearTaskInstances: {} });
  const me = user();
  await me.click(button("Run again"));
  await me.click(button("Yes: Run again"));
  await waitFor(() => assert.equal(sent.length, 1));
  assert.deepEqual([sent[0].method, sent[0].path], ["POST", "dags/scores/clearTaskInstances"]);
  assert.deepEqual(sent[0].body, { dag_run_id: RUN, dry_run: false, only_failed: false, task_ids: [["score", 3]] });
});

for (const [status, text] of [[403, "You may not change this task"], [409, "has answered with error 409"], [undefined, "cannot be reached"]]) {
  test(`what Airflow refuses is told: ${status}`, async () => {
    await tab(jobs.running, ALL, { score: status });
    const me = user();
    await me.click(button("Cancel job"));
    await me.click(button("Yes: Cancel job"));
    const alert = await screen.findByRole("alert");
    assert.ok(alert.textContent.includes(text), alert.textContent);
  });
}

for (const [name, job, may, cancel, retry, why] of [
  ["nobody but editors", jobs.running, { edit: false, cancel_deferred: true }, true, true, "Your role does not allow"],
  ["of an older server", jobs.running, null, true, true, "Your role does not allow"],
  ["a job that runs", jobs.running, ALL, false, true, "Run again: The task is not over."],
  ["a job that has failed", jobs.failed, ALL, true, false, "Cancel job: The job does not run."],
  ["deferred before Airflow 3.3", jobs.running, { edit: true, cancel_deferred: false }, true, true, "Airflow before 3.3"],
]) {
  test(`what cannot be done says why: ${name}`, async () => {
    await tab(job, may);
    assert.deepEqual([idle("Cancel job"), idle("Run again")], [cancel, retry]);
    assert.ok(screen.getByRole("region", { name: "Actions" }).textContent.includes(why));
    if (cancel) {
      await user().click(button("Cancel job"));
      assert.equal(screen.queryByRole("group", { name: "Cancel job" }), null);
    }
  });
}

async function pauses(answer) {
  const [real, found] = [globalThis.setTimeout, []];
  globalThis.setTimeout = (run, pause, ...more) => (found.push(pause), real(run, pause, ...more));
  try {
    await show("Batch job", { job: answer }, { props });
  } finally {
    globalThis.setTimeout = real;
  }
  return found;
}

test("the next look is after a second and a quarter, and later where the last one has failed", async () => {
  for (const job of [jobs.running, jobs.failed]) {
    assert.ok((await pauses({ job, links: {}, may: ALL, now: NOW })).includes(1_250));
  }
  const after = await pauses(500);
  assert.deepEqual([after.includes(1_250), after.includes(15_000)], [false, true]);
});

test("nothing is asked while nobody looks", async () => {
  await tab(jobs.running);
  Object.defineProperty(document, "hidden", { configurable: true, value: true });
  try {
    const before = asked.length;
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(asked.length, before);
  } finally {
    delete document.hidden;
  }
  document.dispatchEvent(new Event("visibilitychange"));
  await waitFor(() => assert.ok(asked.length > 1));
});
