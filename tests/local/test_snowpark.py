"""Snowpark's own flows, on the real client."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer

if TYPE_CHECKING:
    from snowflake.snowpark import Session

snowpark = pytest.importorskip("snowflake.snowpark")


@pytest.fixture
def session(local_server: LocalServer) -> Iterator[Session]:
    session = snowpark.Session.builder.configs(local_server.connection_kwargs).create()
    session.sql("CREATE OR REPLACE SCHEMA SNOWPARK").collect()
    yield session
    session.sql("DROP SCHEMA LOCAL.SNOWPARK").collect()
    session.close()


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ID": np.arange(1000),
            "value": np.linspace(0, 1, 1000),
            "NAME": [None if number % 7 == 0 else f"n{number}" for number in range(1000)],
            "AT": pd.date_range("2024-01-01", periods=1000, freq="h"),
            "FLAG": [number % 2 == 0 for number in range(1000)],
        }
    )


def test_write_pandas(session: Session, frame: pd.DataFrame) -> None:
    table = session.write_pandas(frame, "WRITTEN", auto_create_table=True, overwrite=True, use_logical_type=True)
    pd.testing.assert_frame_equal(table.sort("ID").to_pandas(), frame, check_dtype=False)
    session.write_pandas(frame, "WRITTEN", use_logical_type=True)
    assert session.table("WRITTEN").count() == 2000


def test_create_dataframe_save_as_table_and_back(session: Session, frame: pd.DataFrame) -> None:
    session.create_dataframe(frame).write.mode("overwrite").save_as_table("SAVED")
    session.create_dataframe(frame[:10]).write.mode("append").save_as_table("SAVED")
    with pytest.raises(snowpark.exceptions.SnowparkSQLException):
        session.create_dataframe(frame).write.mode("errorifexists").save_as_table("SAVED")
    table = session.table("SAVED")
    assert table.count() == 1010
    assert table.to_pandas().dtypes.astype(str).to_dict() == {
        "ID": "int16", "value": "float64", "NAME": "object", "AT": "datetime64[ns]", "FLAG": "bool",
    }  # fmt: skip
    chosen = (
        table.filter(snowpark.functions.col("ID") < 3).group_by("FLAG").agg(snowpark.functions.sum("ID").alias("S"))
    )
    assert sorted((row.FLAG, row.S) for row in chosen.collect()) == [(False, 2), (True, 4)]
    assert table.join(session.table("SAVED"), "ID").count() == 1030


def test_rows_and_schemas(session: Session) -> None:
    rows = session.create_dataframe([[1, "a", {"k": 1}], [2, None, None]], schema=["A", "B", "C"]).sort("A").collect()
    assert [(row.A, row.B) for row in rows] == [(1, "a"), (2, None)]
    assert [row.ID for row in session.range(3).collect()] == [0, 1, 2]
    schema = session.sql("SELECT 1 AS A, 'x' AS B, 1.5::FLOAT AS C, CURRENT_DATE() AS D").schema
    assert [type(field.datatype).__name__ for field in schema.fields] == [
        "LongType",
        "StringType",
        "DoubleType",
        "DateType",
    ]
    assert session.sql("SELECT ? AS A", params=["x"]).collect()[0].A == "x"
    assert session.sql("SELECT 1 AS A").collect_nowait().result()[0].A == 1


def test_parquet_on_a_stage(session: Session, frame: pd.DataFrame) -> None:
    session.sql("CREATE STAGE FILES").collect()
    session.create_dataframe(frame).write.copy_into_location(
        "@FILES/out/", file_format_type="parquet", header=True, overwrite=True
    )
    session.file.put_stream(io.BytesIO(b""), "@FILES/out/_SUCCESS", auto_compress=False)
    reader = session.read.option("pattern", r".*\.parquet").option("USE_LOGICAL_TYPE", True)
    read = reader.parquet("@FILES/out/").sort("ID").to_pandas()
    pd.testing.assert_frame_equal(read, frame, check_dtype=False)


def test_files(session: Session, tmp_path: Path) -> None:
    session.sql("CREATE STAGE FILES").collect()
    (tmp_path / "a.csv").write_text("1,x\n2,y\n")
    put = session.file.put(f"{tmp_path}/*.csv", "@FILES/csv", auto_compress=False)
    assert [(result.target, result.status) for result in put] == [("a.csv", "UPLOADED")]
    assert session.file.get_stream("@FILES/csv/a.csv").read() == b"1,x\n2,y\n"
    got = session.file.get("@FILES/csv", str(tmp_path / "got"))
    assert [(result.file, result.status) for result in got] == [("a.csv", "DOWNLOADED")]
    types = snowpark.types
    schema = types.StructType([types.StructField("N", types.IntegerType()), types.StructField("S", types.StringType())])
    assert [tuple(row) for row in session.read.schema(schema).csv("@FILES/csv").collect()] == [(1, "x"), (2, "y")]


def test_temporary_objects(session: Session, frame: pd.DataFrame) -> None:
    cached = session.create_dataframe(frame).cache_result()
    assert cached.count() == 1000
    cached.create_or_replace_temp_view("SEEN")
    assert session.table("SEEN").count() == 1000
    session.write_pandas(frame, "TEMPORARY_", auto_create_table=True, table_type="temporary")
    assert session.sql("SHOW TABLES LIKE 'TEMPORARY_'").collect()[0]["kind"] == "TEMPORARY"


def test_semi_structured_rows_are_saved_filtered_and_sorted(session: Session) -> None:
    types, functions = snowpark.types, snowpark.functions
    schema = types.StructType([types.StructField("ID", types.LongType()), types.StructField("V", types.VariantType())])
    rows = [(1, {"k": "a", "n": 9}), (2, {"k": "b", "n": 100})]
    session.create_dataframe(rows, schema=schema).write.save_as_table("SEMI")
    table = session.table("SEMI")
    key = functions.col("V")["k"]
    assert [row.ID for row in table.filter(key == "b").collect()] == [2]
    assert [row.ID for row in table.sort(functions.col("V")["n"].desc()).collect()] == [2, 1]
    shown = table.select(functions.upper(key), functions.regexp_replace(key, "a", "c")).sort("ID").collect()
    assert [tuple(row) for row in shown] == [("A", "c"), ("B", "b")]


def test_moments_as_text(session: Session) -> None:
    functions = snowpark.functions
    frame = session.sql("SELECT '2024-02-03 14:05:06'::TIMESTAMP_NTZ AS TS, '2024-02-03'::DATE AS D")
    row = frame.select(
        functions.to_char("TS", "YYYY-MM-DD HH24:MI"), functions.date_trunc("month", "D"), functions.to_varchar("TS")
    ).collect()[0]
    assert [str(value) for value in row] == ["2024-02-03 14:05", "2024-02-01", "2024-02-03 14:05:06.000"]
