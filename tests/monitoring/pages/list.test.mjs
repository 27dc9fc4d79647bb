// The list of jobs: what it shows, and what becomes of what is typed, chosen and pressed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, act, asked, jobs, list, screen, show, tags, userEvent, waitFor, within } from "./host.mjs";

const LIST = "Batch inference";
const { running, done, failed, unseen, old, stale, refused, mapped } = jobs;
const text = () => document.body.textContent;
const search = () => screen.getByRole("searchbox");
// Keys reach what has the focus. user-event's own keyboard holds the caret of the element that was there before.
async function press(keys, delay) {
  const { set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  for (const key of keys) {
    const input = document.activeElement;
    await act(async () => {
      set.call(input, key === "\b" ? input.value.slice(0, -1) : input.value + key);
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

const last = () => asked.filter((each) => each.startsWith("jobs")).at(-1);

test("it tells of every job", async () => {
  await show(LIST, list([running, done, failed, unseen, old]));
  for (const each of [
    "scores · score", "4,512,345 of 9,000,000 rows · 50 %", "26,543 rows/s · 2 min 49 s left", "LINEAR", "POOL",
    "2 replicas", "2026-11-01 12:00:00", "7 rows · 100 %", "1 min 30 s", "last seen", "UNKNOWN",
    "3 jobs: 1 running or waiting · 2 done",
  ]) assert.ok(text().includes(each), each);
  const bars = screen.getAllByRole("progressbar", { name: "Rows scored" });
  assert.deepEqual(bars.map((bar) => bar.getAttribute("aria-valuenow")), ["50", "100"]);
  const [task] = screen.getAllByRole("link", { name: "scores · score" });
  assert.equal(task.getAttribute("href"), `/dags/scores/runs/${running.run_id}.0/tasks/score/plugin/snowflake-batch-job`);
});

test("it tells first why a job failed", async () => {
  await show(LIST, list([failed, refused]));
  const [, first, second] = screen.getAllByRole("row");
  assert.match(within(first).getByTitle(/ended as FAILED/).textContent, /^ValueError: <script>alert/);
  assert.ok(within(second).getByText("REFUSED") && within(second).getByText("The compute pool NOWHERE does not exist."));
  assert.equal(within(second).getByRole("link", { name: /^Log of/ }).getAttribute("href").split("/").at(-1), "score");
  assert.ok(!second.textContent.includes("replica"));
});

test("it says when nobody has looked at a job for long", async () => {
  await show(LIST, list([stale]));
  assert.ok(text().includes("not confirmed for 2 min 0 s"));
  assert.ok(text().includes("4,512,345 of 9,000,000 rows"));
  assert.ok(!text().includes("left") && !text().includes("rows/s"));
});

test("it shows index and label of a mapped task", async () => {
  await show(LIST, list(mapped));
  assert.ok(screen.getByText("scores · parts [0] March") && screen.getByText("scores · parts [1] March"));
});

for (const [answers, where, message] of [
  [list([]), "", "No batch inference jobs yet"],
  [list([]), "?text=x", "No job matches"],
  [list([]), "?after=x", "No more jobs"],
  [{ jobs: 401 }, "", "Your session has ended."],
  [{ jobs: 403 }, "", "You may not see this"],
  [{ jobs: 500 }, "", "has answered with error 500"],
  [{ jobs: "<!doctype html>" }, "", "Somebody else than Airflow's API server has answered."],
  [{}, "", "Airflow's API server cannot be reached."],
]) {
  test(`it says why it is empty: ${message}`, async () => {
    await show(LIST, answers, { search: where });
    await screen.findByText(message, { exact: false });
    assert.equal(screen.queryByRole("table"), null);
  });
}

test("it asks for what its address says", async () => {
  await show(LIST, list([done]), { search: "?group=done&dag_id=gone&text=x%26y&sort=model&reverse=true&after=p" });
  assert.equal(last(), "jobs?group=done&dag_id=gone&text=x%26y&sort=model&reverse=true&after=p&limit=25");
  assert.equal(search().value, "x&y");
  assert.equal(screen.getByLabelText("Dag").value, "gone");
  assert.equal(screen.getByLabelText("Status").value, "done");
});

for (const [delay, typed] of [
  [0, "score x"],
  [150, "score x"],
  [600, "ab c"],
]) {
  test(`no letter is lost, ${delay} ms after one another`, async () => {
    const router = await show(LIST, list([running]));
    search().focus();
    await press(typed, delay);
    assert.equal(search().value, typed);
    assert.equal(document.activeElement, search());
    const sent = `text=${typed.replace(" ", "+")}`;
    await waitFor(() => assert.equal(router.state.location.search, `?${sent}`));
    await waitFor(() => assert.equal(last(), `jobs?${sent}&limit=25`));
    await press("\b\b", delay);
    assert.equal(search().value, typed.slice(0, -2));
    assert.equal(document.activeElement, search());
    await waitFor(() => assert.equal(router.state.location.search, `?text=${typed.slice(0, -2)}`));
  });
}

test("a status chosen right after typing takes the text along", async () => {
  const router = await show(LIST, list([running]));
  const user = userEvent.setup({ delay: 0 });
  await user.type(search(), " late ");
  await user.selectOptions(screen.getByLabelText("Status"), "failed");
  await waitFor(() => assert.equal(last(), "jobs?group=failed&text=late&limit=25"));
  await waitFor(() => assert.equal(router.state.location.search, "?group=failed&text=late"));
  assert.equal(search().value, " late ");
  assert.equal(document.activeElement, screen.getByLabelText("Status"));
});

test("Enter does not wait", async () => {
  await show(LIST, list([running]));
  const user = userEvent.setup({ delay: 0 });
  await user.type(search(), "now{Enter}");
  assert.equal(last(), "jobs?text=now&limit=25");
});

test("Back leads to the filter before", async () => {
  const router = await show(LIST, list([running]));
  const user = userEvent.setup({ delay: 0 });
  await user.selectOptions(screen.getByLabelText("Status"), "done");
  await user.type(search(), "abc{Enter}");
  await waitFor(() => assert.equal(router.state.location.search, "?group=done&text=abc"));
  await act(() => router.navigate(-1));
  await waitFor(() => assert.equal(last(), "jobs?group=done&limit=25"));
  assert.equal(search().value, "");
  await act(() => router.navigate(-1));
  await waitFor(() => assert.equal(screen.getByLabelText("Status").value, ""));
});

test("columns sort, the other way round, and no more", async () => {
  await show(LIST, list([running]));
  const user = userEvent.setup({ delay: 0 });
  const header = () => screen.getByRole("columnheader", { name: /Duration/ });
  const seen = [];
  for (let round = 0; round < 3; round++) {
    await user.click(within(header()).getByRole("button"));
    await waitFor(() => assert.equal(document.activeElement, within(header()).getByRole("button")));
    seen.push([header().getAttribute("aria-sort"), last()]);
  }
  assert.deepEqual(seen, [
    ["descending", "jobs?sort=duration&limit=25"],
    ["ascending", "jobs?sort=duration&reverse=true&limit=25"],
    [null, "jobs?limit=25"],
  ]);
});

test("pages are turned, and buttons without a use keep the focus", async () => {
  const pages = (parameters) =>
    parameters.get("after") ? list([done], { newer: "back" }).jobs : list([running], { older: "on/+=" }).jobs;
  await show(LIST, { ...list([]), jobs: pages });
  const user = userEvent.setup({ delay: 0 });
  const button = (name) => screen.getByRole("button", { name });
  assert.equal(button("Previous").getAttribute("aria-disabled"), "true");
  await user.click(button("Next"));
  await waitFor(() => assert.equal(last(), "jobs?after=on%2F%2B%3D&limit=25"));
  await waitFor(() => assert.equal(button("Next").getAttribute("aria-disabled"), "true"));
  assert.equal(document.activeElement, button("Next"));
  const before = asked.length;
  await user.click(button("Next"));
  assert.equal(asked.length, before);
  await user.click(button("Previous"));
  await waitFor(() => assert.equal(last(), "jobs?before=back&limit=25"));
});

test("where there is little room, jobs stand below one another", async () => {
  const wide = globalThis.matchMedia;
  globalThis.matchMedia = () => ({ matches: true, addEventListener() {}, removeEventListener() {} });
  try {
    await show(LIST, list([running, failed]));
    assert.equal(screen.queryByRole("table"), null);
    const [first, second] = within(screen.getByRole("list", { name: "Batch inference jobs" })).getAllByRole("listitem");
    for (const each of ["RUNNING", "scores · score", "50 %", "LINEAR", "2 replicas", "Log"])
      assert.ok(first.textContent.includes(each), each);
    assert.ok(second.textContent.includes("ValueError"));
  } finally {
    globalThis.matchMedia = wide;
  }
});

test("where the window has room but the list's place has not, jobs stand below one another, until it has", async () => {
  const [known, place] = [globalThis.ResizeObserver, {}];
  const width = Object.getOwnPropertyDescriptor(HTMLElement.prototype, "clientWidth");
  Object.defineProperty(HTMLElement.prototype, "clientWidth", { configurable: true, get: () => place.width });
  globalThis.ResizeObserver = class {
    constructor(look) {
      place.look = look;
    }
    observe() {}
    disconnect() {}
  };
  try {
    place.width = 400;
    await show(LIST, list([running, failed]));
    assert.equal(screen.queryByRole("table"), null);
    assert.equal(within(screen.getByRole("list", { name: "Batch inference jobs" })).getAllByRole("listitem").length, 2);
    place.width = 1_000;
    await act(async () => place.look());
    assert.ok(screen.getByRole("table", { name: "Batch inference jobs" }));
  } finally {
    globalThis.ResizeObserver = known;
    if (width) Object.defineProperty(HTMLElement.prototype, "clientWidth", width);
    else delete HTMLElement.prototype.clientWidth;
  }
});

test("an answer that is still the same is not sent again, and time goes by all the same", async () => {
  tags.jobs = '"first"';
  try {
    // Its card was seen a moment ago; nobody looks at it any more.
    const begun = NOW - Math.round(Date.now() / 1000);
    const fresh = { ...running, card: { ...running.card, updated_at: NOW, confirmed_every: 1 } };
    let sent = 0;
    const answer = () => (sent++ >= 0 && list([fresh], { now: begun + Date.now() / 1000 }).jobs);
    await show(LIST, { ...list([]), jobs: answer });
    await waitFor(() => assert.ok(text().includes("not confirmed for")), { timeout: 20_000 });
    assert.equal(sent, 1);
    assert.ok(text().includes("4,512,345 of 9,000,000 rows") && !text().includes("rows/s"));
    tags.jobs = '"second"';
    await waitFor(() => assert.equal(sent, 2));
  } finally {
    delete tags.jobs;
  }
});

test("the tab of a run has the jobs of that run", async () => {
  const props = { dagId: "scores", runId: running.run_id };
  await show("Batch jobs", list([running, ...mapped]), { props });
  const parameters = new URLSearchParams(last().split("?")[1]);
  assert.deepEqual([parameters.get("dag_id"), parameters.get("run_id")], ["scores", running.run_id]);
  assert.equal(screen.queryByLabelText("Dag"), null);
  assert.ok(NOW > 0 && screen.getByText("3 jobs: 1 running or waiting · 2 done"));
});
