// The node time of a job, and what it may cost.

import { formatDuration } from "./format.js";
import { locale, section } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Text } = globalThis.ChakraUI;

export function Cost({ cost }) {
  if (typeof cost?.node_seconds !== "number") return null;
  const { node_seconds: seconds, credits, least_credits: least, prices_of: date } = cost;
  const known = typeof credits === "number";
  const told = [`${formatDuration(seconds)} of node time`, known && `about ${amount(credits)} credits`];
  return section(
    "Cost (an estimate)",
    h(Text, null, told.filter(Boolean).join(" · ")),
    h(
      Text,
      { color: "fg.muted", fontSize: "xs" },
      "If each replica has a node of its own, from when the job was seen to run. ",
      known && least > credits && `Snowflake bills five minutes at least for a node that it starts: ${amount(least)} credits then. `,
      known && (date ? `Prices of ${date}.` : "Prices of your own."),
    ),
  );
}

function amount(credits) {
  return new Intl.NumberFormat(locale(), { maximumSignificantDigits: 2 }).format(credits);
}
