// What a job that is done has written: files, their size, and the columns of its results.

import { formatBytes, formatCount } from "./format.js";
import { locale, scrolled, section } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Code, Table, Text } = globalThis.ChakraUI;

export function Output({ job }) {
  const { output, progress } = job.card;
  if (!output) return null;
  const counts = [
    typeof progress?.rows_done === "number" && formatCount(progress.rows_done, "row", locale()),
    typeof output.files === "number" && formatCount(output.files, "file", locale()),
    formatBytes(output.bytes, locale()),
    output.columns && formatCount(output.columns.length + (output.columns_left_out ?? 0), "column", locale()),
  ];
  return section(
    "Results",
    h(Text, null, counts.filter(Boolean).join(" · ")),
    output.columns?.length > 0 && h(Columns, { columns: output.columns, leftOut: output.columns_left_out }),
  );
}

function Columns({ columns, leftOut }) {
  const heads = ["Column", "Type"].map((name) => h(Table.ColumnHeader, { key: name, scope: "col" }, name));
  const line = (cells, key) => h(Table.Row, { key }, cells.map((cell, place) => h(Table.Cell, { key: place }, h(Code, null, cell ?? "–"))));
  const more = leftOut > 0 && h(Table.Row, null, h(Table.Cell, { color: "fg.muted", colSpan: 2 }, `${formatCount(leftOut, "column", locale())} more`));
  const table = h(
    Table.Root,
    { "aria-label": "Columns of the results", size: "sm", width: "auto" },
    h(Table.Header, null, h(Table.Row, null, heads)),
    h(Table.Body, null, columns.map(line), more),
  );
  return scrolled("Columns of the results", table, { maxH: "20rem", mt: 2, overflowY: "auto" });
}
