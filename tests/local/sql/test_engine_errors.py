"""What the engine says, as an account says it.

Also tests ``local/errors.py``.
"""

from __future__ import annotations

import duckdb
import pytest

from airflow_provider_snowflake_batch.local.sql.engine_errors import snowflake_error


@pytest.mark.parametrize(
    ("error", "errno", "sqlstate", "text"),
    [
        (duckdb.CatalogException("Catalog Error: Table with name A does not exist!"), 2003, "42S02", "Object 'A'"),
        (duckdb.BinderException('Binder Error: Catalog "Q" does not exist!'), 2003, "02000", "Schema 'Q'"),
        (
            duckdb.CatalogException("Catalog Error: Scalar Function with name foo does not exist!"),
            2140,
            "42601",
            "Unknown function FOO",
        ),
        (
            duckdb.CatalogException("Catalog Error: Table Function with name foo does not exist!"),
            2143,
            "42601",
            "table function FOO",
        ),
        (duckdb.CatalogException('Table with name "T" already exists!'), 2002, "42710", "'T' already exists"),
        (
            duckdb.BinderException('Binder Error: Referenced column "Y" not found in FROM clause!'),
            904,
            "42000",
            "error line 2 at position 3\ninvalid identifier 'Y'",
        ),
        (
            duckdb.BinderException('Referenced column "Y" was not found because the FROM clause is missing'),
            904,
            "42000",
            "invalid identifier 'Y'",
        ),
        (
            duckdb.BinderException('Values list "X" does not have a column named "Y"'),
            904,
            "42000",
            "invalid identifier 'Y'",
        ),
        (duckdb.BinderException("Binder Error: anything\nelse"), 1003, "42000", "SQL compilation error:\nanything"),
        (duckdb.BinderException("No function matches '+(JSON)'"), 1003, "42000", "A VARIANT without a cast"),
        (
            duckdb.ConversionException("Could not convert string 'a{b}' to INT32"),
            100038,
            "22018",
            "Numeric value 'a{b}' is not recognized",
        ),
        (
            duckdb.ConversionException("Could not convert string '9999999999999999999999' to INT64"),
            2,
            "0A000",
            "more than 64 bits",
        ),
        (
            duckdb.ConversionException("Could not convert string 'x' to BOOL"),
            100037,
            "22018",
            "Boolean value 'x' is not recognized",
        ),
        (
            duckdb.ConversionException('Failed to cast value to numerical: "abc"'),
            100071,
            "22000",
            'Failed to cast variant value "abc" to FIXED',
        ),
        (duckdb.CatalogException("Column with name A already exists!"), 2025, "42S21", "duplicate column name 'A'"),
        (duckdb.BinderException("Referenced update column ZZ not found in table!"), 904, "42000", "identifier 'ZZ'"),
        (
            duckdb.BinderException(
                "Set operations can only apply to expressions with the same number of result columns"
            ),
            1789,
            "42601",
            "invalid number of result columns",
        ),
        (duckdb.ConversionException("Conversion Error: {line} {0}"), 100035, "22007", "{line} {0}"),
        (duckdb.ConstraintException("NOT NULL constraint failed"), 100072, "22000", "NULL result"),
        (duckdb.InterruptException("INTERRUPT Error"), 604, "57014", "canceled"),
        (
            duckdb.InvalidInputException("Expected Number of Columns: 3 Found: 2"),
            100080,
            "22000",
            "Number of columns in file (2) does not match that of the corresponding table (3)",
        ),
        (duckdb.TransactionException("Current transaction is aborted"), 2, "0A000", "after a failed one"),
        (duckdb.TransactionException("TransactionContext Error: Conflict"), 625, "57014", "Conflict"),
        (duckdb.InternalException("INTERNAL Error: x"), 2, "0A000", "What the statement asks of the engine"),
        (duckdb.Error("Odd Error: what?"), 603, "XX000", "what?"),
    ],
)
def test_numbers_and_words(error: duckdb.Error, errno: int, sqlstate: str, text: str) -> None:
    found = snowflake_error(error, "SELECT X,\n   Y\nFROM A")
    assert (found.errno, found.sqlstate) == (errno, sqlstate)
    assert text in found.message
