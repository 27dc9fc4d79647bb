// What a job that is done has written: files, their size, the columns of its results, and a few rows if the task keeps some.

import { formatBytes, formatCount } from "./format.js";
import { locale, scrolled, section } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Box, Code, Table, Text } = globalThis.ChakraUI;

export function Output({ job, exampleRows }) {
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
    exampleRows && h(ExampleRows, exampleRows),
    output.columns?.length > 0 && h(Columns, { columns: output.columns, leftOut: output.columns_left_out }),
  );
}

function Columns({ columns, leftOut }) {
  const heads = ["Column", "Type"].map((name) => h(Table.ColumnHeader, { key: name, scope: "col" }, name));
  const line = (cells, key) => h(Table.Row, { key }, cells.map((cell, place) => h(Table.Cell, { key: place, minW: "6rem" }, h(Code, { wordBreak: "break-all" }, cell ?? "–"))));
  const more = leftOut > 0 && h(Table.Row, null, h(Table.Cell, { color: "fg.muted", colSpan: 2 }, `${formatCount(leftOut, "column", locale())} more`));
  const table = h(
    Table.Root,
    { "aria-label": "Columns of the results", size: "sm", width: "auto" },
    h(Table.Header, null, h(Table.Row, null, heads)),
    h(Table.Body, null, columns.map(line), more),
  );
  return scrolled("Columns of the results", table, { maxH: "20rem", mt: 2, overflowY: "auto" });
}

// All values are texts, as Snowflake writes them.
function ExampleRows({ columns, rows, columns_left_out: leftOut, no_rows: why }) {
  const muted = (...texts) => h(Text, { color: "fg.muted", fontSize: "sm", mt: 2 }, ...texts);
  if (why) return muted("Example rows: ", why);
  if (rows.length === 0) return muted("Example rows: none, as the file that was read has none, or they are too long.");
  const counts = [formatCount(rows.length, "row", locale()), leftOut > 0 && `without ${formatCount(leftOut, "column", locale())}`];
  const table = h(
    Table.Root,
    { "aria-label": "Example rows", size: "sm", width: "auto" },
    h(Table.Header, null, h(Table.Row, null, columns.map((name, place) => h(Table.ColumnHeader, { key: place, scope: "col" }, name)))),
    h(Table.Body, null, rows.map((row, key) => h(Table.Row, { key }, row.map((value, place) => h(Table.Cell, { key: place, maxW: "24rem", minW: "6rem", wordBreak: "break-word" }, value === null ? h(Text, { as: "span", color: "fg.muted", fontStyle: "italic" }, "NULL") : value))))),
  );
  return h(
    Box,
    null,
    muted("Of one file, as text: ", counts.filter(Boolean).join(", "), ". Whoever may read the XComs of the task sees them."),
    scrolled("Example rows", table, { maxH: "20rem", mt: 1, overflowY: "auto" }),
  );
}
