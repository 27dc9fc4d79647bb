// Draws one page for what comes in as JSON: {folder, page, props, search, answers: {endpoint: {status, body}}}.

import { readFileSync } from "node:fs";
import { settled } from "./host.mjs";

const { folder, page, props, search, answers } = JSON.parse(readFileSync(0, "utf8"));
const asked = [];
globalThis.search = search;
globalThis.fetch = async (url) => {
  asked.push(url.pathname.split("/").pop() + url.search);
  const answer = answers[url.pathname.split("/").pop()];
  if (!answer) throw new TypeError("Failed to fetch");
  return { ok: answer.status === 200, status: answer.status, text: async () => answer.body };
};
await import(`file://${folder}/batch_jobs.js`);
const tree = await settled(globalThis[page], props);
console.log(JSON.stringify({ tree, asked }));
process.exit(0);
