// What the pages' scripts find in a browser with Airflow's UI: a document, React, its router and Airflow's components,
// the real ones, and a server whose answers a test decides.

import { readFileSync } from "node:fs";
import { afterEach } from "node:test";
import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/", width: 1400, height: 900 });
// What Node.js has by itself stays, but for names of which a document has its own.
const TAKEN = ["Event", "EventTarget", "CustomEvent", "MessageEvent", "FormData", "Blob", "File", "navigator", "Storage"];
const OWN = /^(fetch|console|process|set[TI]|clear|queueMicrotask|performance|global|URL|Abort|structuredClone|eval)/;
for (const name of Object.getOwnPropertyNames(window)) {
  const mine = Object.getOwnPropertyDescriptor(globalThis, name);
  const language = mine && !mine.enumerable && !TAKEN.includes(name);
  if (OWN.test(name) || language) continue;
  Object.defineProperty(globalThis, name, { configurable: true, writable: true, value: window[name] });
}
globalThis.window = globalThis;
globalThis.IS_REACT_ACT_ENVIRONMENT = true;
globalThis.localStorage.setItem("timezone", '"UTC"');
document.documentElement.lang = "en";

const React = await import("react");
const ReactRouterDOM = await import("react-router-dom");
const ChakraUI = await import("@chakra-ui/react");
Object.assign(globalThis, { React, ReactRouterDOM, ChakraUI });
const { cleanup, configure, render, ...library } = await import("@testing-library/react");
// A loaded machine may take its time.
configure({ asyncUtilTimeout: 20_000 });
export const { act, screen, waitFor, within } = library;
export const { default: userEvent } = await import("@testing-library/user-event");

const { createElement: h, useState } = React;
await import(process.env.PAGES_SCRIPT);
// Jobs as the endpoints tell them, by name.
export const jobs = JSON.parse(readFileSync(process.env.PAGES_JOBS, "utf8"));
export const NOW = jobs.now;

let answers = {};
// The requests of the test, as "endpoint?parameters".
export const asked = [];
// The tags of the endpoints' answers; a request that has one of them already is answered so.
export const tags = {};
// What was asked to be changed.
export const sent = [];
globalThis.fetch = async (url, { method, headers, body: told } = {}) => {
  const endpoint = url.pathname.split("/").pop();
  if (method) sent.push({ method, path: decodeURIComponent(url.pathname.split("/api/v2/")[1]), headers, body: JSON.parse(told) });
  asked.push(endpoint + url.search);
  const unchanged = tags[endpoint] && headers["If-None-Match"] === tags[endpoint];
  let answer = unchanged ? 304 : answers[endpoint];
  if (typeof answer === "function") answer = answer(url.searchParams);
  if (answer === undefined) throw new TypeError("Failed to fetch");
  const [status, body] = typeof answer === "number" ? [answer, ""] : [200, answer];
  const text = async () => (typeof body === "string" ? body : JSON.stringify(body));
  return { ok: status === 200, status, headers: new Headers({ ETag: tags[endpoint] ?? "" }), text };
};

export function list(found, more = {}) {
  const counts = { active: 1, done: 2, failed: 0 };
  // Each of a run of its own.
  const told = found.map((job, index) => ({ ...job, run_id: `${job.run_id}.${index}` }));
  return { jobs: { jobs: told, older: null, newer: null, counts, now: NOW, ...more }, dags: { dags: ["other", "scores"] } };
}

// As Airflow shows a page: it is built anew at the first change of its address.
function Host({ page, props }) {
  const { search } = ReactRouterDOM.useLocation();
  const [first] = useState(search);
  const [changed, setChanged] = useState(false);
  if (search !== first && !changed) setChanged(true);
  return h(React.Fragment, { key: String(changed) }, h(globalThis[page], props));
}

export async function show(page, given, { props = {}, search = "" } = {}) {
  answers = given;
  asked.length = sent.length = 0;
  const routes = [{ path: "*", element: h(Host, { page, props }) }];
  const router = ReactRouterDOM.createMemoryRouter(routes, { initialEntries: ["/elsewhere", `/page${search}`] });
  const provider = h(ReactRouterDOM.RouterProvider, { router });
  await act(async () => {
    render(h(ChakraUI.ChakraProvider, { value: ChakraUI.defaultSystem }, provider));
  });
  await waitFor(() => {
    if (document.querySelector("[aria-label=Loading]")) throw new Error("still loading");
  });
  return router;
}

afterEach(() => cleanup());
