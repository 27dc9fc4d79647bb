"""Loading results into tables, against the local Snowflake.

Also tests ``hooks/loading.py``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat import sdk
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from snowflake.connector.errors import ProgrammingError

from airflow_provider_snowflake_batch.exceptions import JobInputError, SnowflakeBatchError
from airflow_provider_snowflake_batch.hooks import loading
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs import row_statements
from airflow_provider_snowflake_batch.jobs.column_types import FileColumn
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator

LOCATION = "@LOAD_TESTS/job"


@pytest.fixture
def output(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    """A directory of results that holds _SUCCESS only, as of a runtime that writes no manifest."""
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run(["CREATE OR REPLACE STAGE LOAD_TESTS", "DROP TABLE IF EXISTS SCORES"])
        opened.write_file(f"{LOCATION}/_SUCCESS", b"")
        yield opened


def put(hook: SnowflakeBatchHook, name: str, table: pa.Table, location: str = LOCATION) -> None:
    content = io.BytesIO()
    pq.write_table(table, content)
    hook.write_file(f"{location}/{name}", content.getvalue())


@pytest.fixture
def hook(output: SnowflakeBatchHook) -> SnowflakeBatchHook:
    """Results of three rows in two files, with rows in quarantine and a manifest."""
    for number, rows in enumerate(([1, 2], [3])):
        table = pa.table({"ID": rows, "score": [row / 2 for row in rows], "label": [f"l{row}" for row in rows]})
        put(output, f"part-{number}.parquet", table)
        put(output, f"_quarantine/part-{number}.parquet", table)
    output.write_file(f"{LOCATION}/_manifest.json", json.dumps({"rows": 3}).encode())
    return output


def load(**changes: Any) -> dict[str, Any]:
    given = {"task_id": "load", "stage_location": LOCATION, "table": "scores"}
    return LoadBatchResultsOperator(**(given | changes)).execute({})


def scores(hook: SnowflakeBatchHook) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in hook.rows("SELECT ID, SCORE, LABEL FROM SCORES ORDER BY ID")]


ROWS = [(1, 0.5, "l1"), (2, 1.0, "l2"), (3, 1.5, "l3")]


def test_what_was_loaded_is_traced_and_counted(
    hook: SnowflakeBatchHook, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Any, ...]] = []
    stats = SimpleNamespace(
        incr=lambda name, value, *, tags: told.append((name, value, tags)),
        timing=lambda name, value, *, tags: told.append((name, value > 0, tags)),
    )
    monkeypatch.setattr(sdk, "Stats", stats, raising=False)
    operator = LoadBatchResultsOperator(task_id="load", stage_location=LOCATION, table="scores")
    context: Any = {"ti": SimpleNamespace(dag_id="dag", task_id="load", xcom_push=lambda **_: None)}
    assert operator.execute(context)["rows"] == 3
    tags = {"dag_id": "dag", "task_id": "load"}
    assert told == [("snowflake_batch.load.rows", 3, tags), ("snowflake_batch.load.duration", True, tags)]
    (span,) = spans.get_finished_spans()
    assert span.name == "snowflake_batch.load"
    attributes = dict(span.attributes or {})
    assert (attributes["snowflake_batch.load.rows"], attributes["snowflake_batch.load.files"]) == (3, 2)
    assert attributes["snowflake_batch.load.mode"] == "append"


def test_what_could_not_be_loaded_is_traced(hook: SnowflakeBatchHook, spans: InMemorySpanExporter) -> None:
    hook.write_file(f"{LOCATION}/_manifest.json", json.dumps({"rows": 4}).encode())
    with pytest.raises(SnowflakeBatchError):
        load()
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert "snowflake_batch.load.rows" not in dict(span.attributes or {})


def test_a_missing_table_is_created_and_only_data_is_loaded(hook: SnowflakeBatchHook) -> None:
    assert load() == {"table": "LOCAL.PUBLIC.SCORES", "rows": 3, "files": 2}
    assert scores(hook) == ROWS


def test_the_outlets_event_tells_what_was_loaded(hook: SnowflakeBatchHook) -> None:
    table, events = Asset("scores"), OutletEventAccessors()
    task = LoadBatchResultsOperator(task_id="load", stage_location=LOCATION, table="scores", outlets=[table])
    task.execute({"outlet_events": events})
    assert events[table].extra == {
        "table": "LOCAL.PUBLIC.SCORES",
        "rows": 3,
        "files": 2,
        "output_location": "@LOCAL.PUBLIC.LOAD_TESTS/job/",
    }


def test_appending_twice_loads_once(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE TABLE SCORES (ID INT, SCORE FLOAT, LABEL STRING, NOTE STRING)")
    hook.run("INSERT INTO SCORES VALUES (0, 0, 'l0', 'kept')")
    load()
    assert load() == {"table": "LOCAL.PUBLIC.SCORES", "rows": 0, "files": 0}
    assert scores(hook) == [(0, 0.0, "l0"), *ROWS]


def test_overwriting_replaces_every_row_as_often_as_asked(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE TABLE SCORES (ID INT, SCORE FLOAT, LABEL STRING)")
    hook.run("INSERT INTO SCORES VALUES (0, 0, 'old')")
    for _ in range(2):
        assert load(mode="overwrite")["rows"] == 3
        assert scores(hook) == ROWS


@pytest.mark.parametrize("name", ['a"b', "", "é" * 256], ids=["quote", "empty", "long"])
def test_such_a_column_is_left_out_where_the_table_has_none_of_its_name(output: SnowflakeBatchHook, name: str) -> None:
    output.run("CREATE TABLE SCORES (ID INT)")
    put(output, "part.parquet", pa.table({"ID": [1], name: [2]}))
    assert load()["rows"] == 1
    assert output.rows("SELECT * FROM SCORES") == [{"id": 1}]


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_rows_that_the_manifest_does_not_know_leave_the_table_as_it_was(hook: SnowflakeBatchHook, mode: str) -> None:
    hook.run("CREATE TABLE SCORES (ID INT, SCORE FLOAT, LABEL STRING)")
    hook.run("INSERT INTO SCORES VALUES (0, 0, 'old')")
    hook.write_file(f"{LOCATION}/_manifest.json", json.dumps({"rows": 4}).encode())
    with pytest.raises(SnowflakeBatchError, match="has 4 rows by its manifest, but 3 were loaded"):
        load(mode=mode)
    assert scores(hook) == [(0, 0.0, "old")]


@pytest.mark.parametrize("name", ["ORDER", 'it\'s "1".b', "ünï", "a;--"])
def test_names_that_need_quotes(hook: SnowflakeBatchHook, name: str) -> None:
    quoted, shown = Identifier(name).quoted(), str(Identifier(name))
    hook.run([f"CREATE SCHEMA IF NOT EXISTS {quoted}", f"DROP TABLE IF EXISTS {quoted}.{quoted}"])
    hook.run(f"CREATE OR REPLACE STAGE {quoted}.{quoted}")
    put(hook, "part.parquet", pa.table({"ID": [7]}), location=f"@{quoted}.{quoted}/job")
    hook.write_file(f"@{quoted}.{quoted}/job/_SUCCESS", b"")
    for _ in range(2):
        loaded = load(stage_location=f"@{quoted}.{quoted}/job", table=f"{quoted}.{quoted}", mode="overwrite")
        assert loaded == {"table": f"LOCAL.{shown}.{shown}", "rows": 1, "files": 1}
    assert hook.rows(f"SELECT * FROM {quoted}.{quoted}") == [{"id": 7}]


def test_without_success_nothing_is_loaded(hook: SnowflakeBatchHook) -> None:
    hook.remove_files(f"{LOCATION}/_SUCCESS")
    with pytest.raises(SnowflakeBatchError, match="has no _SUCCESS: its files are not complete. .*BatchSuccessSensor"):
        load()
    assert hook.rows("SHOW TABLES LIKE 'SCORES'") == []


def test_without_a_manifest_there_is_nothing_to_compare(hook: SnowflakeBatchHook) -> None:
    hook.remove_files(f"{LOCATION}/_manifest.json")
    assert load()["rows"] == 3


MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1, 2], [1.5, 2.5]),
        ([1.5], [2]),
        (pa.array([Decimal("1.5")], pa.decimal128(3, 1)), pa.array([Decimal("1.2345")], pa.decimal128(9, 4))),
        (pa.array([date(2026, 1, 1)]), pa.array([MOMENT])),
        (pa.nulls(2), [1.5]),
        (pa.nulls(1), pa.array([MOMENT])),
        (None, [2.5]),
        ([b"\x00\xff", b"a"], [b""]),
        (["", "a"], ["x", None]),
        (pa.array([MOMENT]), pa.array([MOMENT], pa.timestamp("ns"))),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_new_table_has_types_for_every_file(
    output: SnowflakeBatchHook, first: Any, second: Any, turned: bool
) -> None:
    expected = []
    for number, values in enumerate((second, first) if turned else (first, second)):
        put(output, f"{number}.parquet", pa.table({"N": [number] * 2} if values is None else {"P": values}))
        expected += [None, None] if values is None else pa.array(values).to_pylist()
    load()
    rows = [row["p"] for row in output.rows("SELECT * FROM SCORES")]
    as_moments = [datetime(v.year, v.month, v.day) if type(v) is date else v for v in expected]
    assert sorted(map(str, rows)) == sorted(map(str, as_moments)) or sorted(rows) == sorted(expected)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1], ["x"], r"stage_location: column P is NUMBER\(38, 0\) in .*0.parquet and TEXT in .*1.parquet"),
        ([2**53 + 1], [0.5], "column P"),
        (pa.array([MOMENT]), pa.array([MOMENT.replace(tzinfo=UTC)]), "column P"),
    ],
)
def test_files_without_a_common_type_load_nothing(
    output: SnowflakeBatchHook, first: Any, second: Any, message: str
) -> None:
    for number, values in enumerate((first, second)):
        put(output, f"{number}.parquet", pa.table({"P": values}))
    with pytest.raises((JobInputError, ProgrammingError), match=message):
        load()
    assert output.rows("SHOW TABLES LIKE 'SCORES'") == []


@pytest.mark.parametrize("table", [None, "FLOAT", "NUMBER(38, 0)", "VARCHAR"])
def test_whole_numbers_beside_floating_point_ones_are_loaded_as_they_are(
    output: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch, table: str | None
) -> None:
    monkeypatch.setattr(row_statements, "MOST_INFERRED_FILES", 1)
    if table is not None:
        output.run(f"CREATE TABLE SCORES (P {table})")
    put(output, "0.parquet", pa.table({"P": [2**53, 2**60, None]}))
    put(output, "1.parquet", pa.table({"P": [2.0, None]}))
    assert load()["rows"] == 5
    assert sorted(int(float(row["p"])) for row in output.rows("SELECT * FROM SCORES WHERE P IS NOT NULL")) == [
        2,
        2**53,
        2**60,
    ]


@pytest.mark.parametrize("table", ["FLOAT", "NUMBER(38, 0)", "NUMBER(38, 2)", "VARCHAR"])
def test_whole_numbers_that_would_become_others_are_not_loaded(
    output: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """As Snowflake reads each file's values. The local one refuses a query over files of both kinds."""
    told = [FileColumn("P", "REAL", "1.parquet", ("P",), whole="0.parquet")]
    monkeypatch.setattr(loading, "columns_of_files", lambda *arguments, **options: told)
    output.run(f"CREATE TABLE SCORES (P {table})")
    put(output, "0.parquet", pa.table({"P": [2**53 + 1, 5, None]}))
    with pytest.raises(JobInputError, match=r"table: its column P is .* and would change 1 value\(s\) of the results"):
        load()
    assert output.rows("SELECT * FROM SCORES") == []


@pytest.mark.parametrize(
    ("column", "kept", "changed"),
    [
        ("INT", [1.0, None, -2.0], [1.5]),
        ("NUMBER(5, 0)", pa.array([Decimal("1.0")]), pa.array([Decimal("1.5")])),
        ("INT", ["1", None], ["1.5"]),
        ("NUMBER(9, 1)", pa.array([Decimal("1.50")]), pa.array([Decimal("1.25")])),
        ("BOOLEAN", [1, 0, None], [300]),
        ("FLOAT", [1, None, 2**53, 2**60], [2**53 + 1]),
        ("FLOAT", pa.array([Decimal("0.1"), None], pa.decimal128(20, 5)), pa.array([Decimal("123456789012345.12345")])),
        ("FLOAT", ["0.1", "-9007199254740992", "1e3", None], ["9007199254740993"]),
        ("DATE", pa.array([datetime(2026, 1, 1)]), pa.array([MOMENT])),
        ("VARCHAR", pa.array([datetime(2026, 1, 1, 5, 6)]), pa.array([datetime(2026, 1, 1, 5, 6, 7, 123456)])),
        ("DATE", ["2026-01-01", None], ["2026-01-01 03:04:05"]),
        ("TIME(0)", pa.array([time(5, 6)]), pa.array([time(5, 6, 7, 500000)])),
        ("TIME(3)", ["05:06:07.120", None], ["05:06:07.1234"]),
        ("TIMESTAMP_NTZ(3)", ["2026-01-02 03:04:05.1230", "2026-01-02", None], ["2026-01-02T03:04:05.123456"]),
        ("TIMESTAMP_NTZ(0)", ["2026-01-02 03:04:05"], ["2026-01-02 03:04:05.5"]),
    ],
)
def test_a_table_that_would_change_values_is_left_as_it_was(
    output: SnowflakeBatchHook, column: str, kept: Any, changed: Any
) -> None:
    output.run(f"CREATE TABLE SCORES (P {column})")
    put(output, "0.parquet", pa.table({"P": kept}))
    assert load()["rows"] == len(kept)
    put(output, "1.parquet", pa.table({"P": changed}))
    with pytest.raises(JobInputError, match=r"table: its column P is .* and would change 1 value\(s\) of the results"):
        load()
    assert len(output.rows("SELECT * FROM SCORES")) == len(kept)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("TIMESTAMP_NTZ", pa.array([MOMENT.replace(tzinfo=UTC)])),
        ("DATE", pa.array([MOMENT.replace(tzinfo=UTC)])),
        ("VARCHAR", pa.array([MOMENT.replace(tzinfo=UTC)])),
        ("TIMESTAMP_LTZ", pa.array([MOMENT])),
        ("TIMESTAMP_TZ", pa.array([date(2026, 1, 1)])),
    ],
)
def test_what_would_go_by_the_timezone_of_a_session_is_not_loaded(
    output: SnowflakeBatchHook, column: str, values: pa.Array
) -> None:
    output.run(f"CREATE TABLE SCORES (P {column})")
    put(output, "0.parquet", pa.table({"P": values}))
    with pytest.raises(JobInputError, match=rf"table: its column P is {column}.* the session's TIMEZONE"):
        load()
    assert output.rows("SELECT * FROM SCORES") == []


@pytest.mark.parametrize("column", ["TIMESTAMP_LTZ", "TIMESTAMP_TZ(9)"])
def test_texts_with_a_zone_are_moments_and_others_are_not_loaded(output: SnowflakeBatchHook, column: str) -> None:
    output.run(f"CREATE TABLE SCORES (P {column})")
    texts = [
        "2026-01-02 03:04:05.678901 +0000",
        "2026-01-02T04:04:05.678901+01:00",
        "2026-01-02T03:04:05.678901Z",
        None,
    ]
    put(output, "0.parquet", pa.table({"P": texts}))
    load()
    same = "SELECT P = '2026-01-02 03:04:05.678901 +0000'::TIMESTAMP_TZ AS SAME FROM SCORES"
    assert [row["same"] for row in output.rows(same)] == [True, True, True, None]

    put(output, "1.parquet", pa.table({"P": [*texts, "2026-01-02 03:04:05", "2026-01-02"]}))
    with pytest.raises(JobInputError, match=r"column P is TIMESTAMP_.*, and 2 text\(s\) .* the session's TIMEZONE"):
        load()
    assert len(output.rows("SELECT * FROM SCORES")) == len(texts)


def test_texts_of_moments_are_not_cut(output: SnowflakeBatchHook) -> None:
    output.run("CREATE TABLE SCORES (P TIMESTAMP_LTZ(3))")
    put(output, "0.parquet", pa.table({"P": ["2026-01-02 03:04:05.678Z", "2026-01-02 03:04:05.6781Z"]}))
    with pytest.raises(JobInputError, match=r"1 text\(s\) of the results have no zone.* or more digits of a second"):
        load()


@pytest.mark.parametrize("column", ["TIMESTAMP_LTZ", "TIMESTAMP_TZ"])
def test_a_moment_stays_that_moment(output: SnowflakeBatchHook, column: str) -> None:
    output.run(f"CREATE TABLE SCORES (P {column})")
    put(output, "0.parquet", pa.table({"P": pa.array([MOMENT.replace(tzinfo=UTC)])}))
    load()
    same = "SELECT P = '2026-01-02 03:04:05.678901 +0000'::TIMESTAMP_TZ AS SAME FROM SCORES"
    assert output.rows(same) == [{"same": True}]


TEXTS: dict[str, tuple[str, list[str | None]]] = {
    "ntz": ("TIMESTAMP_NTZ(9)", ["2026-01-02 03:04:05.123456000", "9999-12-31 23:59:59.999999000", None]),
    "ltz": ("TIMESTAMP_LTZ(9)", ["2026-01-02 01:04:05.123456000Z", None, "0001-01-01 00:00:00.000000000Z"]),
    "tz": ("TIMESTAMP_TZ(9)", ["2026-01-02 03:04:05.123456000 +0200", "2026-01-02 03:04:05.000000000 -1130", None]),
    "tm": ("TIME(9)", ["23:59:59.999999000", "00:00:00.000000000", None]),
    "v": ("VARIANT", ['{"a":[1,null,""]}', "null", None]),
    "o": ("OBJECT", ["{}", '{"k":1}', None]),
    "a": ("ARRAY", ["[]", '[1,"b"]', None]),
    "mp": ("MAP", ['{"k":1}', "{}", None]),
    "vec": ("VECTOR", ["[0.5,1.5]", "[1.0]", None]),
}


@pytest.fixture
def typed(output: SnowflakeBatchHook) -> SnowflakeBatchHook:
    """Results of rows that were unloaded, as the worker leaves them."""
    put(output, "part.parquet", pa.table({"id": [1, 2, 3]} | {name: texts for name, (_, texts) in TEXTS.items()}))
    types = {name: kind for name, (kind, _) in TEXTS.items()} | {"id": "NUMBER(9,0)", "newer": "SOMETHING_NEW(3)"}
    manifest = {"rows": 3, "files": [{"name": "part.parquet"}], "original_types": types}
    output.write_file(f"{LOCATION}/_manifest.json", json.dumps(manifest).encode())
    return output


def types_of(hook: SnowflakeBatchHook) -> dict[str, str]:
    return {row["name"]: row["type"] for row in hook.rows("DESCRIBE TABLE SCORES")}


def column(hook: SnowflakeBatchHook, name: str) -> list[Any]:
    return [row["value"] for row in hook.rows(f"SELECT {name} AS VALUE FROM SCORES ORDER BY ID")]


def test_texts_become_what_they_were(typed: SnowflakeBatchHook) -> None:
    load()
    as_created = {"MP": "OBJECT", "VEC": "ARRAY"}
    expected = {name.upper(): as_created.get(name.upper(), kind) for name, (kind, _) in TEXTS.items()}
    assert types_of(typed) == {"ID": "NUMBER(9,0)"} | expected
    assert column(typed, "NTZ") == [
        datetime(2026, 1, 2, 3, 4, 5, 123456), datetime(9999, 12, 31, 23, 59, 59, 999999), None
    ]  # fmt: skip
    assert column(typed, "LTZ = '2026-01-02 01:04:05.123456 +0000'::TIMESTAMP_TZ") == [True, None, False]
    assert column(typed, "TZ = '2026-01-02 14:34:05 +0000'::TIMESTAMP_TZ") == [False, True, None]
    assert column(typed, "TM::VARCHAR") == ["23:59:59.999999", "00:00:00", None]
    assert column(typed, "TYPEOF(V)") == ["OBJECT", "NULL_VALUE", None]
    assert column(typed, "V:a[2]::VARCHAR") == ["", None, None]
    assert column(typed, "A[1]::VARCHAR") == [None, "b", None]
    assert column(typed, "VEC[0]::FLOAT") == [0.5, 1.0, None]


def test_a_column_of_text_gets_the_texts(typed: SnowflakeBatchHook) -> None:
    typed.run("CREATE TABLE SCORES (ID INT, TZ VARCHAR, V VARCHAR, MP VARIANT)")
    load()
    assert (column(typed, "TZ"), column(typed, "V")) == (TEXTS["tz"][1], TEXTS["v"][1])
    assert column(typed, "MP:k::INT") == [1, None, None]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("TZ TIMESTAMP_NTZ", r"its column TZ is TIMESTAMP_NTZ\(9\), and the values of the results were TIMESTAMP_TZ"),
        ("V NUMBER(9,0)", "its column V is .*give the column the type VARIANT, or VARCHAR for that text"),
        ("NTZ DATE", r"its column NTZ is DATE and would change 2 value\(s\)"),
    ],
)
def test_a_column_that_would_make_something_else_of_texts_is_refused(
    typed: SnowflakeBatchHook, column: str, message: str
) -> None:
    typed.run(f"CREATE TABLE SCORES (ID INT, {column})")
    with pytest.raises(JobInputError, match=f"table: {message}"):
        load()
    assert typed.rows("SELECT * FROM SCORES") == []


def test_a_text_that_is_no_value_of_its_type_loads_nothing(typed: SnowflakeBatchHook) -> None:
    put(typed, "part.parquet", pa.table({"id": [1, 2, 3], "tz": ["2026-01-02 03:04:05.0 +0000", "yesterday", None]}))
    with pytest.raises(ProgrammingError, match="yesterday"):
        load()
    assert typed.rows("SELECT * FROM SCORES") == []


def test_columns_of_a_table_are_found_by_name_in_any_case(
    output: SnowflakeBatchHook, capsys: pytest.CaptureFixture[str]
) -> None:
    put(output, "0.parquet", pa.table({"id": [1], "note": [""], "extra": [1]}))
    put(output, "1.parquet", pa.table({"ID": [2], "extra": [1]}))
    output.run('CREATE TABLE SCORES (NOTE STRING, "Id" INT, MORE INT)')
    assert load()["rows"] == 2
    assert [tuple(row.values()) for row in output.rows('SELECT * FROM SCORES ORDER BY "Id"')] == [
        ("", 1, None), (None, 2, None)
    ]  # fmt: skip
    assert "has no column for extra: left out" in capsys.readouterr().out


def test_columns_that_a_table_does_not_have_at_all_are_refused(output: SnowflakeBatchHook) -> None:
    put(output, "0.parquet", pa.table({"id": [1]}))
    output.run("CREATE TABLE SCORES (NOTE STRING)")
    with pytest.raises(JobInputError, match="table: it has none of the files' columns, which are id; it has NOTE"):
        load()
    output.run("DROP TABLE SCORES")
    put(output, "1.parquet", pa.table({"id": [1], "ID": [2]}))
    with pytest.raises(JobInputError, match=r"1.parquet has the columns id and ID, which count as one"):
        load()


def test_without_the_privilege_to_look_snowflake_matches_the_columns(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.run("CREATE TABLE SCORES (ID INT, SCORE FLOAT, LABEL STRING)")

    def refuse(*_: Any, **__: Any) -> None:
        raise ProgrammingError("Insufficient privileges to operate on schema 'PUBLIC'", errno=3001)

    monkeypatch.setattr(loading, "columns_of_files", refuse)
    load()
    assert scores(hook) == ROWS


@pytest.mark.parametrize(("kind", "refused"), [("TIMESTAMP_TZ", True), ("VARCHAR", False)])
def test_without_that_privilege_texts_stay_texts_or_are_refused(
    typed: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch, kind: str, refused: bool
) -> None:
    typed.run(f"CREATE TABLE SCORES (ID INT, TZ {kind})")

    def refuse(*_: Any, **__: Any) -> None:
        raise ProgrammingError("Insufficient privileges to operate on schema 'PUBLIC'", errno=3001)

    monkeypatch.setattr(loading, "columns_of_files", refuse)
    if refused:
        with pytest.raises(JobInputError, match=r"table: the results hold column TZ as text, which was TIMESTAMP_TZ"):
            load()
    else:
        assert load()["rows"] == 3


@pytest.mark.parametrize("name", ["data", "1.PARQUET", "day=1/part.parquet"])
def test_files_that_may_hold_results_are_not_left_out(hook: SnowflakeBatchHook, name: str) -> None:
    put(hook, name, pa.table({"ID": [4]}))
    with pytest.raises(JobInputError, match=f"not named as a job's results are .*: {name}. Nothing was loaded"):
        load()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ('a"b', "holds a double quote"),
        ("", "is empty"),
        ("é" * 256, "has more than 255 characters"),
        ("ß" * 128, "has"),
    ],
    ids=["quote", "empty", "long", "long in upper case"],
)
def test_a_column_that_no_table_can_have_is_refused_before_a_table_is_created(
    output: SnowflakeBatchHook, name: str, wrong: str
) -> None:
    put(output, "part.parquet", pa.table({"ID": [1], name: [2]}))
    with pytest.raises(JobInputError, match=f"stage_location: the files have a column .*, whose name {wrong}"):
        load()
    assert output.rows("SHOW TABLES LIKE 'SCORES'") == []


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_results_without_a_file_load_nothing_and_create_nothing(output: SnowflakeBatchHook, mode: str) -> None:
    assert load(mode=mode) == {"table": "LOCAL.PUBLIC.SCORES", "rows": 0, "files": 0}
    assert output.rows("SHOW TABLES LIKE 'SCORES'") == []
    output.run(["CREATE TABLE SCORES (ID INT)", "INSERT INTO SCORES VALUES (1)"])
    assert load(mode=mode)["rows"] == 0
    assert len(output.rows("SELECT * FROM SCORES")) == (1 if mode == "append" else 0)


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_files_that_have_gone_leave_the_table_as_it_was(output: SnowflakeBatchHook, mode: str) -> None:
    output.run(["CREATE TABLE SCORES (ID INT)", "INSERT INTO SCORES VALUES (1)"])
    output.write_file(f"{LOCATION}/_manifest.json", json.dumps({"rows": 4}).encode())
    with pytest.raises(SnowflakeBatchError, match="has 4 rows by its manifest, and no files. Nothing was loaded"):
        load(mode=mode)
    assert len(output.rows("SELECT * FROM SCORES")) == 1


def test_bad_input() -> None:
    for changes, message in (
        ({"stage_location": "job/"}, "stage_location: 'job/'"),
        ({"table": "a b"}, "table: 'a b'"),
        ({"mode": "merge"}, "mode: 'merge' is not one of append, overwrite"),
    ):
        with pytest.raises(InvalidJobError, match=message):
            LoadBatchResultsOperator(**{"task_id": "t", "stage_location": LOCATION, "table": "t"} | changes)


def test_what_a_template_brings_is_checked(hook: SnowflakeBatchHook) -> None:
    task = LoadBatchResultsOperator(task_id="t", stage_location=LOCATION, table="{{ t }}")
    task.table = "scores; DROP TABLE x"
    with pytest.raises(JobInputError, match="table: "):
        task.execute({})
