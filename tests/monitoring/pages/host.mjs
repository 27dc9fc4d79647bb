// What the pages' scripts find in a browser with Airflow's UI, as far as they need it to be run without either: a small
// React, components that are nothing but their name and properties, and answers to what they ask the server.

let changed = false;
let slots = null;
let pending = [];
const instances = new Map();

function slot(make) {
  const index = slots.next++;
  if (!(index in slots.values)) slots.values[index] = make();
  return slots.values[index];
}

globalThis.React = {
  createElement: (type, props, ...children) => ({ type, props: { ...props, ...(children.length && { children }) } }),
  useState(first) {
    const cell = slot(() => ({ value: first }));
    const set = (next) => {
      const value = typeof next === "function" ? next(cell.value) : next;
      if (!Object.is(value, cell.value)) [cell.value, changed] = [value, true];
    };
    return [cell.value, set];
  },
  useRef: (first) => slot(() => ({ current: first })),
  useEffect(effect, inputs) {
    const cell = slot(() => ({ inputs: null }));
    if (cell.inputs && inputs.every((each, index) => Object.is(each, cell.inputs[index]))) return;
    pending.push(() => {
      cell.undo?.();
      cell.undo = effect();
    });
    cell.inputs = inputs;
  },
};

const named = (name) =>
  new Proxy({ name }, { get: (_, part) => (part === "name" ? name : named(`${name}.${String(part)}`)) });
globalThis.ChakraUI = new Proxy({}, { get: (_, name) => named(name) });
globalThis.ReactRouterDOM = {
  Link: named("RouterLink"),
  useSearchParams: () => [new URLSearchParams(globalThis.search ?? ""), () => {}],
};
globalThis.document = {
  documentElement: { lang: "en" },
  hidden: false,
  addEventListener() {},
  removeEventListener() {},
};
globalThis.localStorage = { getItem: (name) => (name === "timezone" ? '"UTC"' : null) };

// The page as nested [name, properties, children], where children are such or texts.
function drawn(element, path) {
  if (element === null || element === undefined || typeof element === "boolean") return [];
  if (Array.isArray(element))
    return element.flatMap((each, index) => drawn(each, `${path}/${each?.props?.key ?? index}`));
  if (typeof element !== "object") return [String(element)];
  const { type, props } = element;
  if (typeof type === "function") {
    const here = `${path}>${type.name}`;
    if (!instances.has(here)) instances.set(here, []);
    slots = { next: 0, values: instances.get(here) };
    return drawn(type(props), here);
  }
  const { children, ...rest } = props;
  return [[type.name ?? type, rest, drawn(children, `${path}/${type.name ?? type}`)]];
}

// Draws a component until it rests; its polling goes on, so whoever calls has to end the process.
export async function settled(component, props) {
  for (let round = 0; round < 20; round++) {
    changed = false;
    const tree = drawn({ type: component, props }, "");
    for (const effect of pending.splice(0)) effect();
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (!changed) return tree;
  }
  throw new Error("The page never rests");
}
