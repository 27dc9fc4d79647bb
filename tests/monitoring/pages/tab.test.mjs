// The tab of a task instance: everything that is known of its job.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, asked, jobs, screen, show, userEvent, waitFor, within } from "./host.mjs";

const TAB = "Batch job";
const RUN = jobs.running.run_id;
const props = { dagId: "scores", runId: RUN, taskId: "score" };
const show_ = (job, links = {}) => show(TAB, { job: { job, links, now: NOW } }, { props });

for (const [name, texts, absent] of [
  ["running", ["RUNNING", "predict", "2 min 49 s left", "waited 20 s", "not yet", "@DB.PUBLIC.RESULTS/out/BATCH_1/"], ["Not confirmed"]],
  ["done", ["DONE", "7 rows", "1 min 30 s in all", "the model's default", "success"], []],
  ["one", ["1 row", "100 %"], ["1 rows"]],
  ["failed", ["FAILED", "The task failed", "ValueError: <script>alert(1)</script>", "No rows reported."], []],
  ["unseen", ["RUNNING", "last seen", "The task has ended without seeing the end of the job."], []],
  ["old", ["OLD", "UNKNOWN", "No rows reported yet."], ["Not confirmed"]],
  ["nothing", ["Unnamed job", "UNKNOWN"], []],
  ["stale", ["Not confirmed for 2 min 0 s", "no triggerer or worker may be running", "3 min 0 s so far"], ["left", "rows/s"]],
  ["refused", ["REFUSED", "No job was submitted", "The job was refused", "The compute pool NOWHERE does not exist."], ["Timeline", "Replicas", "Statement"]],
  ["cancelled", ["CANCELLED", "The job was cancelled", "Snowflake said then: CANCELLED."], ["RUNNING"]],
]) {
  test(`it shows its job: ${name}`, async () => {
    await show_(jobs[name]);
    const shown = document.body.textContent;
    for (const each of texts) assert.ok(shown.includes(each), `${each} in ${shown}`);
    for (const each of absent) assert.ok(!shown.includes(each), each);
    const address = new URLSearchParams({ dag_id: "scores", run_id: RUN, task_id: "score", map_index: -1 });
    // More than once where the machine is slow.
    assert.deepEqual([...new Set(asked)], [`job?${address}`]);
  });
}

test("a change is shown within two seconds, and nobody asks while nobody looks", async () => {
  let [job, answered] = [jobs.running, 0];
  await show(TAB, { job: () => ({ job, links: {}, now: NOW + answered++ }) }, { props });
  job = jobs.done;
  await screen.findByText("DONE", {}, { timeout: 10_000, interval: 20 });
  // Whichever asks next is the second.
  assert.equal(answered, 2);
  Object.defineProperty(document, "hidden", { configurable: true, value: true });
  document.dispatchEvent(new Event("visibilitychange"));
  const before = asked.length;
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  assert.equal(asked.length, before);
  delete document.hidden;
  document.dispatchEvent(new Event("visibilitychange"));
  await waitFor(() => assert.equal(asked.length, before + 1), { interval: 20 });
});

test("a task without a job has none", async () => {
  await show_(null);
  assert.ok(screen.getByText("No batch job"));
});

test("the tab of a mapped task asks for that one", async () => {
  await show(TAB, { job: { job: null, links: {}, now: NOW } }, { props: { ...props, mapIndex: "3" } });
  assert.ok(asked[0].endsWith("&map_index=3"));
});

for (const [name, why] of [["running", "The task has found no address for its job there"], ["refused", "There is no job to open."]]) {
  test(`where Snowsight has no such job it says why: ${name}`, async () => {
    await show_(jobs[name], { "Output stage": "https://app.snowflake.com/x" });
    assert.equal(screen.getByRole("button", { name: /^Snowsight job/ }).getAttribute("aria-disabled"), "true");
    assert.ok(screen.getByText(why, { exact: false }));
  });
}

test("it links to Snowsight and to the log", async () => {
  const url = "https://app.snowflake.com/x/y/#/compute/job/DB/PUBLIC/J";
  await show_(jobs.failed, { "Snowsight job": url });
  const link = screen.getByRole("link", { name: /^Snowsight job/ });
  assert.deepEqual([link.getAttribute("href"), link.getAttribute("rel")], [url, "noopener noreferrer"]);
  assert.equal(screen.queryByRole("button", { name: /^Snowsight job/ }), null);
  const log = screen.getByRole("link", { name: "Log of the task" });
  assert.equal(log.getAttribute("href"), `/dags/scores/runs/${RUN}/tasks/score`);
});

test("what the job spent its time with is a picture", async () => {
  await show_(jobs.story);
  const timeline = within(screen.getByRole("region", { name: "Timeline" }));
  assert.ok(timeline.getByRole("img", { name: "preparing 20 s, pending 30 s, running 10 s" }));
  for (const each of ["Accepted", "prepared 20 s", "waited 30 s", "1 min 0 s so far"]) assert.ok(timeline.getByText(each));
});

test("of a job that is pending it tells what for", async () => {
  await show_(jobs.waits);
  const timeline = within(screen.getByRole("region", { name: "Timeline" }));
  const said = "No <b>node yet. · Failed to pull image";
  assert.ok(timeline.getByText(`What it waits for: its image and a node of the compute pool (${said})`));
});

test("of a job that was pending it tells what for, and since when", async () => {
  await show_(jobs.waited);
  const past = within(screen.getByRole("list", { name: "What it has waited for" })).getAllByRole("listitem");
  assert.deepEqual(past.map((line) => line.textContent), [
    "a node of the compute pool (Compute pool node(s) are being provisioned), seen 25 s after the submission",
    "its image (Failed to pull <b>image), seen 45 s after the submission",
    "Waiting to start, seen 50 s after the submission",
  ]);
  assert.ok(!document.body.textContent.includes("What it waits for"));
});

test("of a job that is pending it tells what for now, and what for before", async () => {
  await show_(jobs.waits_again);
  const now = "What it waits for: room in the compute pool (Unschedulable due to insufficient CPU resources.)";
  assert.ok(screen.getByText(now));
  const past = within(screen.getByRole("list", { name: "What it has waited for" })).getAllByRole("listitem");
  assert.equal(past.length, 1);
});

test("of a statement that Snowflake has not taken in it says that the image may be built", async () => {
  await show_(jobs.builds);
  assert.ok(screen.getByText("What it waits for: Snowflake has not taken the statement in yet.", { exact: false }));
  assert.equal(screen.queryByRole("list", { name: "What it has waited for" }), null);
});

test("of a job that nobody saw run it does not say that it was pending to its end", async () => {
  await show_(jobs.brief);
  assert.ok(screen.getByRole("img", { name: "preparing 20 s, pending or running 40 s" }));
});

test("a time that nobody saw has no part in the picture", async () => {
  await show_(jobs.crashed);
  assert.ok(screen.getByRole("img", { name: "preparing 20 s, pending 10 s, running 30 s" }));
  assert.equal(screen.queryByRole("img", { name: /^Speed/ }), null);
});

test("the speed over time is a chart", async () => {
  await show_(jobs.story);
  const chart = screen.getByRole("img", { name: "Speed over time: 200 rows/s at most, 100 rows/s at last" });
  const line = chart.querySelector("polyline").getAttribute("points").split(" ");
  assert.deepEqual(line.slice(0, 4), ["0.0,59.0", "150.0,59.0", "150.0,2.0", "300.0,2.0"]);
  assert.equal(line.at(-1), "600.0,40.0");
  assert.ok(screen.getByText("after 58 s"));
});

test("a card without a history has no chart", async () => {
  await show_(jobs.running);
  assert.equal(screen.queryByRole("img", { name: /^Speed/ }), null);
  assert.ok(screen.getByRole("img", { name: "waiting 20 s, running 40 s" }));
});

const cells = (table) =>
  within(screen.getByRole("table", { name: table }))
    .getAllByRole("row")
    .slice(1)
    .map((row) => within(row).getAllByRole("cell").map((cell) => cell.textContent));

test("what the containers report, and with what they ended", async () => {
  await show_(jobs.retried);
  assert.deepEqual(cells("Containers"), [["1", "FAILED", "oom", "137: killed, as for want of memory", "2", "main"]]);
});

test("how the tries before have ended", async () => {
  await show_(jobs.retried);
  const [first, second, ...others] = cells("Earlier tries");
  assert.deepEqual(first, ["1", "ValueError: no", "FAILED", "2026-11-01 11:59:50", "1 min 30 s", "1,234 (100 kept)", "DB.PUBLIC.OLD"]);
  assert.deepEqual(second, ["2", "<b>away</b>", "NOT SUBMITTED", "–", "–", "–", "–"]);
  assert.deepEqual(others, []);
});

test("the first bad rows with their errors, and how many rows the model is called with", async () => {
  await show_(jobs.picky);
  const progress = within(screen.getByRole("region", { name: "Progress" }));
  for (const each of ["4,096 rows a call", "Set aside as bad, the first:"]) assert.ok(progress.getByText(each));
  const told = within(progress.getByRole("list", { name: "Bad rows" })).getAllByRole("listitem");
  assert.deepEqual(told.map((each) => each.textContent), ["ValueError: <b> (row 7 of file a)", "b"]);
});

test("the last lines of the log, and where all of it is", async () => {
  await show_(jobs.talking);
  const log = within(screen.getByRole("region", { name: "Log" }));
  assert.equal(log.getByRole("region", { name: "Last lines of the log" }).textContent, "epoch 1\n<b>epoch 2</b>");
  assert.equal(log.getByRole("link", { name: "All of it" }).getAttribute("href"), `/dags/scores/runs/${RUN}/tasks/score`);
});

test("what the job has written", async () => {
  await show_(jobs.written);
  assert.ok(within(screen.getByRole("region", { name: "Results" })).getByText("9,000 rows · 12 files · 1.2 MB · 5 columns"));
  assert.deepEqual(cells("Columns of the results"), [["ID", "int64"], ["<b>", "double"], ["3 columns more"]]);
});

for (const [rows, texts, shown] of [
  [{ columns: ["ID", "<b>"], rows: [["1", null], ["2", "<i>NaN"]], columns_left_out: 1, no_rows: null }, ["Of one file, as text: 2 rows, without 1 column.", "Whoever may read the XComs of the task sees them."], [["1", "NULL"], ["2", "<i>NaN"]]],
  [{ columns: ["ID"], rows: [], columns_left_out: 0, no_rows: null }, ["Example rows: none, as the file that was read has none"], null],
  [{ columns: [], rows: [], columns_left_out: 0, no_rows: "They could not be read: <b>no warehouse" }, ["Example rows: They could not be read: <b>no warehouse"], null],
  [null, [], null],
]) {
  test(`rows of the results, where the task keeps some: ${JSON.stringify(rows)}`, async () => {
    await show(TAB, { job: { job: jobs.written, links: {}, now: NOW, example_rows: rows } }, { props });
    const results = screen.getByRole("region", { name: "Results" });
    for (const each of texts) assert.ok(results.textContent.includes(each), results.textContent);
    if (!rows) assert.ok(!results.textContent.includes("Example rows"));
    assert.equal(within(results).queryByRole("table", { name: "Example rows" }) === null, shown === null);
    if (shown) assert.deepEqual(cells("Example rows"), shown);
  });
}

test("of a runtime that tells no columns, the files", async () => {
  await show_(jobs.unread);
  assert.ok(within(screen.getByRole("region", { name: "Results" })).getByText("1 file · 0 bytes"));
  assert.equal(screen.queryByRole("table", { name: "Columns of the results" }), null);
});

test("a job that has not ended has written nothing yet", async () => {
  await show_(jobs.running);
  assert.equal(screen.queryByRole("region", { name: "Results" }), null);
});

for (const [cost, texts, absent] of [
  [{ node_seconds: 120, credits: 0.00367, least_credits: 0.0183, prices_of: "2026-01-13" }, ["2 min 0 s of node time · about 0.0037 credits", "five minutes at least", "0.018 credits then", "Prices of 2026-01-13."], []],
  [{ node_seconds: 7200, credits: 2, least_credits: 2, prices_of: null }, ["2 h 0 min of node time · about 2 credits", "Prices of your own."], ["five minutes"]],
  [{ node_seconds: 7200 }, ["2 h 0 min of node time"], ["credits", "Prices"]],
  [null, [], ["Cost"]],
]) {
  test(`what the job may have cost: ${JSON.stringify(cost)}`, async () => {
    await show(TAB, { job: { job: jobs.done, links: {}, now: NOW, cost } }, { props });
    const shown = document.body.textContent;
    for (const each of texts) assert.ok(shown.includes(each), `${each} in ${shown}`);
    for (const each of absent) assert.ok(!shown.includes(each), each);
  });
}

test("the statement is copied as it was sent, with the keyboard too", async () => {
  await show_(jobs.running);
  const user = userEvent.setup({ delay: 0 });
  const copy = screen.getByRole("button", { name: "Copy the statement" });
  copy.focus();
  await user.keyboard("{Enter}");
  await waitFor(() => assert.ok(screen.getAllByRole("status").some((each) => each.textContent === "Copied")));
  assert.equal(await navigator.clipboard.readText(), "EXECUTE JOB\nNAME = <b>");
  assert.equal(document.activeElement, copy);
  assert.ok(screen.getByText("To run it again, give it another NAME."));
});

for (const [name, why] of [["long", "It has 9,000 bytes, and 8,192 are kept at most."], ["old", "The task does not tell it."]]) {
  test(`a statement that was not kept cannot be copied, and why: ${name}`, async () => {
    await show_(jobs[name]);
    const copy = screen.getByRole("button", { name: "Copy the statement" });
    assert.equal(copy.getAttribute("aria-disabled"), "true");
    assert.ok(screen.getByText(why));
  });
}

test("it copies names, and says so", async () => {
  await show_(jobs.running);
  const user = userEvent.setup({ delay: 0 });
  await user.click(screen.getByRole("button", { name: "Copy the job's name" }));
  await waitFor(() => assert.ok(screen.getAllByRole("status").some((each) => each.textContent === "Copied")));
  assert.equal(await navigator.clipboard.readText(), "DB.PUBLIC.BATCH_1");
});

test("a long message is open at its end", async () => {
  const height = Object.getOwnPropertyDescriptor(Element.prototype, "scrollHeight");
  Object.defineProperty(Element.prototype, "scrollHeight", { configurable: true, get: () => 5000 });
  try {
    await show_(jobs.traceback);
    const message = screen.getByRole("region", { name: "The whole message" });
    assert.equal(message.scrollTop, 5000);
    assert.ok(screen.getByText("KeyError: 'A'"));
  } finally {
    Object.defineProperty(Element.prototype, "scrollHeight", height);
  }
});

for (const status of [401, 403, 404, 500]) {
  test(`it tells of an error and offers to try again: ${status}`, async () => {
    await show(TAB, { job: status }, { props });
    const alert = await screen.findByRole("alert");
    const before = asked.length;
    await userEvent.setup({ delay: 0 }).click(within(alert).getByRole("button", { name: "Try again" }));
    await waitFor(() => assert.equal(asked.length, before + 1));
  });
}
