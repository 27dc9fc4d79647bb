// The pages in Airflow's UI, in a real browser: what only that shows. How pages are laid out, where real keys go, what
// colours a theme has, and what axe finds in them. Of Airflow's own pages around them nothing is held.

import assert from "node:assert/strict";
import { test } from "node:test";
import { useBrowser } from "./chromium.mjs";
import { holdLook } from "./look.mjs";

const { PAGES_URL: url, PAGES_TOKEN: token } = process.env;
const RUNS = JSON.parse(process.env.PAGES_RUNS);
const LIST = "/plugin/snowflake-batch-jobs";
const RUN = `/dags/scores/runs/${RUNS.mapped}/plugin/snowflake-batch-run-jobs`;
const TAB = `/dags/scores/runs/${RUNS.running}/tasks/score/plugin/snowflake-batch-job`;
const FAILED = `/dags/scores/runs/${RUNS.failed}/tasks/score/plugin/snowflake-batch-job`;
const CHANGING = `/dags/scores/runs/${RUNS.changing}/tasks/score/plugin/snowflake-batch-job`;
const DONE = `/dags/scores/runs/${RUNS.done}/tasks/score/plugin/snowflake-batch-job`;
// What each page shows once it is there.
const PAGES = { list: [LIST, "scores · score"], run: [RUN, "Took longest"], tab: [TAB, "26,543 rows/s"], failed: [FAILED, "no such column"], done: [DONE, "[0.25, 0.5, …]"] };

const { open } = useBrowser();

for (const [name, page] of Object.entries(PAGES)) {
  for (const theme of ["light", "dark"]) {
    for (const width of [400, 1_440]) {
      test(`${name}, ${theme}, ${width} px: nothing is cut off, and axe finds nothing`, async () => {
        const shown = await open(page, { theme, width });
        await holdLook(shown, { name, theme, width });
      });
    }
  }
}

// Of Airflow's pages of a task or a run, a panel shows ours, as wide as somebody has drawn it.
for (const name of ["run", "tab", "failed", "done"]) {
  test(`${name} in a panel of 400 px: nothing is cut off, and axe finds nothing`, async () => {
    const shown = await open(PAGES[name], { theme: "light", width: 1_440 });
    const { x, y, height } = await shown.locator("[data-resize-handle]").boundingBox();
    await shown.mouse.move(x + 1, y + height / 4);
    await shown.mouse.down();
    await shown.mouse.move(1_440 - 430, y + height / 4, { steps: 8 });
    await shown.mouse.up();
    await shown.waitForFunction(() => Math.abs(document.querySelector(".snowflake-batch").clientWidth - 400) < 40);
    await holdLook(shown, { name, theme: "light", width: "panel" });
    assert.equal(await shown.getByRole("table", { name: "Batch inference jobs" }).count(), 0);
  });
}

for (const delay of [0, 60, 450]) {
  test(`letters ${delay} ms after one another all stay, and a status chosen right after takes them along`, async () => {
    const page = await open(PAGES.list);
    const search = page.getByRole("searchbox");
    await search.focus();
    await page.keyboard.type("scores score", { delay });
    await page.getByLabel("Status", { exact: true }).selectOption("failed");
    await page.waitForURL(/group=failed/);
    await page.waitForURL(/text=scores\+score/);
    assert.equal(await search.inputValue(), "scores score");
    // Of all jobs, two have failed.
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 2);
  });
}

test("with the keyboard alone: copy the statement", async () => {
  const page = await open(PAGES.tab);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: url });
  const copy = page.getByRole("button", { name: "Copy the statement" });
  await copy.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "Copied" }).waitFor({ state: "attached" });
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "EXECUTE JOB SERVICE\nIN COMPUTE POOL POOL");
  assert.ok(await copy.evaluate((element) => element === document.activeElement));
});

// When a page shows a text, by the clock that all processes of the machine share.
const whenShown = (text) =>
  new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`${text} is not shown`)), 25_000);
    const look = () => {
      if (!document.querySelector(".snowflake-batch")?.innerText.includes(text)) return;
      observer.disconnect();
      resolve(Date.now());
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { characterData: true, childList: true, subtree: true });
  });

test("a change of a card is shown within two seconds, in the list and on the job's own page", async () => {
  const pages = [await open(PAGES.list), await open([CHANGING, "Last confirmed"])];
  const address = `${url}/api/v2/dags/scores/dagRuns/${RUNS.changing}/taskInstances/score/xcomEntries/snowflake_batch_job`;
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const { value } = await (await fetch(`${address}?map_index=-1`, { headers })).json();
  const taken = [];
  for (let round = 0; round < 8; round++) {
    const pool = `POOL_OF_ROUND_${round}`;
    const seen = pages.map((page) => page.evaluate(whenShown, pool));
    // Each time at another moment between two questions of the pages.
    await pages[0].waitForTimeout(230 * round);
    const written = Date.now();
    const changed = { ...value, compute_pool: pool, updated_at: written / 1_000 };
    const answer = await fetch(address, { method: "PATCH", headers, body: JSON.stringify({ value: changed, map_index: -1 }) });
    assert.equal(answer.status, 200);
    taken.push((await Promise.all(seen)).map((at) => at - written));
  }
  console.log(`list and tab, ms from the card's time: ${JSON.stringify(taken)}`);
  assert.ok(Math.max(...taken.flat()) <= 2_000, JSON.stringify(taken));
});

test("nothing is asked while the page is hidden", async () => {
  const page = await open(PAGES.list);
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, value: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForTimeout(500);
  let asked = 0;
  page.on("request", (request) => (asked += request.url().includes("/snowflake-batch/")));
  await page.waitForTimeout(4_000);
  assert.equal(asked, 0);
});

test("with the keyboard alone: filter, search, sort, open a job, leave the question, cancel the job", async () => {
  const page = await open(PAGES.list);
  const tabTo = async (locator) => {
    for (let presses = 0; presses < 150; presses++) {
      if (await locator.evaluate((element) => element === document.activeElement)) return;
      await page.keyboard.press("Tab");
      const hidden = await page.evaluate(() => {
        const here = document.activeElement;
        const { outlineStyle, boxShadow } = getComputedStyle(here);
        return here.closest(".snowflake-batch") && outlineStyle === "none" && boxShadow === "none" ? here.outerHTML : null;
      });
      assert.equal(hidden, null, "nobody sees where the focus is");
    }
    assert.fail("the key Tab does not lead there");
  };
  await tabTo(page.getByLabel("Status", { exact: true }));
  await page.keyboard.press("r");
  await page.waitForURL(/group=active/);
  await tabTo(page.getByRole("searchbox"));
  await page.keyboard.type("score_30f3a7c21");
  await page.keyboard.press("Enter");
  await page.waitForURL(/text=score_30f3a7c21/);
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await tabTo(page.getByRole("button", { name: /^Duration/ }));
  await page.keyboard.press("Enter");
  await page.waitForURL(/sort=duration/);
  await page.getByRole("columnheader", { name: /Duration/, sort: "descending" }).waitFor();
  await tabTo(page.getByRole("link", { name: "scores · score" }).first());
  await page.keyboard.press("Enter");
  await page.waitForURL(`**${CHANGING}`);
  const [cancel, yes] = ["Cancel job", "Yes: Cancel job"].map((name) => page.getByRole("button", { name, exact: true }));
  await cancel.waitFor();
  await tabTo(cancel);
  await page.keyboard.press("Enter");
  await yes.waitFor();
  await page.keyboard.press("Escape");
  await yes.waitFor({ state: "detached" });
  assert.ok(await cancel.evaluate((element) => element === document.activeElement));
  await page.keyboard.press("Enter");
  await yes.waitFor();
  await tabTo(yes);
  await page.keyboard.press("Enter");
  await page.getByText("Airflow has marked the task as failed.").waitFor();
});
