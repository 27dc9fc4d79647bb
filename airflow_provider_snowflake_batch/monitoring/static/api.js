// Asking the endpoints, again and again while somebody looks.

const { useEffect, useRef, useState } = globalThis.React;

// A change is to be seen within two seconds, of which the server may be a quarter behind, and an answer takes its time. That
// nothing has changed costs little to say (ETag).
const AT_ONCE = 1_250;
// After an error.
const SELDOM = 15_000;
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

// What an endpoint answers, and the answer's tag; null for data if the answer is still the one that had the given tag.
export async function ask(path, parameters, signal, tag) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  let response, text;
  try {
    const headers = { Accept: "application/json", ...(tag && { "If-None-Match": tag }) };
    response = await fetch(url, { credentials: "same-origin", headers, signal });
    text = await response.text();
  } catch (error) {
    if (signal.aborted && signal.reason !== "late") throw error;
    throw new Error("Airflow's API server cannot be reached.");
  }
  if (response.status === 304) return { data: null, tag };
  if (!response.ok) throw new Error(explain(response.status));
  try {
    return { data: JSON.parse(text), tag: response.headers.get("ETag") };
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

// The latest answer, when that was so by the server's clock, and what went wrong since.
export function usePolled(path, parameters) {
  const key = JSON.stringify([path, parameters]);
  const [state, setState] = useState(() => {
    const last = kept.get(path);
    const nothing = { key: null, data: null, tag: null, error: null, at: null, ahead: 0 };
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
        const had = shown.current.key === key ? shown.current : {};
        const { data, tag } = await ask(path, parameters, mine.signal, had.tag);
        if (over || mine !== controller) return;
        const now = Date.now() / 1000;
        if (data) setState({ key, data, tag, error: null, at: data.now ?? now, ahead: (data.now ?? now) - now });
        else setState((last) => ({ ...last, error: null, at: now + last.ahead }));
        pause = AT_ONCE;
      } catch (error) {
        if (over || mine !== controller) return;
        // What was there stays, unless it belongs to another question.
        setState((last) => ({ ...(last.key === key ? last : { data: null, tag: null, at: null, ahead: 0 }), key, error }));
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
