// What runs and what has ended in the last days, of all jobs together.

import { usePolled } from "./api.js";
import { formatCount, formatDay, formatHours, formatNumber, formatRate } from "./format.js";
import { Figures, locale, timeZone } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Box, Flex, Text } = globalThis.ChakraUI;

const HEIGHT = 48;

// An error is told where the jobs are.
export function Overview({ dagId }) {
  const zone = timeZone() ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const { data } = usePolled("overview", { dag_id: dagId, timezone: zone });
  if (!data) return h(Box, { minH: "6rem" });
  const { waiting, unconfirmed } = data;
  const counts = [waiting > 0 && `${formatNumber(waiting, locale())} waiting`, unconfirmed > 0 && `${formatNumber(unconfirmed, locale())} not confirmed`];
  return h(
    Flex,
    { as: "section", "aria-label": "Overview", align: "flex-start", borderRadius: "md", borderWidth: "1px", columnGap: 10, mb: 4, p: 3, rowGap: 3, wrap: "wrap" },
    h(Figures, {
      figures: [
        ["Running now", formatNumber(data.running, locale()), counts.filter(Boolean).join(" · ")],
        ["Speed of all", data.rows_per_second > 0 ? formatRate(data.rows_per_second, locale()) : "–"],
        ["Failed or cancelled in 24 hours", formatNumber(data.failed_last_day, locale())],
        ["Node-hours in 7 days", formatHours(data.node_seconds, locale())],
      ],
    }),
    h(Days, { days: data.days, zone: data.timezone }),
  );
}

function Days({ days, zone }) {
  const most = Math.max(1, ...days.map(({ done, failed }) => done + failed));
  const texts = days.map(({ begin, done, failed, node_seconds }) => {
    const parts = [`${formatNumber(done, locale())} done`, `${formatNumber(failed, locale())} failed or cancelled`];
    return `${formatDay(begin, zone, "long", locale())}: ${parts.join(", ")}, ${formatHours(node_seconds, locale())} node-hours`;
  });
  const total = days.reduce((sum, { done, failed }) => sum + done + failed, 0);
  return h(
    Box,
    { as: "figure", flex: "0 1 19rem", m: 0 },
    h(Text, { as: "figcaption", color: "fg.muted", fontSize: "xs", mb: 1 }, `${formatCount(total, "job", locale())} ended in 7 days, by day`),
    h(
      Flex,
      { align: "flex-end", "aria-label": `Jobs that ended. ${texts.join("; ")}`, gap: 2, overflow: "hidden", role: "img" },
      days.map((day, index) =>
        h(
          Box,
          { key: day.begin, flex: "1 1 0", maxW: "2.5rem", textAlign: "center", title: texts[index] },
          h(Text, { fontSize: "2xs" }, day.done + day.failed > 0 ? formatNumber(day.done + day.failed, locale()) : ""),
          h(Bar, { colorPalette: "failed", share: day.failed / most }),
          h(Bar, { colorPalette: "success", share: day.done / most }),
          h(Box, { bg: "border", h: "1px" }),
          h(Text, { color: "fg.muted", fontSize: "2xs" }, formatDay(day.begin, zone, "short", locale())),
        ),
      ),
    ),
  );
}

// One job among thousands is to be seen, too.
function Bar({ share, ...more }) {
  return share > 0 ? h(Box, { bg: "colorPalette.solid", h: `${Math.max(2, HEIGHT * share)}px`, ...more }) : null;
}
