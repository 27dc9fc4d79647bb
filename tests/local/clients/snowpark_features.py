"""Snowpark's DataFrames and files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.local.clients.catalogue import Client, Local, raising

CLIENT = Client(
    title="Snowpark",
    distribution="snowflake-snowpark-python",
    module="snowpark",
    requires=("snowflake.snowpark", "pandas"),
)
ROWS = 1000


@contextmanager
def session(local: Local) -> Iterator[Any]:
    from snowflake.snowpark import Session

    opened = Session.builder.configs(local.options).create()
    try:
        yield opened
    finally:
        opened.close()


def frame() -> Any:
    import pandas as pd

    return pd.DataFrame(
        {
            "ID": range(ROWS),
            "value": [number / 8 for number in range(ROWS)],
            "NAME": [None if number % 7 == 0 else f"n{number}" for number in range(ROWS)],
            "AT": pd.date_range("2024-01-01", periods=ROWS, freq="h"),
            "FLAG": [number % 2 == 0 for number in range(ROWS)],
        }
    )


def same(got: Any, expected: Any) -> None:
    import pandas as pd

    pd.testing.assert_frame_equal(got, expected, check_dtype=False)


@CLIENT.works("`create_dataframe` from pandas, `save_as_table`, `to_pandas`")
def save_as_table(local: Local) -> None:
    from snowflake.snowpark.exceptions import SnowparkSQLException

    with session(local) as opened:
        opened.create_dataframe(frame()).write.mode("overwrite").save_as_table("SAVED")
        same(opened.table("SAVED").sort("ID").to_pandas(), frame())
        opened.create_dataframe(frame()).write.mode("append").save_as_table("SAVED")
        assert opened.table("SAVED").count() == 2 * ROWS
        with raising(SnowparkSQLException):
            opened.create_dataframe(frame()).write.mode("errorifexists").save_as_table("SAVED")


@CLIENT.works("`create_dataframe` from rows of every type")
def create_dataframe(local: Local) -> None:
    import datetime
    import json
    from decimal import Decimal

    row = (
        1, 2.5, True, "it's", None, datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 30, 15, 123456),
        datetime.time(1, 2, 3), b"\x00\xff", Decimal("1.25"), {"k": [1]}, [1, "x"],
    )  # fmt: skip
    with session(local) as opened:
        names = [f"C{number}" for number in range(len(row))]
        (got,) = opened.create_dataframe([row], schema=names).collect()
        assert tuple(got)[:10] == row[:10], got
        assert (json.loads(got["C10"]), json.loads(got["C11"])) == ({"k": [1]}, [1, "x"])


@CLIENT.works("`write_pandas`")
def write_pandas(local: Local) -> None:
    with session(local) as opened:
        table = opened.write_pandas(frame(), "WRITTEN", auto_create_table=True, overwrite=True, use_logical_type=True)
        same(table.sort("ID").to_pandas(), frame())
        opened.write_pandas(frame(), "WRITTEN", use_logical_type=True)
        assert opened.table("WRITTEN").count() == 2 * ROWS


@CLIENT.works("`to_pandas_batches`, `to_local_iterator`")
def batches(local: Local) -> None:
    with session(local) as opened:
        data = opened.range(250_000)
        assert sum(int(part["ID"].sum()) for part in data.to_pandas_batches()) == sum(range(250_000))
        assert sum(row.ID for row in data.to_local_iterator()) == sum(range(250_000))


@CLIENT.works("`range`, `filter`, `with_column`, `group_by`, `sort`")
def transformations(local: Local) -> None:
    from snowflake.snowpark.functions import avg, col, count, lit, when

    with session(local) as opened:
        data = opened.range(10).with_column("EVEN", when(col("ID") % 2 == 0, lit("yes")).otherwise(lit("no")))
        rows = (
            data.filter(col("ID") > 1)
            .group_by("EVEN")
            .agg(count("*").alias("N"), avg("ID").alias("MEAN"))
            .sort("EVEN")
            .collect()
        )
        assert [(row.EVEN, row.N, float(row.MEAN)) for row in rows] == [("no", 4, 6.0), ("yes", 4, 5.0)]


@CLIENT.works("joins: inner, left, semi, anti; `union`")
def joins(local: Local) -> None:
    with session(local) as opened:
        left = opened.create_dataframe([(1, "a"), (2, "b"), (3, "c")], schema=["ID", "L"])
        right = opened.create_dataframe([(2, "x"), (3, "y"), (4, "z")], schema=["ID", "R"])
        assert sorted((row.ID, row.L, row.R) for row in left.join(right, "ID").collect()) == [
            (2, "b", "x"),
            (3, "c", "y"),
        ]
        joined = left.join(right, "ID", "left").collect()
        assert sorted((row.ID, row.R or "") for row in joined) == [(1, ""), (2, "x"), (3, "y")]
        assert sorted(row.ID for row in left.join(right, "ID", "leftsemi").collect()) == [2, 3]
        assert [row.ID for row in left.join(right, "ID", "leftanti").collect()] == [1]
        assert left.select("ID").union(right.select("ID")).count() == 4


@CLIENT.works("window functions")
def windows(local: Local) -> None:
    from snowflake.snowpark import Window
    from snowflake.snowpark.functions import col, row_number

    with session(local) as opened:
        data = opened.create_dataframe([("a", 3), ("a", 1), ("b", 2)], schema=["G", "V"])
        order = row_number().over(Window.partition_by("G").order_by(col("V").desc()))
        rows = data.select("G", "V", order.alias("N")).collect()
        assert sorted(map(tuple, rows)) == [("a", 1, 2), ("a", 3, 1), ("b", 2, 1)]


@CLIENT.works("`describe`, `schema`, `show`")
def describe(local: Local) -> None:
    with session(local) as opened:
        data = opened.create_dataframe([(1, "a"), (3, None)], schema=["N", "S"])
        rows = {row.SUMMARY: (float(row.N), row.S) for row in data.describe().collect() if row.SUMMARY != "stddev"}
        assert rows["count"] == (2.0, "1"), rows
        assert (rows["mean"][0], rows["min"], rows["max"]) == (2.0, (1.0, "a"), (3.0, "a")), rows
        assert [type(field.datatype).__name__ for field in data.schema.fields] == ["LongType", "StringType"]
        data.show()


@CLIENT.works("`copy_into_location`, `read.parquet`")
def parquet(local: Local) -> None:
    with session(local) as opened:
        opened.sql("CREATE STAGE FILES").collect()
        opened.create_dataframe(frame()).write.copy_into_location(
            "@FILES/out/", file_format_type="parquet", header=True, overwrite=True
        )
        reader = opened.read.option("pattern", r".*\.parquet").option("USE_LOGICAL_TYPE", True)
        read = reader.parquet("@FILES/out/")
        same(read.sort("ID").to_pandas(), frame())


@CLIENT.works("`read.csv` with a schema, `read.json`")
def csv_and_json(local: Local) -> None:
    import json

    from snowflake.snowpark.types import IntegerType, StringType, StructField, StructType

    with session(local) as opened:
        opened.sql("CREATE STAGE FILES").collect()
        opened.file.put_stream(io.BytesIO(b"N,S\n1,x\n2,\n"), "@FILES/a.csv", auto_compress=False)
        schema = StructType([StructField("N", IntegerType()), StructField("S", StringType())])
        read = opened.read.schema(schema).option("SKIP_HEADER", 1).csv("@FILES/a.csv")
        assert [tuple(row) for row in read.sort("N").collect()] == [(1, "x"), (2, None)]
        opened.file.put_stream(io.BytesIO(b'{"a": 1}\n{"a": [2]}\n'), "@FILES/b.json", auto_compress=False)
        rows = opened.read.json("@FILES/b.json").collect()
        assert [json.loads(row[0]) for row in rows] == [{"a": 1}, {"a": [2]}]


@CLIENT.works("`file.put`, `get`, `put_stream`, `get_stream`")
def files(local: Local) -> None:
    (local.folder / "a.csv").write_text("1,x\n2,y\n")
    with session(local) as opened:
        opened.sql("CREATE STAGE FILES").collect()
        (put,) = opened.file.put(f"{local.folder}/*.csv", "@FILES/csv", auto_compress=False)
        assert (put.target, put.status) == ("a.csv", "UPLOADED")
        assert opened.file.get_stream("@FILES/csv/a.csv").read() == b"1,x\n2,y\n"
        (got,) = opened.file.get("@FILES/csv", str(local.folder / "got"))
        assert (got.file, got.status) == ("a.csv", "DOWNLOADED")
        assert (local.folder / "got" / "a.csv").read_text() == "1,x\n2,y\n"
        opened.file.put_stream(io.BytesIO(b""), "@FILES/_SUCCESS", auto_compress=False)
        assert [row["name"] for row in opened.sql("LIST @FILES").collect()] == ["files/_SUCCESS", "files/csv/a.csv"]


@CLIENT.works("`cache_result`, views, temporary tables")
def temporary_objects(local: Local) -> None:
    with session(local) as opened:
        cached = opened.create_dataframe(frame()).cache_result()
        assert cached.count() == ROWS
        cached.create_or_replace_temp_view("SEEN")
        assert opened.table("SEEN").count() == ROWS
        cached.create_or_replace_view("KEPT")
        assert opened.sql("SELECT COUNT(*) FROM KEPT").collect()[0][0] == ROWS
        opened.write_pandas(frame(), "TEMPORARY_", auto_create_table=True, table_type="temporary")
        assert opened.sql("SHOW TABLES LIKE 'TEMPORARY_'").collect()[0]["kind"] == "TEMPORARY"


@CLIENT.works("`Table.update`, `delete`, `merge`")
def table_changes(local: Local) -> None:
    from snowflake.snowpark.functions import when_matched, when_not_matched

    with session(local) as opened:
        opened.create_dataframe([(1, "a"), (2, "b")], schema=["ID", "S"]).write.save_as_table("T")
        table = opened.table("T")
        assert table.update({"S": "z"}, table["ID"] == 1).rows_updated == 1
        source = opened.create_dataframe([(2, "new"), (3, "added")], schema=["ID", "S"])
        clauses = [
            when_matched().update({"S": source["S"]}),
            when_not_matched().insert({"ID": source["ID"], "S": source["S"]}),
        ]
        merged = table.merge(source, table["ID"] == source["ID"], clauses)
        assert (merged.rows_inserted, merged.rows_updated) == (1, 1), merged
        assert table.delete(table["ID"] == 1).rows_deleted == 1
        assert sorted(map(tuple, table.collect())) == [(2, "new"), (3, "added")]


@CLIENT.works("`collect_nowait`, `sql` with parameters, query tags")
def queries(local: Local) -> None:
    with session(local) as opened:
        assert opened.sql("SELECT 1 AS A").collect_nowait().result()[0].A == 1
        assert opened.sql("SELECT ? AS A", params=["it's"]).collect()[0].A == "it's"
        opened.query_tag = "tagged"
        assert opened.query_tag == "tagged"
        assert opened.get_current_schema() == f'"{local.schema}"'


@CLIENT.refused("user-defined functions")
def functions(local: Local) -> None:
    from snowflake.snowpark.types import IntegerType

    with session(local) as opened:
        opened.sql("CREATE STAGE CODE").collect()
        opened.udf.register(
            lambda number: number + 1, return_type=IntegerType(), input_types=[IntegerType()], name="ADD_ONE",
            is_permanent=True, stage_location="@CODE",
        )  # fmt: skip


@CLIENT.refused("stored procedures")
def procedures(local: Local) -> None:
    from snowflake.snowpark.types import StringType

    with session(local) as opened:
        opened.sql("CREATE STAGE CODE").collect()
        opened.sproc.register(
            lambda inner: "done", return_type=StringType(), name="RUN_IT", is_permanent=True, stage_location="@CODE",
            packages=["snowflake-snowpark-python"],
        )  # fmt: skip
