// How far each replica of a job is, as its card tells.

import { formatNumber, formatRate, replicaLook } from "./format.js";
import { locale, scrolled } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Badge, Progress, Table, Text, VisuallyHidden } = globalThis.ChakraUI;

export function Replicas({ job }) {
  const told = job.card.progress?.by_replica;
  if (!told) return null;
  const over = job.group !== "active";
  const most = Math.max(1, ...told.each.map((one) => one.rows));
  const table = h(
    Table.Root,
    { "aria-label": "Rows by replica", size: "sm", width: "auto" },
    h(
      Table.Header,
      null,
      h(
        Table.Row,
        null,
        ["Replica", "State", "Rows", h(VisuallyHidden, null, "Rows as a bar"), "Speed"].map((name, place) => h(Table.ColumnHeader, { key: place, scope: "col" }, name)),
      ),
    ),
    h(
      Table.Body,
      null,
      told.each.map((one) => h(Replica, { key: one.replica, one, over, most })),
      told.others && h(Others, { told }),
    ),
  );
  return scrolled("Rows by replica", table, { mt: 3 });
}

function Replica({ one, over, most }) {
  const { label, palette } = replicaLook(one, over);
  return h(
    Table.Row,
    null,
    h(Table.Cell, null, String(one.replica)),
    h(Table.Cell, null, h(Badge, { borderRadius: "full", colorPalette: palette, px: 2, size: "sm" }, label)),
    h(Table.Cell, { textAlign: "end" }, formatNumber(one.rows, locale())),
    h(
      Table.Cell,
      { minW: "3rem", w: "9rem" },
      h(
        Progress.Root,
        { colorPalette: palette, max: most, size: "xs", value: one.rows },
        h(
          Progress.Track,
          {
            "aria-label": `Rows of replica ${one.replica}`,
            "aria-valuemax": most,
            "aria-valuemin": 0,
            "aria-valuenow": one.rows,
            borderRadius: "full",
            role: "progressbar",
          },
          h(Progress.Range, { bg: "colorPalette.solid" }),
        ),
      ),
    ),
    h(Table.Cell, { textAlign: "end", whiteSpace: "nowrap" }, formatRate(one.rows_per_second, locale()) ?? "–"),
  );
}

// Of many replicas, those that simply run are told together.
function Others({ told }) {
  const counts = Object.entries(told.others).map(([state, count]) => `${formatNumber(count, locale())} ${state}`);
  const rows = formatNumber(told.others_rows, locale());
  return h(
    Table.Row,
    null,
    h(Table.Cell, { colSpan: 5 }, h(Text, { color: "fg.muted" }, `${counts.join(", ")} more: ${rows} rows`)),
  );
}
