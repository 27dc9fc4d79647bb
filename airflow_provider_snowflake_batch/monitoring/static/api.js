// Asking the endpoints, again and again while something runs and somebody looks.

const { useEffect, useRef, useState } = globalThis.React;

export const OFTEN = 5_000;
// For what many jobs are together.
export const SOON = 10_000;
// For one job: a change is to be seen within two seconds.
export const AT_ONCE = 1_500;
const SELDOM = 30_000;
const PATIENCE = 30_000;

// Within which a page that Airflow builds anew shows what it has shown before, by the question.
const REBUILT = 2_000;
const kept = new Map();

// This file lies two folders below the endpoints, whatever path Airflow is served under.
const ROOT = new URL("../../", import.meta.url);

const SAYINGS = {
  401: "Your session has ended. Reload the page to sign in again.",
  403: "You may not see this: your role does not allow reading the XComs of this Dag.",
  404: "Airflow's API server does not know this page. The package may be missing there, or another version is installed.",
  422: "The filter is not valid.",
};

export function explain(status) {
  return SAYINGS[status] ?? `Airflow's API server has answered with error ${status}. Its log tells more.`;
}

export async function ask(path, parameters, signal) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  let response, text;
  try {
    response = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" }, signal });
    text = await response.text();
  } catch (error) {
    if (signal.aborted && signal.reason !== "late") throw error;
    throw new Error("Airflow's API server cannot be reached.");
  }
  if (!response.ok) throw new Error(explain(response.status));
  try {
    return JSON.parse(text);
  } catch {
    // What a proxy does that wants its users to sign in anew.
    throw new Error("Somebody else than Airflow's API server has answered. Reload the page to sign in again.");
  }
}

const REFUSALS = {
  ...SAYINGS,
  403: "You may not change this task: your role does not allow editing its task instances.",
  404: "Airflow knows no such task instance any more.",
};

// Asks Airflow itself, as its own pages do, to change something; it checks who may, and writes who did into its audit log.
// Nobody can make a browser send this from another site: it takes a header that only scripts of this one can set.
export async function change(method, path, body) {
  const url = new URL(`../api/v2/${path.map(encodeURIComponent).join("/")}`, ROOT);
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-Requested-With": "snowflake-batch" };
  let response;
  try {
    response = await fetch(url, { method, body: JSON.stringify(body), credentials: "same-origin", headers });
  } catch {
    throw new Error("Airflow's API server cannot be reached. Whether it has heard of this is not known.");
  }
  if (!response.ok) throw new Error(REFUSALS[response.status] ?? explain(response.status));
}

// The latest answer, when that was by the server's clock, and what went wrong since. isLive tells of an answer whether
// it will change soon.
export function usePolled(path, parameters, isLive, often = OFTEN) {
  const key = JSON.stringify([path, parameters]);
  const [state, setState] = useState(() => {
    const last = kept.get(path);
    const nothing = { key: null, data: null, error: null, at: null };
    return last && Date.now() - last.left < REBUILT ? last.state : nothing;
  });
  const shown = useRef(state);
  shown.current = state;
  const again = useRef(() => {});

  useEffect(() => {
    let timer, controller;
    let over = false;

    async function look() {
      clearTimeout(timer);
      controller?.abort("again");
      // Nobody looks: the next look is when the page is shown again.
      if (document.hidden) return;
      const mine = (controller = new AbortController());
      const patience = setTimeout(() => mine.abort("late"), PATIENCE);
      let pause = SELDOM;
      try {
        const data = await ask(path, parameters, mine.signal);
        if (over || mine !== controller) return;
        setState({ key, data, error: null, at: data.now ?? Date.now() / 1000 });
        if (isLive(data)) pause = often;
      } catch (error) {
        if (over || mine !== controller) return;
        // What was there stays, unless it belongs to another question.
        setState((last) => ({ ...(last.key === key ? last : { data: null, at: null }), key, error }));
      } finally {
        clearTimeout(patience);
      }
      timer = setTimeout(look, pause);
    }

    again.current = look;
    document.addEventListener("visibilitychange", look);
    look();
    return () => {
      over = true;
      clearTimeout(timer);
      controller?.abort("over");
      document.removeEventListener("visibilitychange", look);
    };
  }, [key]);
  useEffect(() => () => kept.set(path, { state: shown.current, left: Date.now() }), [path]);

  return { ...state, loading: state.key !== key, refresh: () => again.current() };
}
