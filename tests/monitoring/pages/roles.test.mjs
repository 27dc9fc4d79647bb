// What each role of an auth manager finds in Airflow's UI, in a real browser: menu entry and tabs, and what it can do.

import assert from "node:assert/strict";
import { test } from "node:test";
import { useBrowser } from "./chromium.mjs";

const url = process.env.PAGES_URL;
// By role: the token, the run whose job it looks at, whether it sees the pages, whether it may edit the task.
const ROLES = JSON.parse(process.env.PAGES_ROLES);

const { newContext } = useBrowser();

for (const [role, { token, run, sees, edits }] of Object.entries(ROLES)) {
  test(`${role}: ${sees ? "sees" : "does not see"} the pages, ${edits ? "may" : "may not"} edit`, async () => {
    const context = await newContext({ viewport: { width: 1_440, height: 900 }, locale: "en-US" });
    await context.addCookies([{ name: "_token", value: token, url }]);
    const page = await context.newPage();
    page.setDefaultTimeout(90_000);
    const tab = `/dags/scores/runs/${run}/tasks/score`;
    await page.goto(url + tab);
    // A tab of Airflow's own, beside which those of plugins are.
    await page.getByRole("link", { name: "Rendered Templates" }).first().waitFor();
    const ours = page.getByRole("link", { name: "Batch job", exact: true });
    if (!sees) {
      await page.waitForTimeout(2_000);
      assert.equal(await ours.count(), 0);
      return;
    }
    await ours.first().click();
    const cancel = page.getByRole("button", { name: "Cancel job", exact: true });
    await cancel.waitFor();
    assert.equal(await cancel.getAttribute("aria-disabled"), String(!edits));
    assert.equal(await page.getByText("Your role does not allow editing this task.").count(), edits ? 0 : 1);
    if (edits) {
      await cancel.click();
      await page.getByRole("button", { name: "Yes: Cancel job" }).click();
      await page.getByText("Airflow has marked the task as failed.", { exact: false }).waitFor();
    }
    await page.getByRole("button", { name: "Browse" }).first().click();
    await page.getByRole("menuitem", { name: "Batch inference" }).click();
    await page.getByText("scores · score").first().waitFor();
  });
}
