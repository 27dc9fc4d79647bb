// How a page is to look in a real browser: in the theme that was chosen, all of it in its place, and axe finds nothing.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { PAGES_PICTURES: pictures } = process.env;
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

// rules: of axe that have something to look at on the page, at least.
export async function holdLook(shown, { name, theme, width, rules = 6 }) {
  // Airflow slides things into their places.
  await shown.waitForTimeout(1_000);
  assert.equal(await shown.evaluate(() => document.documentElement.classList.contains("dark")), theme === "dark");
  if (pictures) await shown.screenshot({ path: `${pictures}/${name.replaceAll(" ", "-")}-${theme}-${width}.png`, fullPage: true });
  await shown.addScriptTag({ path: AXE });
  const found = await shown.evaluate(() => globalThis.axe.run(".snowflake-batch"));
  const passed = found.passes.map(({ id }) => id);
  assert.ok(passed.length >= rules, passed.join());
  const told = found.violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html.slice(0, 300)} ${failureSummary}`)]);
  assert.deepEqual(told, []);
  // What is wider than its place scrolls in a box of its own.
  const [wanted, given] = await shown.evaluate(() => {
    const { scrollWidth, clientWidth } = document.querySelector(".snowflake-batch");
    return [scrollWidth, clientWidth];
  });
  assert.ok(wanted <= given, `${wanted} > ${given}`);
  assert.deepEqual(shown.errors, []);
}
