// Calls functions of format.js: [[name, ...arguments], …] comes in as JSON, what they return goes out.

import { readFileSync } from "node:fs";

const { folder, calls } = JSON.parse(readFileSync(0, "utf8"));
const functions = await import(`file://${folder}/format.js`);
console.log(JSON.stringify(calls.map(([name, ...given]) => functions[name](...given) ?? null)));
