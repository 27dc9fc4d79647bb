"""What INSERT, UPDATE and COPY write: all or nothing, each value as its column's type.

Also tests ``local/sql/column_values.py``, ``local/sql/dml.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from snowflake.connector import SnowflakeConnection

from tests.local.statement_calls import error, execute


@pytest.mark.parametrize("kind", ["TABLE", "TEMPORARY TABLE"])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_insert_overwrite_reads_the_rows_from_before(
    connection: SnowflakeConnection, schema: str, kind: str, in_transaction: bool
) -> None:
    execute(connection, f"CREATE {kind} T (A INT, B INT DEFAULT 7)")
    execute(connection, "INSERT INTO T (A) VALUES (1), (1), (2)")
    if in_transaction:
        execute(connection, "BEGIN")
    assert execute(connection, "INSERT OVERWRITE INTO T SELECT DISTINCT A, B FROM T") == [(2,)]
    assert execute(connection, "INSERT OVERWRITE INTO T (A) SELECT A + 1 FROM T") == [(2,)]
    common = "WITH C AS (SELECT A FROM T) SELECT A FROM C UNION ALL SELECT MAX(A) + 1 FROM T"
    assert execute(connection, f"INSERT OVERWRITE INTO T (A) {common}") == [(3,)]
    if in_transaction:
        execute(connection, "COMMIT")
    assert execute(connection, "SELECT A, B FROM T ORDER BY A") == [(2, 7), (3, 7), (4, 7)]
    assert execute(connection, "INSERT OVERWRITE INTO T VALUES (9, DEFAULT)") == [(1,)]
    assert execute(connection, "SELECT A, B FROM T") == [(9, 7)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OVERWRITE INTO T SELECT 1 / (A - A), S FROM T",
        "INSERT OVERWRITE INTO T SELECT S, S FROM T",
        "INSERT OVERWRITE INTO T SELECT A, S || 'too long' FROM T",
        "INSERT OVERWRITE INTO T VALUES (1, 'too long')",
        "INSERT OVERWRITE INTO T SELECT MISSING, S FROM T",
        "CREATE OR REPLACE TABLE T AS SELECT 1 / (A - A) AS A FROM T",
        "CREATE OR REPLACE TABLE T (A INT) AS SELECT S FROM T",
        "ALTER TABLE T ADD COLUMN NEW INT, A INT",
    ],
)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_statement_that_fails_leaves_the_table_as_it_was(
    connection: SnowflakeConnection, schema: str, statement: str, in_transaction: bool
) -> None:
    execute(connection, "CREATE TABLE T (A INT, S VARCHAR(3))")
    execute(connection, "INSERT INTO T VALUES (1, 'x'), (2, 'y')")
    if in_transaction:
        execute(connection, "BEGIN")
    assert error(connection, statement)[0]
    if in_transaction:
        execute(connection, "ROLLBACK")
    assert execute(connection, "SELECT * FROM T ORDER BY 1") == [(1, "x"), (2, "y")]
    assert execute(connection, "INSERT OVERWRITE INTO T SELECT 3, 'z'") == [(1,)]


def test_a_date_is_written_from_text_as_a_cast_reads_it(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE D (A DATE)")
    execute(connection, "INSERT INTO D VALUES ('01/02/2024'), ('2024-03-04 10:00:00'), (NULL)")
    execute(connection, "INSERT INTO D SELECT '02-Jun-2024'")
    execute(connection, "UPDATE D SET A = '05/06/2024' WHERE A IS NULL")
    found = execute(connection, "SELECT A FROM D ORDER BY A")
    assert [str(date) for (date,) in found] == ["2024-01-02", "2024-03-04", "2024-05-06", "2024-06-02"]
    assert error(connection, "INSERT INTO D VALUES ('x')")[0] == 100040


def test_each_value_of_a_column_may_be_of_a_type_of_its_own(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE D (A INT, S VARCHAR(3), D DATE, V VARIANT)")
    execute(connection, "INSERT INTO D (A, D) VALUES (1, '01/02/2024'), (2, CURRENT_DATE())")
    execute(connection, "INSERT INTO D (A, D) VALUES (3, CURRENT_DATE()), ('4', '2024-01-04')")
    execute(
        connection, "INSERT INTO D (A, S, D) VALUES (5, 'a', '2024-01-05'), (6, 12, DATE '2024-01-06'), (7, 1.5, NULL)"
    )
    many = ", ".join(["('2024-01-08', 8), (CURRENT_DATE() - 1, 9)"] * 40)
    assert execute(connection, f"INSERT INTO D (D, A) VALUES {many}") == [(80,)]
    of_each = "SELECT A, S, IFF(D = CURRENT_DATE(), 'today', D::TEXT) FROM D WHERE A < 8 ORDER BY A"
    assert execute(connection, of_each) == [
        (1, None, "2024-01-02"), (2, None, "today"), (3, None, "today"), (4, None, "2024-01-04"),
        (5, "a", "2024-01-05"), (6, "12", "2024-01-06"), (7, "1.5", None),
    ]  # fmt: skip
    by_number = "SELECT A, COUNT(*), MIN(D) = CURRENT_DATE() - 1 FROM D WHERE A > 7 GROUP BY A ORDER BY A"
    assert execute(connection, by_number) == [(8, 40, False), (9, 40, True)]
    assert error(connection, "INSERT INTO D (S, D) VALUES ('long', CURRENT_DATE()), ('a', '2024-01-01')")[0] == 100078
    assert error(connection, "INSERT INTO D (D) VALUES (CURRENT_DATE()), ('x')")[0] == 100040
    execute(connection, "CREATE SEQUENCE Q")
    execute(connection, "INSERT INTO D (S, D) VALUES (Q.NEXTVAL, '2025-01-01'), (Q.NEXTVAL, CURRENT_DATE())")
    assert execute(connection, "SELECT S FROM D WHERE A IS NULL ORDER BY S") == [("1",), ("2",)]


def test_an_update_counts_the_rows_that_it_joins_with_several(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (A INT, B INT)")
    execute(connection, "INSERT INTO T VALUES (1, 0), (2, 0), (3, 0)")
    source = "(SELECT 1 AS K, 5 AS V UNION ALL SELECT 1, 6 UNION ALL SELECT 2, 7) S"
    assert execute(connection, f"UPDATE T SET B = S.V FROM {source} WHERE T.A = S.K") == [(2, 1)]
    assert execute(connection, f"UPDATE T X SET B = S.V FROM {source} WHERE X.A = S.K AND S.V = 7") == [(1, 0)]
    assert execute(connection, "UPDATE T SET B = 9") == [(3, 0)]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("TO_VARIANT(P)::STRING", "2"),
        ("OBJECT_CONSTRUCT('x', P):x::STRING", "2"),
        ("TO_JSON(OBJECT_CONSTRUCT(*))", '{"P":2,"Q":1.5,"W":100}'),
        ("TO_JSON(ARRAY_AGG(P))", "[2]"),
        ("TO_JSON(ARRAY_AGG(Q) WITHIN GROUP (ORDER BY Q))", "[1.5]"),
        ("TO_JSON(OBJECT_AGG('k', W))", '{"k":100}'),
        ("TO_JSON(ARRAY_CONSTRUCT(P, Q))", "[2,1.5]"),
        ("OBJECT_CONSTRUCT('c', {'b': Q, 'a': ARRAY_CONSTRUCT(P)})::TEXT", '{"c":{"a":[2],"b":1.5}}'),
        ("12345678901234567.89::VARIANT", "12345678901234567.89"),
        ("TYPEOF(P::VARIANT)", "INTEGER"),
        ("TYPEOF('1'::VARIANT)", "VARCHAR"),
        ("TYPEOF('{\"a\": 1}'::VARIANT)", "VARCHAR"),
        ("TYPEOF(PARSE_JSON('{\"a\": 1}')::VARIANT)", "OBJECT"),
        ("'x'::VARIANT::STRING", "x"),
    ],
)
def test_a_variant_holds_what_it_was_made_of(
    connection: SnowflakeConnection, schema: str, expression: str, value: Any
) -> None:
    execute(connection, "CREATE TABLE T (P NUMBER(10, 0), Q NUMBER(10, 2), W NUMBER(5, 0))")
    execute(connection, "INSERT INTO T VALUES (2, 1.50, 100)")
    assert execute(connection, f"SELECT {expression} FROM T GROUP BY ALL") == [(value,)]


def test_text_written_to_a_variant_is_text(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (V VARIANT, A ARRAY, O OBJECT)")
    execute(connection, "INSERT INTO T SELECT '{\"a\": 1}', ARRAY_CONSTRUCT(1), OBJECT_CONSTRUCT('a', 1)")
    execute(connection, "INSERT INTO T (V) VALUES ('y'), (NULL)")
    execute(connection, "INSERT INTO T (V) SELECT 2::NUMBER(9, 0)")
    execute(connection, "UPDATE T SET V = 'x' WHERE V = 'y'")
    assert execute(connection, "SELECT V::STRING, TYPEOF(V) FROM T ORDER BY 1 NULLS LAST") == [
        ("2", "INTEGER"), ("x", "VARCHAR"), ('{"a": 1}', "VARCHAR"), (None, None),
    ]  # fmt: skip
    for column in ("A", "O"):
        errno, _, message = error(connection, f"INSERT INTO T ({column}) SELECT '[1]'")
        assert errno == 2023
        assert "got VARCHAR" in message
    assert "not supported by the local Snowflake" in error(connection, "SELECT '[1]'::ARRAY")[2]


def test_binary_has_a_length_and_is_written_as_hexadecimal_digits(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (B BINARY(2), V VARBINARY)")
    execute(connection, "INSERT INTO T VALUES ('0aff', 'ff')")
    execute(connection, "INSERT INTO T SELECT 'ff'::BINARY(1), X'0A'")
    execute(connection, "UPDATE T SET V = 'AB' WHERE V = X'FF'")
    assert execute(connection, "SELECT B, V FROM T ORDER BY 2") == [(b"\xff", b"\x0a"), (b"\x0a\xff", b"\xab")]
    assert execute(connection, "SELECT TRY_CAST('ffff' AS BINARY(1)), TRY_CAST('x' AS BINARY)") == [(None, None)]
    for statement in ("INSERT INTO T (B) SELECT 'ffffff'", "SELECT 'ffff'::BINARY(1)"):
        errno, _, message = error(connection, statement)
        assert (errno, "is too long" in message) == (100078, True)
    execute(connection, "CREATE TABLE V (N INT, F FLOAT, M NUMBER(4, 2), D DATE, S VARCHAR, O BOOLEAN)")
    execute(
        connection,
        "INSERT INTO V VALUES (10, 1.5, 12.34, '2026-01-01', 'abc', TRUE), (NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    for value in ("'no'", "'abc'", "N", "F", "M", "D", "S", "O"):
        assert error(connection, f"INSERT INTO T (B) SELECT {value} FROM V WHERE N > 0")[0] in (100115, 2), value
    for value in ("'no'", "S"):
        assert execute(connection, f"SELECT TRY_CAST({value} AS BINARY) FROM V WHERE N > 0") == [(None,)]
    assert execute(connection, "INSERT INTO T (B) SELECT S FROM V WHERE N IS NULL") == [(1,)]


def test_copy_fills_binary_and_categories(connection: SnowflakeConnection, schema: str, tmp_path: Path) -> None:
    table = pa.table({"B": [b"\xff\x00", None], "C": pa.array(["a", "b"]).dictionary_encode()})
    pq.write_table(table, tmp_path / "t.parquet")
    execute(connection, "CREATE STAGE S")
    execute(connection, "CREATE FILE FORMAT F TYPE = PARQUET BINARY_AS_TEXT = FALSE")
    execute(connection, f"PUT file://{tmp_path}/t.parquet @S AUTO_COMPRESS = FALSE")
    inferred = "SELECT COLUMN_NAME, TYPE FROM TABLE(INFER_SCHEMA(LOCATION => '@S', FILE_FORMAT => 'F'))"
    assert execute(connection, inferred) == [("B", "BINARY"), ("C", "TEXT")]
    copy = "FROM @S FILE_FORMAT = (FORMAT_NAME = 'F') MATCH_BY_COLUMN_NAME = CASE_SENSITIVE"
    for kind in ("BINARY", "BINARY(2)"):
        execute(connection, f"CREATE OR REPLACE TABLE T (B {kind}, C VARCHAR)")
        execute(connection, f"COPY INTO T {copy}")
        assert execute(connection, "SELECT B, C FROM T ORDER BY C") == [(b"\xff\x00", "a"), (None, "b")]
    execute(connection, "CREATE OR REPLACE TABLE T (B BINARY(1), C VARCHAR)")
    assert error(connection, f"COPY INTO T {copy}")[0] == 100078


def test_copy_parses_the_text_of_a_csv_file_for_a_variant(
    connection: SnowflakeConnection, schema: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text('1|{"a": 2}\n')
    execute(connection, "CREATE STAGE S")
    execute(connection, f"PUT file://{tmp_path}/t.csv @S AUTO_COMPRESS = FALSE")
    execute(connection, "CREATE TABLE T (I INT, V VARIANT)")
    execute(connection, "COPY INTO T FROM @S FILE_FORMAT = (TYPE = CSV FIELD_DELIMITER = '|')")
    assert execute(connection, "SELECT I, V:a::INT FROM T") == [(1, 2)]


@pytest.mark.parametrize("value", ["INTERVAL '1 day'", "'POINT(1 2)'::GEOMETRY"])
def test_binary_of_a_type_that_has_no_bytes_here_is_refused(
    connection: SnowflakeConnection, schema: str, tmp_path: Path, value: str
) -> None:
    with duckdb.connect() as duck:
        duck.execute(f"COPY (SELECT {value} AS B) TO '{tmp_path}/t.parquet'")
    execute(connection, "CREATE STAGE S")
    execute(connection, "CREATE FILE FORMAT F TYPE = PARQUET")
    execute(connection, f"PUT file://{tmp_path}/t.parquet @S AUTO_COMPRESS = FALSE")
    query = "SELECT $1:B::BINARY FROM @S (FILE_FORMAT => 'F')"
    assert "not supported by the local Snowflake" in error(connection, query)[2]
