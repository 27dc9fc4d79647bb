"""An account is looked at over the real driver: what is there, and each thing that is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import ProgrammingError, SnowflakeConnection

from airflow_provider_snowflake_batch.doctor.account_checks import check_account, check_login
from airflow_provider_snowflake_batch.doctor.facts import AccountFacts, Asked, Refused
from airflow_provider_snowflake_batch.doctor.findings import Finding, Verdict
from airflow_provider_snowflake_batch.doctor.look import look_at_account
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.models import log_linear_model

SCRIPT = Path(__file__).parents[2] / "docs" / "setup.sql"
ROLE, SCHEMA, STAGE, POOL = "DOCTOR_BATCH", "DOCTOR_ML.BATCH", "DOCTOR_ML.BATCH.RESULTS", "DOCTOR_POOL"
WORKER = Asked(
    "snowflake_default", "worker", Identifier(POOL), StagePath.parse("@RESULTS/x/", field="stage"), write=True
)


@pytest.fixture(scope="module")
def administrator(local_server: LocalServer) -> Iterator[SnowflakeConnection]:
    """A session that has run the script of the documentation, with names of its own."""
    text = re.sub(r"\bML\b", "DOCTOR_ML", SCRIPT.read_text(encoding="utf-8")).replace("AIRFLOW_", "DOCTOR_")
    with snowflake.connector.connect(**local_server.connection_kwargs) as connection:
        answers = [list(cursor) for cursor in connection.execute_string(text)]
        # Its last statement shows what the role has.
        assert len(answers[-1]) >= 9
        yield connection
        connection.execute_string(
            f"DROP DATABASE DOCTOR_ML; DROP COMPUTE POOL {POOL}; DROP WAREHOUSE DOCTOR_WH; DROP ROLE {ROLE}"
        )


@pytest.fixture
def conn_id(administrator: SnowflakeConnection, local_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The connection of the script's role."""
    set_connection(local_server, monkeypatch)
    return "snowflake_default"


def set_connection(server: LocalServer, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    connection = json.loads(server.airflow_connection_json)
    connection |= {
        "schema": changes.pop("schema", "BATCH"),
        "password": changes.pop("password", connection["password"]),
    }
    connection["extra"] |= {"role": ROLE, "database": "DOCTOR_ML", "warehouse": "DOCTOR_WH", **changes}
    monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", json.dumps(connection))


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Patterns of statements that this role may not send."""
    patterns: list[str] = []
    send = SnowflakeBatchHook.rows

    def rows(hook: SnowflakeBatchHook, sql: str, **options: Any) -> list[dict[str, Any]]:
        if any(re.match(pattern, sql) for pattern in patterns):
            raise ProgrammingError("SQL access control error:\nInsufficient privileges", errno=3001)
        return send(hook, sql, **options)

    monkeypatch.setattr(SnowflakeBatchHook, "rows", rows)
    return patterns


def findings(asked: Asked = WORKER, **images: str) -> list[Finding]:
    with SnowflakeBatchHook("snowflake_default", transient_timeout=1) as hook:
        seen = look_at_account(hook, asked, images)
    return check_login(seen) if isinstance(seen, Refused) else check_account(asked, seen)


def not_well(asked: Asked = WORKER, **images: str) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.check, one.text, one.fix) for one in findings(asked, **images) if one.verdict is not Verdict.OK]


def test_the_script_leaves_nothing_to_mend(administrator: SnowflakeConnection, conn_id: str) -> None:
    found = findings()
    assert [one for one in found if one.verdict is not Verdict.OK] == []
    texts = {one.check: one.text for one in found}
    assert "a file was written, listed, read and removed" in texts["stage"]
    assert texts["compute pool"].startswith(f"{POOL}, suspended, resumes by itself: 1 to 2 nodes of CPU_X64_S")
    # The file is gone again.
    assert administrator.cursor().execute(f"LIST @{STAGE}").fetchall() == []  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("broken", "mended", "check", "text", "fix"),
    [
        (
            f"REVOKE CREATE SERVICE ON SCHEMA {SCHEMA} FROM ROLE {ROLE}",
            f"GRANT CREATE SERVICE ON SCHEMA {SCHEMA} TO ROLE {ROLE}",
            "privileges",
            "lacks CREATE SERVICE",
            f"GRANT CREATE SERVICE ON SCHEMA {SCHEMA} TO ROLE {ROLE};",
        ),
        (
            f"REVOKE WRITE ON STAGE {STAGE} FROM ROLE {ROLE}",
            f"GRANT WRITE ON STAGE {STAGE} TO ROLE {ROLE}",
            "privileges",
            "lacks WRITE",
            f"GRANT WRITE ON STAGE {STAGE} TO ROLE {ROLE};",
        ),
        (
            f"REVOKE USAGE ON DATABASE DOCTOR_ML FROM ROLE {ROLE}",
            f"GRANT USAGE ON DATABASE DOCTOR_ML TO ROLE {ROLE}",
            "privileges",
            "lacks USAGE on database DOCTOR_ML",
            f"GRANT USAGE ON DATABASE DOCTOR_ML TO ROLE {ROLE};",
        ),
        (
            f"ALTER COMPUTE POOL {POOL} SET AUTO_RESUME = FALSE",
            f"ALTER COMPUTE POOL {POOL} SET AUTO_RESUME = TRUE",
            "compute pool",
            "does not resume by itself",
            f"ALTER COMPUTE POOL {POOL} SET AUTO_RESUME = TRUE;",
        ),
    ],
)
def test_what_is_missing_is_told_and_what_is_told_mends_it(
    administrator: SnowflakeConnection, conn_id: str, broken: str, mended: str, check: str, text: str, fix: str
) -> None:
    administrator.cursor().execute(broken)
    try:
        ((found, said, fixes),) = not_well()
        assert (found, fixes[0]) == (check, fix)
        assert text in said
        administrator.cursor().execute(fixes[0])
        assert not_well() == []
    finally:
        administrator.cursor().execute(mended)


def test_a_privilege_counts_that_a_role_inherits(administrator: SnowflakeConnection, conn_id: str) -> None:
    list(
        administrator.execute_string(
            f"REVOKE WRITE ON STAGE {STAGE} FROM ROLE {ROLE}; CREATE OR REPLACE ROLE DOCTOR_LOWER; CREATE OR REPLACE "
            f"ROLE DOCTOR_LOWEST; GRANT WRITE ON STAGE {STAGE} TO ROLE DOCTOR_LOWEST; GRANT ROLE DOCTOR_LOWEST TO ROLE "
            f"DOCTOR_LOWER; GRANT ROLE DOCTOR_LOWER TO ROLE {ROLE}; GRANT ROLE {ROLE} TO ROLE DOCTOR_LOWEST"
        )
    )
    try:
        found = findings()
        assert [one for one in found if one.verdict is not Verdict.OK] == []
        assert "with those of DOCTOR_LOWER, DOCTOR_LOWEST" in found[-1].text
    finally:
        administrator.cursor().execute(f"GRANT WRITE ON STAGE {STAGE} TO ROLE {ROLE}")
        list(administrator.execute_string("DROP ROLE DOCTOR_LOWER; DROP ROLE DOCTOR_LOWEST"))


@pytest.mark.parametrize(
    ("asked", "check", "text"),
    [
        (replace(WORKER, compute_pool=Identifier("NOPE")), "compute pool", "NOPE does not exist"),
        (
            replace(WORKER, stage=StagePath.parse("@NOPE/", field="stage")),
            "stage",
            "DOCTOR_ML.BATCH.NOPE does not exist",
        ),
        (
            replace(WORKER, runtime="registry", model=QualifiedName("NOPE")),
            "model",
            "DOCTOR_ML.BATCH.NOPE does not exist",
        ),
    ],
)
def test_what_does_not_exist(conn_id: str, asked: Asked, check: str, text: str) -> None:
    ((found, said, fixes),) = not_well(asked)
    assert found == check
    assert text in said
    assert fixes[-1].startswith("GRANT ")


def test_a_stage_that_clients_encrypt(administrator: SnowflakeConnection, conn_id: str) -> None:
    administrator.cursor().execute(f"CREATE OR REPLACE STAGE {SCHEMA}.CSE")
    administrator.cursor().execute(f"GRANT READ, WRITE ON STAGE {SCHEMA}.CSE TO ROLE {ROLE}")
    ((check, said, _),) = not_well(replace(WORKER, stage=StagePath.parse("@CSE/", field="stage")))
    assert check == "stage"
    assert "encrypted by clients" in said


@pytest.mark.parametrize("runtime", ["registry", "worker"])
def test_a_registered_model(
    administrator: SnowflakeConnection, local_server: LocalServer, conn_id: str, refused: list[str], runtime: str
) -> None:
    model = QualifiedName("LINEAR_OF_DOCTOR", "PUBLIC", "LOCAL")
    if not administrator.cursor().execute(f"SHOW MODELS LIKE '{model.name}' IN SCHEMA LOCAL.PUBLIC").fetchall():  # type: ignore[union-attr]
        log_linear_model(local_server, model.name, "V1")
    needed = (f"GRANT USAGE ON DATABASE LOCAL TO ROLE {ROLE};", f"GRANT USAGE ON SCHEMA LOCAL.PUBLIC TO ROLE {ROLE};")
    needed += (f"GRANT {'USAGE' if runtime == 'registry' else 'READ'} ON MODEL {model} TO ROLE {ROLE};",)
    asked = replace(WORKER, runtime=runtime, model=model)
    try:
        assert tuple(line for _, _, fix in not_well(asked) for line in fix) == needed
        list(administrator.execute_string("\n".join(needed)))
        found = findings(asked)
        assert [one for one in found if one.verdict is not Verdict.OK] == []
        (told,) = [one.text for one in found if one.check == "model"]
        assert told == f"{model}, version V1; functions: PREDICT"
        refused.append("LIST 'snow://")
        assert [check for check, _, _ in not_well(asked)] == ([] if runtime == "registry" else ["model"])
    finally:
        list(administrator.execute_string("\n".join(needed).replace("GRANT", "REVOKE").replace(" TO ", " FROM ")))


@pytest.mark.parametrize(
    ("connection", "check", "text"),
    [
        ({"warehouse": "NOPE"}, "warehouse", "NOPE does not exist"),
        ({"database": "NOPE"}, "schema", "database NOPE does not exist"),
        ({"schema": "NOPE"}, "schema", "DOCTOR_ML.NOPE does not exist"),
        ({"role": "NOPE"}, "login", "Role 'NOPE' specified in the connect string does not exist"),
        ({"password": "wrong"}, "login", "Incorrect username or password"),
    ],
)
def test_what_a_connection_names_in_vain(
    administrator: SnowflakeConnection,
    local_server: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
    connection: dict[str, str],
    check: str,
    text: str,
) -> None:
    set_connection(local_server, monkeypatch, **connection)
    found, said, _ = not_well(replace(WORKER, stage=None))[0]
    assert found == check
    assert text in said


def test_a_snowflake_that_is_not_there(local_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(local_server, monkeypatch, port=9, login_timeout=1)
    ((check, said, _),) = not_well()
    assert check == "login"
    assert said.startswith("Snowflake cannot be reached: ")


def test_a_pinned_image_is_told_and_not_asked_for(conn_id: str) -> None:
    (image,) = [one for one in findings(cpu_image="/db/s/repo/worker:1") if one.check == "runtime image"]
    assert image.text == "/db/s/repo/worker:1, from [snowflake_batch] cpu_image"


def test_what_may_not_be_seen_is_open(conn_id: str, refused: list[str]) -> None:
    refused += [
        "SHOW GRANTS",
        "CALL SYSTEM.GET_ML_JOB_RUNTIME",
        "SHOW WAREHOUSES",
        "SHOW PARAMETERS",
        "DESCRIBE COMPUTE",
    ]
    opened = not_well()
    assert [check for check, _, _ in opened] == ["warehouse", "parameters", "compute pool", "privileges"]
    assert "Insufficient privileges" in opened[-1][1]


def test_the_image_may_not_be_told(conn_id: str, refused: list[str]) -> None:
    refused += ["CALL SYSTEM.GET_ML_JOB_RUNTIME"]
    ((check, said, _),) = not_well()
    assert check == "runtime image"
    assert "Insufficient privileges" in said


@pytest.mark.parametrize(
    ("statement", "action", "privilege"), [("LIST", "list", "READ"), ("PUT", "write", "WRITE"), ("GET", "read", "READ")]
)
def test_what_may_not_be_done_with_a_file_is_told(
    conn_id: str, refused: list[str], statement: str, action: str, privilege: str
) -> None:
    refused.append(statement)
    ((check, said, fix),) = not_well()
    assert check == "stage"
    assert f"cannot {action} a file: SQL access control error" in said
    assert fix == (f"GRANT {privilege} ON STAGE {STAGE} TO ROLE {ROLE};",)


def test_a_role_that_is_hidden_does_not_hide_the_others(conn_id: str, refused: list[str]) -> None:
    refused.append("SHOW GRANTS TO ROLE PUBLIC")
    assert not_well() == []


def test_nothing_is_written_unless_it_may_be(administrator: SnowflakeConnection, conn_id: str) -> None:
    with SnowflakeBatchHook(conn_id) as hook:
        hook.write_file = None  # type: ignore[assignment,method-assign]
        seen = look_at_account(hook, replace(WORKER, write=False), {})
    assert isinstance(seen, AccountFacts)
    (stage,) = [one for one in check_account(replace(WORKER, write=False), seen) if one.check == "stage"]
    assert "listed; --write also writes a file" in stage.text
