// How numbers, times and names are written.

import assert from "node:assert/strict";
import { test } from "node:test";

const functions = await import(new URL("format.js", process.env.PAGES_SCRIPT));

const CASES = [
  [["formatNumber", 1234567], "1,234,567"],
  [["formatNumber", 1234567, "de"], "1.234.567"],
  [["formatNumber", null], "–"],
  [["formatRate", 3.25], "3.3 rows/s"],
  [["formatRate", 26543.2], "26,543 rows/s"],
  [["formatRate", null], null],
  [["formatBytes", 0], "0 bytes"],
  [["formatBytes", 1], "1 byte"],
  [["formatBytes", 1234567], "1.2 MB"],
  [["formatBytes", 234567890123], "235 GB"],
  [["formatBytes", -1], null],
  [["formatDuration", 0.4], "0 s"],
  [["formatDuration", 59.6], "1 min 0 s"],
  [["formatDuration", 3725], "1 h 2 min"],
  [["formatDuration", 200000], "2 d 7 h"],
  [["formatDuration", -1], "–"],
  [["formatTime", 1_793_534_400, "UTC"], "2026-11-01 12:00:00"],
  [["formatTime", 1_793_534_400, "America/New_York"], "2026-11-01 07:00:00"],
  [["formatTime", 1e300, "UTC"], "–"],
  [["formatTime", null, "UTC"], "–"],
  [["percentDone", {"rows_done": 1, "rows_total": 4}], 25],
  [["percentDone", {"rows_done": 9, "rows_total": 4}], 100],
  [["percentDone", {"rows_done": 0, "rows_total": 0}], null],
  [["percentDone", null], null],
  [["formatRows", {"rows_done": 5}], "5 rows"],
  [["formatRows", {"rows_done": 5, "rows_reused": 0}], "5 rows"],
  [["formatRows", {"rows_done": 5, "rows_reused": 3}], "5 rows, 3 kept from earlier tries"],
  [["formatRows", {"rows_done": 5, "rows_total": 9, "rows_reused": 3}], "5 of 9 rows, 3 kept from earlier tries"],
  [["formatRows", {"rows_done": 5, "quarantined_rows": 0}], "5 rows"],
  [["formatRows", {"rows_done": 5, "rows_total": 9, "rows_reused": 3, "quarantined_rows": 2}], "5 of 9 rows, 3 kept from earlier tries, 2 set aside as bad"],
  [["shortName", 'DB."a.b"."my ""x.y"'], '"my ""x.y"'],
  [["shortName", "DB.PUBLIC.M"], "M"],
  [["shortName", null], "–"],
  [["formatRows", { rows_done: 1 }], "1 row"],
  [["formatRows", { rows_done: 0, rows_total: 1 }], "0 of 1 row"],
  [["reason", "Job failed\n  File x\nValueError: no\n\n"], "ValueError: no"],
  [["reason", 'Job D."a b".J ended as FAILED. ModelError: no. It stands there.'], "ModelError: no. It stands there."],
  [["reason", "Job D.S.J ended as FAILED."], "Job D.S.J ended as FAILED."],
  [["reason", " "], null],
  [["reason", null], null],
  [["taskName", {"task_id": "t", "map_index": 2, "map_label": "March"}], "t [2] March"],
  [["taskPath", {"dag_id": "d", "run_id": "r/?#+:", "task_id": "g.t", "map_index": 0}], "/dags/d/runs/r%2F%3F%23+:/tasks/g.t/mapped/0"],
  [["chosenTimeZone", '"Europe/Berlin"'], "Europe/Berlin"],
  [["chosenTimeZone", '"Mars/Base"'], null],
  [["chosenTimeZone", "{"], null],
  [["chosenTimeZone", null], null],
  [["taskName", { task_id: "t", map_index: 2, map_label: "2" }], "t [2]"],
  [["taskName", { task_id: "t", map_index: -1, map_label: null }], "t"],
  [["staleSeconds", { group: "active", card: { updated_at: 100, confirmed_every: 10 } }, 130], null],
  [["staleSeconds", { group: "active", card: { updated_at: 100, confirmed_every: 10 } }, 131], 31],
  [["staleSeconds", { group: "active", card: { updated_at: 100, confirmed_every: 100 } }, 131], null],
  [["staleSeconds", { group: "active", card: { updated_at: 100, confirmed_every: null } }, 1e9], null],
  [["staleSeconds", { group: "done", card: { updated_at: 100, confirmed_every: 10 } }, 131], null],
  [["jobSeconds", { group: "active", card: { submitted_at: 10, updated_at: 100, confirmed_every: 10 } }, 120], 110],
  [["jobSeconds", { group: "active", card: { submitted_at: 10, updated_at: 100, confirmed_every: 10 } }, 200], 90],
  [["jobSeconds", { group: "failed", card: { job_name: "", submitted_at: 10, ended_at: 10 } }, 200], null],
];

for (const [[name, ...given], expected] of CASES) {
  test(`${name} ${JSON.stringify(given)}`, () => assert.deepEqual(functions[name](...given) ?? null, expected));
}
