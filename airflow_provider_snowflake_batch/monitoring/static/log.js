// The last lines that a job has written.

import { taskPath } from "./format.js";
import { EndOfText, section } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Link } = globalThis.ChakraUI;
const { Link: RouterLink } = globalThis.ReactRouterDOM;

export function LastLines({ job }) {
  const { log } = job.card;
  if (!log?.length) return null;
  return section(
    "Log",
    h(EndOfText, { bg: "bg.subtle", borderRadius: "sm", label: "Last lines of the log", maxH: "16rem", p: 2 }, log.join("\n")),
    h(Link, { asChild: true, fontSize: "sm", variant: "underline" }, h(RouterLink, { to: taskPath(job) }, "All of it")),
  );
}
