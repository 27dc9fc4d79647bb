"""What a job's input is found to be, against the local Snowflake: its files, and the values that its query reads.

Also tests ``hooks/file_columns.py``.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks import inputs
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.inputs import look_up_source
from airflow_provider_snowflake_batch.jobs import row_statements, statements
from airflow_provider_snowflake_batch.jobs.column_types import FileColumn
from airflow_provider_snowflake_batch.jobs.job import RegistryJob
from airflow_provider_snowflake_batch.jobs.sources import StageParquet
from airflow_provider_snowflake_batch.jobs.worker_job import WorkerJob

STAGE = "@FOUND_INPUTS"
PARQUET = pa.table({"V": [1]})


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run("CREATE OR REPLACE STAGE FOUND_INPUTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
        yield opened


def put(hook: SnowflakeBatchHook, **files: Any) -> None:
    for path, content in files.items():
        if isinstance(content, pa.Table):
            written = io.BytesIO()
            pq.write_table(content, written)
            content = written.getvalue()
        hook.write_file(f"{STAGE}/in/{path}", content)


def looked_up(hook: SnowflakeBatchHook, X: Any) -> RegistryJob:
    job = RegistryJob.parse(
        name="JOB", model_name="M", X=X, compute_pool="P", output_spec={"stage_location": f"{STAGE}/out"}
    ).qualify(*hook.namespace)
    return replace(job, source=look_up_source(hook, job))


def values(hook: SnowflakeBatchHook, **options: Any) -> list[Any]:
    """The first column of what the query of a job reads."""
    job = looked_up(hook, {"stage_location": f"{STAGE}/in/"} | options)

    def read(cursor: Any) -> list[Any]:
        for sql in statements.before_inference_job(job):
            cursor.execute(sql)
        return [row[0] for row in cursor.execute(row_statements.select_source(job.source)).fetchall()]

    return sorted(hook.on_session(read))


@pytest.mark.parametrize("name", ["000000_0", "DATA.PARQUET", "x.parquet.snappy", "x.parq", "d/scores"])
@pytest.mark.parametrize("beside", [{}, {"a.parquet": PARQUET}], ids=["alone", "beside"])
@pytest.mark.parametrize("options", [{}, {"select": ["V"]}], ids=["location", "query"])
def test_a_file_that_may_be_left_out_is_refused_by_name(
    hook: SnowflakeBatchHook, name: str, beside: dict[str, Any], options: dict[str, Any]
) -> None:
    put(hook, **{name: PARQUET}, **beside)
    with pytest.raises(JobInputError, match=f"do not end in .parquet, .* a job reads them: {name}. Rename them"):
        looked_up(hook, {"stage_location": f"{STAGE}/in/"} | options)


def test_the_refusal_tells_how_to_read_such_files(hook: SnowflakeBatchHook) -> None:
    put(hook, **{"000000_0": pa.table({"V": [2]}), "a.parquet": PARQUET, "_SUCCESS": b""})
    with pytest.raises(JobInputError) as refused:
        looked_up(hook, f"{STAGE}/in/")
    for pattern, expected in ((r"(.*/)?[^_.][^/]*", [1, 2]), (r".*\.parquet", [1])):
        assert repr(pattern) in str(refused.value)
        assert values(hook, pattern=pattern) == expected


def test_what_is_no_data_is_told_and_left_out_by_location_and_query(
    hook: SnowflakeBatchHook, caplog: pytest.LogCaptureFixture
) -> None:
    put(hook, **{"a.parquet": PARQUET, "README.md": b"#", "_SUCCESS": b""})
    assert isinstance(looked_up(hook, f"{STAGE}/in/").source, StageParquet)
    assert "are no input: README.md" in caplog.text
    put(hook, **{"_old/a.parquet": pa.table({"V": [9]})})
    assert values(hook, filter="V > 0") == [1]
    assert "are no input: README.md, _old/a.parquet" in caplog.text


@pytest.mark.parametrize("options", [{}, {"filter": "V > 0"}], ids=["location", "query"])
def test_what_folders_say_is_no_column_and_is_told(
    hook: SnowflakeBatchHook, caplog: pytest.LogCaptureFixture, options: dict[str, Any]
) -> None:
    put(hook, **{"day=2024-01-01/v=3/a.parquet": PARQUET, "day=2024-01-02/b.parquet": PARQUET})
    looked_up(hook, {"stage_location": f"{STAGE}/in/"} | options)
    known = "day=…" if options else "day=…, v=…"
    assert f"say ({known}) is no column of the input" in caplog.text


def test_a_column_that_some_files_lack_is_told(hook: SnowflakeBatchHook, caplog: pytest.LogCaptureFixture) -> None:
    both = pa.table({"V": [1], "W": [2]})
    put(hook, **{"a.parquet": both, "b.parquet": PARQUET, "c.parquet": PARQUET})
    looked_up(hook, {"stage_location": f"{STAGE}/in/", "filter": "V > 0"})
    assert "/in/ lack a column, which is NULL where it is read of their rows: W (in 2)" in caplog.text
    caplog.clear()
    put(hook, **{"b.parquet": both, "c.parquet": both})
    looked_up(hook, {"stage_location": f"{STAGE}/in/", "filter": "V > 0"})
    assert "lack a column" not in caplog.text


def test_a_query_adds_what_folders_say(hook: SnowflakeBatchHook) -> None:
    put(hook, **{"day=2024-01-01/a.parquet": PARQUET, "day=2024-01-02/b.parquet": pa.table({"V": [2]})})
    hook.run("CREATE OR REPLACE FILE FORMAT FOUND_PARQUET TYPE = PARQUET")
    query = f"""
        SELECT $1:"V"::INT AS v, REGEXP_SUBSTR(METADATA$FILENAME, 'day=([^/]+)', 1, 1, 'e')::DATE AS day
        FROM {STAGE}/in/ (FILE_FORMAT => 'FOUND_PARQUET', PATTERN => '.*[.]parquet')
    """
    found = hook.rows(row_statements.select_source(looked_up(hook, query).source))
    assert sorted((row["v"], str(row["day"])) for row in found) == [(1, "2024-01-01"), (2, "2024-01-02")]


@pytest.mark.parametrize("name", ["_quarantine/part.parquet", "_part.parquet", "d/.old/x.parquet"])
def test_parquet_that_is_no_data_is_not_left_to_snowflakes_runtime(hook: SnowflakeBatchHook, name: str) -> None:
    put(hook, **{"a.parquet": PARQUET, name: pa.table({"V": [9]})})
    with pytest.raises(JobInputError, match=f"not sure that a job leaves them out: {name}. Move them away") as refused:
        looked_up(hook, f"{STAGE}/in/")
    for pattern, expected in ((r"/?([^_./][^/]*/)*[^_./][^/]*\.parquet", [1]), (r".*\.parquet", [1, 9])):
        assert repr(pattern) in str(refused.value)
        assert values(hook, pattern=pattern) == expected
    worker = WorkerJob.parse(
        name="JOB",
        model={"target": "m:M", "code": "m.py"},
        X=f"{STAGE}/in/",
        compute_pool="P",
        output_spec={"stage_location": f"{STAGE}/out"},
    )
    worker = worker.qualify(*hook.namespace)
    assert look_up_source(hook, worker) == worker.source


@pytest.mark.parametrize("files", [{"README.md": b"#"}, {"_SUCCESS": b""}, {"_a.parquet": PARQUET}])
def test_no_parquet_file_at_all_is_an_error(hook: SnowflakeBatchHook, files: dict[str, Any]) -> None:
    put(hook, **files)
    with pytest.raises(JobInputError, match=r"there are no Parquet files under @LOCAL.PUBLIC.FOUND_INPUTS/in/; there"):
        looked_up(hook, f"{STAGE}/in/")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1], [1.5]),
        ([1.5], [2]),
        (pa.array([Decimal("1.5")], pa.decimal128(3, 1)), pa.array([Decimal("1.2345")], pa.decimal128(9, 4))),
        ([1], pa.array([Decimal("1.2345")], pa.decimal128(9, 4))),
        (pa.array([1], pa.int8()), [2**62]),
    ],
)
def test_values_do_not_depend_on_which_file_came_first(hook: SnowflakeBatchHook, first: Any, second: Any) -> None:
    put(hook, **{"a.parquet": pa.table({"V": first}), "b.parquet": pa.table({"V": second})})
    put(hook, **{"c.parquet": pa.table({"V": pa.nulls(0)})})
    expected = sorted([*pa.array(first).to_pylist(), *pa.array(second).to_pylist()])
    assert values(hook, pattern=".*") == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [([1], ["x"]), ([2**53 + 1], [1.5]), ([1.5], pa.array([Decimal("1.5")], pa.decimal128(3, 1))), ([True], [1])],
)
def test_values_without_a_type_for_all_files_are_refused(hook: SnowflakeBatchHook, first: Any, second: Any) -> None:
    put(hook, **{"a.parquet": pa.table({"V": first}), "b.parquet": pa.table({"V": second})})
    with pytest.raises(JobInputError, match="column V "):
        values(hook, pattern=".*")


def test_of_many_files_those_are_named_whose_types_do_not_go_together(hook: SnowflakeBatchHook) -> None:
    tables = {f"{number}.parquet": pa.table({"ID": [1], "V": [number]}) for number in range(5)}
    put(hook, **tables | {"5.parquet": pa.table({"ID": [1], "V": ["x"]})})
    message = r"X: column V is NUMBER\(38, 0\) in (.*/)?\d.parquet and TEXT in (.*/)?5.parquet: no type holds"
    with pytest.raises(JobInputError, match=message):
        values(hook, pattern=".*")


def test_no_file_is_left_out_when_types_are_looked_up(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_statements, "MOST_INFERRED_FILES", 2)
    put(hook, **{f"{number}.parquet": pa.table({"V": [1.5 if number == 3 else 1]}) for number in range(5)})
    assert values(hook, pattern=".*") == [1, 1, 1, 1, 1.5]
    put(hook, **{"5.parquet": PARQUET, "6.parquet": pa.table({"V": ["x"]})})
    with pytest.raises(JobInputError, match=r"column V is REAL in .*/2.parquet and TEXT in .*/6.parquet"):
        values(hook, pattern=".*")


def test_whole_numbers_beside_floating_point_ones_do_not_change(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many files Snowflake looks at together, and whatever it then says of a column of both."""
    monkeypatch.setattr(row_statements, "MOST_INFERRED_FILES", 1)
    put(hook, **{"a.parquet": pa.table({"V": [2**53, 2**60, -(2**53), 3]})})
    put(hook, **{"b.parquet": pa.table({"V": [0.5, 1e300, 2.0**53, float("nan"), None]})})
    assert values(hook, pattern=".*", filter="V < 1e19 OR V = 1e300") == [
        *(-(2**53), 0.5, 3, 2**53, 2**53, 2**60, 1e300),
    ]
    for large in ([2**53 + 1], pa.array([Decimal(2**53 + 1)], pa.decimal128(38, 0))):
        put(hook, **{"c.parquet": pa.table({"V": large})})
        with pytest.raises(JobInputError, match="column V holds numbers with more digits than floating-point ones"):
            values(hook, pattern=".*")


def test_whole_numbers_that_would_become_others_are_counted(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Snowflake reads each file's values. The local one refuses a query over files of both kinds."""
    told = [FileColumn("V", "REAL", "b.parquet", whole="a.parquet"), FileColumn("W", "REAL", "a.parquet")]
    monkeypatch.setattr(inputs, "columns_of_files", lambda *arguments, **options: told)
    large = [2**53 + 1, -(2**53) - 1, 2**60, 2**53, 5, None]
    put(hook, **{"a.parquet": pa.table({"V": large, "W": large})})
    location = {"stage_location": f"{STAGE}/in/"}

    message = "X: column V holds whole numbers in some files, as a.parquet, and .* and 2 of the whole ones, above 2⁵³"
    for options in ({"pattern": ".*"}, {"select": ["V"]}, {"select": ["W"], "filter": "V > 5"}):
        with pytest.raises(JobInputError, match=message):
            looked_up(hook, location | options)
    looked_up(hook, location | {"select": ["W"]})

    put(hook, **{"a.parquet": pa.table({"V": [0.5, 1e300, -1e300, math.inf, math.nan, 2.0**60], "W": [1.0] * 6})})
    looked_up(hook, location | {"pattern": ".*"})


@pytest.mark.parametrize("options", [{"pattern": ".*"}, {"select": ["ID"]}])
def test_a_column_that_files_spell_in_two_ways_is_refused(hook: SnowflakeBatchHook, options: dict[str, Any]) -> None:
    put(hook, **{"a.parquet": pa.table({"id": [1]}), "b.parquet": pa.table({"ID": [2]})})
    with pytest.raises(JobInputError, match=r"more than one way: id \(.*in/a.parquet\) and ID \(.*in/b.parquet\)"):
        looked_up(hook, {"stage_location": f"{STAGE}/in/"} | options)


def test_two_columns_of_one_name_are_refused(hook: SnowflakeBatchHook) -> None:
    for sql in ("SELECT 1 AS ID, 2 AS A, 3 AS A", "SELECT * FROM (SELECT 1 AS A) T, (SELECT 2 AS A) U"):
        with pytest.raises(JobInputError, match="X: the query has more than one column called A. Leave all but one"):
            looked_up(hook, sql)
    looked_up(hook, 'SELECT 1 AS A, 2 AS "a"')
