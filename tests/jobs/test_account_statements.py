from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.jobs import account_statements as sql
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (sql.show_parameter("TIMEZONE"), "SHOW PARAMETERS LIKE 'TIMEZONE' IN SESSION"),
        (sql.show_parameter("X", of_account=True), "SHOW PARAMETERS LIKE 'X' IN ACCOUNT"),
        (sql.show_warehouse(Identifier("it's")), "SHOW WAREHOUSES LIKE 'it''s'"),
        (sql.show_grants_to_role(QualifiedName("my role")), 'SHOW GRANTS TO ROLE "my role"'),
        (sql.show_grants_to_role(QualifiedName("R", "DB")), "SHOW GRANTS TO DATABASE ROLE DB.R"),
        (
            sql.grant("READ, WRITE", "STAGE", QualifiedName('a"b', "S", "DB"), Identifier("r")),
            'GRANT READ, WRITE ON STAGE DB.S."a""b" TO ROLE "r";',
        ),
        (sql.grant_role(Identifier("R"), Identifier("me@x.org")), 'GRANT ROLE R TO USER "me@x.org";'),
    ],
)
def test_names_are_quoted_where_they_need_it(text: str, expected: str) -> None:
    assert text == expected


def test_the_session_is_one_row_with_a_column_for_each_name() -> None:
    assert sql.current_session().count(" AS ") == len(sql.SESSION_FUNCTIONS)
    assert "CURRENT_ROLE() AS ROLE" in sql.current_session()
