// A job's speed over time, as a small chart.

import { formatDuration, formatRate, speeds } from "./format.js";
import { locale } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Box, Flex, Text } = globalThis.ChakraUI;

const [WIDTH, HEIGHT] = [600, 80];

export function Throughput({ job }) {
  const told = speeds(job.card.history);
  // Two speeds make a line.
  if (told.length < 2) return null;
  const most = Math.max(...told.map(({ rate }) => rate));
  if (!(most > 0)) return null;
  const [first, last] = [told[0].from, told.at(-1).to];
  const x = (seconds) => (WIDTH * (seconds - first)) / (last - first);
  const y = (rate) => HEIGHT - 2 - ((HEIGHT - 4) * rate) / most;
  // A speed holds for the whole time between two looks.
  const steps = told.map(({ from, to, rate }) => `${x(from).toFixed(1)},${y(rate).toFixed(1)} ${x(to).toFixed(1)},${y(rate).toFixed(1)}`);
  const line = steps.join(" ");
  const [highest, newest] = [most, told.at(-1).rate].map((rate) => formatRate(rate, locale()));
  const words = `Speed over time: ${highest} at most, ${newest} at last`;
  return h(
    Box,
    { as: "figure", maxW: "40rem", mt: 3 },
    h(Text, { as: "figcaption", color: "fg.muted", fontSize: "xs" }, words),
    h(
      Box,
      { borderBottomWidth: "1px", borderColor: "border", color: "fg.info" },
      h(
        "svg",
        { "aria-label": words, height: HEIGHT, preserveAspectRatio: "none", role: "img", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: "100%" },
        h("polygon", { fill: "currentColor", fillOpacity: 0.15, points: `0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}` }),
        h("polyline", { fill: "none", points: line, stroke: "currentColor", strokeWidth: 1.5, vectorEffect: "non-scaling-stroke" }),
      ),
    ),
    h(
      Flex,
      { color: "fg.muted", fontSize: "xs", justify: "space-between" },
      [first, last].map((seconds) => h("span", { key: seconds }, `after ${formatDuration(seconds)}`)),
    ),
  );
}
