// What a list is filtered and sorted by. It is kept here, and the address follows it: Airflow builds a page anew at the
// first change of its address, and the router tells of changes late, so neither component nor address can be its place.

const { useLayoutEffect, useState } = globalThis.React;
const { useSearchParams } = globalThis.ReactRouterDOM;

const NAMES = ["group", "dag_id", "text", "sort", "reverse", "after", "before"];
const TYPING = 400;
// Within which a page that was taken away and comes back is the same one.
const REBUILT = 2_000;

// The hook of one page, and its state.
export function makeFilter() {
  const nothing = Object.fromEntries(NAMES.map((name) => [name, ""]));
  const state = { drawn: new Set(), draft: nothing, settled: nothing, seen: null, written: [], last: null, left: 0, focus: {} };

  function draw() {
    for (const each of state.drawn) each((count) => count + 1);
  }

  function settle(changed = "text") {
    clearTimeout(state.timer);
    state.settled = { ...state.draft, text: state.draft.text.trim() };
    const address = inAddress(state.settled);
    if (address !== (state.written.at(-1) ?? state.seen)) {
      state.written.push(address);
      // Back leads to the filter before, not through all letters of a word.
      const replace = changed === "text" && state.last === "text";
      state.last = changed;
      state.write(new URLSearchParams(address), { replace });
    }
    draw();
  }

  function change(changes, name = Object.keys(changes)[0]) {
    state.draft = { ...state.draft, after: "", before: "", ...changes };
    settle(name);
  }

  function type(text) {
    state.draft = { ...state.draft, after: "", before: "", text };
    clearTimeout(state.timer);
    state.timer = setTimeout(settle, TYPING);
    draw();
  }

  // Takes over what somebody else has put into the address: a link, or the way back. Tells whether there was something.
  function follow(asked) {
    const address = inAddress(Object.fromEntries(NAMES.map((name) => [name, asked.get(name) ?? ""])));
    if (address === state.seen) return false;
    state.seen = address;
    const own = state.written.indexOf(address);
    state.written.splice(0, own + 1);
    if (own >= 0) return false;
    clearTimeout(state.timer);
    [state.written, state.last] = [[], null];
    state.settled = state.draft = { ...nothing, ...Object.fromEntries(new URLSearchParams(address)) };
    return true;
  }

  return function useFilter() {
    const [asked, setAsked] = useSearchParams();
    const [, redraw] = useState(0);
    // Not while drawing: React may draw what is new, drop that for a letter that was typed, and draw what was before.
    useState(() => follow(asked));
    useLayoutEffect(() => {
      if (follow(asked)) draw();
    }, [asked.toString()]);
    useLayoutEffect(() => {
      state.write = setAsked;
    });
    // Before anybody can type the next letter.
    useLayoutEffect(() => {
      state.drawn.add(redraw);
      const { id, from, to } = Date.now() - state.left <= REBUILT ? state.focus : {};
      const focused = id ? document.getElementById(id) : null;
      focused?.focus();
      if (focused && from !== null) focused.setSelectionRange?.(from, to);
      if (state.draft.text.trim() !== state.settled.text) {
        // What was being typed when the page was built anew, or was left.
        if (focused) type(state.draft.text);
        else state.draft = state.settled;
      }
      redraw((count) => count + 1);
      return () => {
        const { id, selectionStart, selectionEnd } = document.activeElement ?? {};
        state.focus = { id, from: selectionStart ?? null, to: selectionEnd };
        state.left = Date.now();
        state.drawn.delete(redraw);
        clearTimeout(state.timer);
      };
    }, []);
    return { draft: state.draft, settled: state.settled, change, type, settle };
  };
}

function inAddress(filter) {
  return new URLSearchParams(NAMES.filter((name) => filter[name]).map((name) => [name, filter[name]])).toString();
}
