// What somebody on call finds in Airflow's UI, and what they can do about it, in a real browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { useBrowser } from "./chromium.mjs";

const { PAGES_URL: url } = process.env;
const RUNS = JSON.parse(process.env.PAGES_RUNS);
const LIST = "/plugin/snowflake-batch-jobs";
const tab = (dag, run) => `/dags/${dag}/runs/${RUNS[run]}/tasks/score/plugin/snowflake-batch-job`;
const list = (search, text) => [`${LIST}?${search}`, text];

const { open } = useBrowser();

const rows = (page) => page.locator("tbody tr");
const rowOf = (page, text) => rows(page).filter({ hasText: text });
const region = (page, name) => page.getByRole("region", { name, exact: true });
const whole = (page) => page.locator(".snowflake-batch").innerText();

async function holds(page, texts, absent = []) {
  for (const text of texts) await page.getByText(text).first().waitFor();
  const shown = await whole(page);
  for (const text of absent) assert.ok(!shown.includes(text), `${text} in ${shown}`);
}

test("the list says first why a job failed", async () => {
  const page = await open(list("group=failed&dag_id=scores", "no such column"));
  const told = await rowOf(page, RUNS.failed).locator("td").nth(2).innerText();
  assert.match(told, /^KeyError: no such column/);
  assert.match(await rowOf(page, "[1] March").locator("td").nth(2).innerText(), /^ModelError: expected 12 columns, got 11/);
});

test("a job that was refused is in the list, and its page says why and leads to the log", async () => {
  const page = await open(list("text=refused", "The compute pool NOWHERE does not exist."));
  assert.equal(await rows(page).count(), 1);
  await rowOf(page, "REFUSED").getByRole("link", { name: /^Log of/ }).click();
  await page.waitForURL(`**/dags/salaries/runs/${RUNS.refused}/tasks/score`);
  await page.goto(url + tab("salaries", "refused"));
  await holds(page, ["The job was refused", "No job was submitted", "The compute pool NOWHERE does not exist.", "There is no job to open."], ["0 s"]);
  await page.getByRole("link", { name: "Log of the task" }).click();
  await page.waitForURL(`**/dags/salaries/runs/${RUNS.refused}/tasks/score`);
});

test("a job that was cancelled is shown as cancelled", async () => {
  const page = await open(list("text=given_up", "CANCELLED"));
  await rowOf(page, RUNS.cancelled).getByRole("link", { name: "salaries · score" }).click();
  await holds(page, ["The job was cancelled", "Snowflake said then: CANCELLED."], ["RUNNING", "so far"]);
});

test("a job at which nobody looks any more says so, in words and colour, and how long", async () => {
  const page = await open(list("group=active", "not confirmed for 1 h"));
  const colour = (row) => row.getByText("RUNNING", { exact: true }).evaluate((badge) => getComputedStyle(badge).backgroundColor);
  assert.notEqual(await colour(rowOf(page, RUNS.stale)), await colour(rowOf(page, RUNS.running)));
  assert.ok(!(await rowOf(page, RUNS.stale).innerText()).includes("left"));
  assert.ok((await rowOf(page, RUNS.running).innerText()).includes("left"));
  await page.goto(url + tab("salaries", "stale"));
  await holds(page, ["Not confirmed for 1 h", "no triggerer or worker may be running"], [" left", "rows/s"]);
  const [figure] = (await whole(page)).match(/\d+ min \d+ s|\d+ h \d+ min/);
  await page.waitForFunction((told) => !document.querySelector(".snowflake-batch").innerText.includes(told), figure, { timeout: 90_000 });
});

test("what runs comes first; counts; columns sort; pages are turned with the keyboard; Back leads to the filter before", async () => {
  const page = await open([LIST, "4 running or waiting"]);
  const states = await rows(page).evaluateAll((all) => all.map((row) => row.cells[0].innerText.split("\n")[0]));
  const active = states.filter((state) => ["RUNNING", "PENDING"].includes(state));
  assert.equal(active.length, 4);
  assert.deepEqual(states.slice(0, 4), active);
  await page.getByText("36 jobs: 4 running or waiting · 28 done · 4 failed or cancelled").waitFor();
  await page.getByLabel("Dag", { exact: true }).selectOption("salaries");
  await page.waitForURL(/dag_id=salaries/);
  await page.getByText("29 jobs: 1 running or waiting · 26 done · 2 failed or cancelled").waitFor();
  const first = await rows(page).first().innerText();
  const next = page.getByRole("button", { name: "Next" });
  await next.focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 4);
  assert.equal(await next.getAttribute("aria-disabled"), "true");
  assert.ok(await next.evaluate((element) => element === document.activeElement));
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 25);
  assert.equal((await rows(page).first().innerText()).split("\n")[0], first.split("\n")[0]);
  await page.getByRole("button", { name: /^Model/ }).click();
  await page.getByRole("columnheader", { name: /Model/, sort: "ascending" }).waitFor();
  await page.goBack();
  await page.goBack();
  await page.waitForURL((address) => !address.search.includes("dag_id"));
  await page.waitForFunction(() => document.getElementById("batch-jobs-dag").value === "");
});

test("mapped tasks have their index and their label, and are summed up for their run", async () => {
  const page = await open(list("text=parts", "scores · parts [0] February"));
  await page.getByText("scores · parts [1] March").waitFor();
  await page.goto(`${url}/dags/scores/runs/${RUNS.mapped}/plugin/snowflake-batch-run-jobs`);
  const summary = region(page, "All jobs of this run");
  const table = summary.getByRole("table", { name: "Jobs by task" });
  await table.waitFor();
  assert.match(await table.getByRole("row").filter({ hasText: "parts" }).innerText(), /parts\s+2\s+1 PENDING · 1 FAILED/);
  const shown = await summary.innerText();
  for (const each of ["Jobs", "3", "1 DONE", "Rows", "7 rows", "Node time", "Took longest", "ModelError: expected 12 columns"])
    assert.ok(shown.includes(each), `${each} in ${shown}`);
});

test("a search finds what is shown, at once with Enter", async () => {
  const page = await open([LIST, "scores · score"]);
  const search = page.getByRole("searchbox");
  for (const [text, found] of [["  MARCH ", 1], ["scores · score", 5], ["score_00f3a7c21", 1], ["scores", 7], ["v3 pending", 1], ["salaries done", 25], ["modelerror: expected", 1]]) {
    const asked = page.waitForResponse((answer) => new URL(answer.url()).searchParams.get("text") === text.trim());
    await search.fill(text);
    await page.keyboard.press("Enter");
    await asked;
    await page.waitForFunction((count) => document.querySelectorAll("tbody tr").length === count, found);
  }
});

test("what no database can look for is refused in words", async () => {
  const page = await open(list("text=a%00b", "The filter is not valid."));
  assert.equal(await rows(page).count(), 0);
});

test("a long message is open at its end, and a narrow window has the jobs below one another", async () => {
  const page = await open([tab("scores", "failed"), "no such column"]);
  const [top, height, shown] = await region(page, "The whole message").evaluate((text) => [text.scrollTop, text.scrollHeight, text.clientHeight]);
  assert.ok(height > shown && top + shown >= height - 2, `${top} + ${shown} of ${height}`);
  const narrow = await open([LIST, "scores · score"], { width: 400 });
  assert.equal(await narrow.getByRole("table", { name: "Batch inference jobs" }).count(), 0);
  assert.equal(await narrow.getByRole("list", { name: "Batch inference jobs" }).getByRole("listitem").count(), 25);
  const bar = narrow.getByRole("progressbar", { name: "Rows scored" }).first();
  assert.equal(await bar.getAttribute("aria-valuenow"), "50");
});

test("the story of a job that runs: times, replicas, speed, bad rows, log, earlier tries, cost", async () => {
  const page = await open([tab("scores", "running"), "26,543 rows/s"]);
  await page.getByRole("img", { name: /^preparing 20 s, pending 40 s, running/ }).waitFor();
  const waits = page.getByRole("list", { name: "What it has waited for" }).getByRole("listitem");
  assert.deepEqual(await waits.allInnerTexts(), [
    "a node of the compute pool (Compute pool node(s) are being provisioned), seen 25 s after the submission",
    "its image (Failed to pull image), seen 45 s after the submission",
  ]);
  await page.getByRole("img", { name: /^Speed over time/ }).waitFor();
  for (const [name, text] of [["Log", "epoch 11: loss"], ["Earlier tries", "OutOfMemoryError"], ["Cost (an estimate)", "credits"], ["Cost (an estimate)", "Prices of 2026-"]])
    assert.ok((await region(page, name).innerText()).includes(text), name);
  const progress = await region(page, "Progress").innerText();
  for (const each of ["4,096 rows a call", "12 set aside as bad", "row 7 of file data_000.parquet", "slow", "20,000 rows/s"])
    assert.ok(progress.includes(each), `${each} in ${progress}`);
});

test("the story of jobs that wait, failed and are done: what for, exit codes, results", async () => {
  const page = await open([`/dags/scores/runs/${RUNS.mapped}/tasks/parts/mapped/0/plugin/snowflake-batch-job`, "What it waits for: a node of the compute pool (No node is free yet.)"]);
  await page.goto(url + tab("scores", "failed"));
  await page.getByRole("table", { name: "Containers" }).getByText("137: killed").waitFor();
  assert.ok((await region(page, "Cost (an estimate)").innerText()).includes("five minutes at least"));
  await page.goto(url + tab("scores", "done"));
  await holds(page, ["9,000,000 rows · 12 files · 235 MB · 34 columns", "FEATURE_7", "[0.25, 0.5, …]", "Of one file, as text"]);
});

test("the overview: what runs, how fast, what failed, node-hours and the last days", async () => {
  const page = await open([LIST, "Node-hours in 7 days"]);
  const shown = region(page, "Overview");
  const figures = await shown.locator("dl").innerText();
  for (const each of [/Running now\s+3/, /1 waiting · 1 not confirmed/, /26,543 rows\/s/, /Failed or cancelled in 24 hours\s+4/]) assert.match(figures, each);
  const days = shown.getByRole("img", { name: /^Jobs that ended/ });
  assert.equal(await days.locator(":scope > *").count(), 7);
});

test("a job is cancelled and a task run again by Airflow's own API, with a header of ours", async () => {
  const page = await open([tab("scores", "running"), "26,543 rows/s"]);
  const act = async (name, address, said) => {
    const asked = page.waitForRequest((request) => request.method() !== "GET" && request.url().includes(address));
    await page.getByRole("button", { name, exact: true }).click();
    await page.getByRole("button", { name: `Yes: ${name}` }).click();
    assert.equal((await asked).headers()["x-requested-with"], "snowflake-batch");
    await page.getByText(said).waitFor();
  };
  await act("Cancel job", `/dagRuns/${RUNS.running}/taskInstances/score`, "Airflow has marked the task as failed.");
  await page.getByText("Cancel job: The job does not run.").waitFor();
  await page.goto(url + tab("scores", "failed"));
  await page.getByText("no such column").first().waitFor();
  await act("Run again", "/clearTaskInstances", "Airflow has cleared the task.");
});
