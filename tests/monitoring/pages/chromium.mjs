// The browser of the tests.

import { chromium } from "playwright-core";

// As root, as whom containers often run, Chromium refuses its sandbox; it sees nothing but these pages.
const ARGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGS.split(" "), timeout: 120_000 });
}
