// The browser of a file's tests, and pages of Airflow's UI in it.

import { after, afterEach, before } from "node:test";
import { chromium } from "playwright-core";

const { PAGES_URL: url, PAGES_TOKEN: token } = process.env;

// As root, as whom containers often run, Chromium refuses its sandbox; it sees nothing but these pages.
const ARGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

// One browser for all tests of a file; what a test leaves open is closed after it.
export function useBrowser() {
  let browser;
  before(async () => {
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGS.split(" "), timeout: 120_000 });
  });
  after(() => browser?.close());
  afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
  return { newContext: (options) => browser.newContext(options), open: (page, more) => open(browser, page, more) };
}

// text: what the page shows once it is there.
async function open(browser, [address, text], { theme = "light", width = 1_440 } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme, locale: "en-US" });
  await context.addCookies([{ name: "_token", value: token, url }]);
  await context.addInitScript((chosen) => localStorage.setItem("theme", chosen), theme);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(error.message));
  await page.goto(url + address);
  await page.getByText(text).first().waitFor();
  return page;
}
