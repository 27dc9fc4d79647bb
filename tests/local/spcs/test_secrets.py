"""Secrets reach the containers that name them, and nobody else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.local.spcs.conftest import Services

TOKEN, PASSWORD = "tok'en-5f1c", "pass$$word-9b7d"


@pytest.fixture
def stored(services: Services) -> Services:
    services.rows("CREATE SECRET TOKEN TYPE = GENERIC_STRING SECRET_STRING = 'tok''en-5f1c' COMMENT = 'of the hub'")
    services.rows(f"CREATE OR REPLACE SECRET LOGIN TYPE = PASSWORD USERNAME = 'someone' PASSWORD = '{PASSWORD}'")
    return services


def variable(name: str, secret: str, key: str) -> dict[str, Any]:
    return {"snowflakeSecret": {"objectName": secret}, "envVarName": name, "secretKeyRef": key}


def test_a_container_gets_secrets_as_variables_and_as_files(
    stored: Services, schema: str, local_server: LocalServer
) -> None:
    code = (
        "import hashlib, json, os\n"
        "found = {name: os.environ[name] for name in ('HUB', 'WHO', 'PASS')}\n"
        "folder = os.environ['FOLDER']\n"
        "found |= {name: open(os.path.join(folder, name)).read() for name in os.listdir(folder)}\n"
        "modes = {oct(os.stat(os.path.join(folder, name)).st_mode & 0o777) for name in os.listdir(folder)}\n"
        "digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()}\n"
        "print(json.dumps([digests, sorted(modes)]))\n"
    )
    secrets = [
        variable("HUB", "token", "secret_string"),
        variable("WHO", f"{schema}.LOGIN", "username"),
        variable("PASS", f"LOCAL.{schema}.LOGIN", "password"),
        {"snowflakeSecret": "LOGIN", "directoryPath": "/secrets/login"},
    ]
    name = stored.python(code, secrets=secrets, env={"FOLDER": "/secrets/login"}, replicas=2)
    stored.wait(name)
    expected = {"HUB": TOKEN, "WHO": "someone", "PASS": PASSWORD, "username": "someone", "password": PASSWORD}
    for instance in (0, 1):
        assert json.loads(stored.logs(name, instance)) == [
            {key: _digest(text) for key, text in expected.items()},
            ["0o600"],
        ]
    # Neither what is shown of the job, nor any file but the control database holds them once the job has ended.
    shown = str(stored.rows(f"DESCRIBE SERVICE {name}") + stored.containers(name))
    shown += str(stored.rows("SELECT * FROM TABLE(SNOWFLAKE.SPCS.GET_JOB_HISTORY())"))
    assert "LOGIN" in shown
    holding = [path.name for path in _files(local_server.state_dir) if _holds(path.read_bytes())]
    assert not _holds(shown.encode())
    assert {path.split("-")[0] for path in holding} <= {"control.db"}, holding


def test_statements_tell_of_a_secret_all_but_what_it_holds(stored: Services, schema: str) -> None:
    shown = stored.rows("SHOW SECRETS")
    assert [(row["name"], row["secret_type"], row["comment"]) for row in shown] == [
        ("LOGIN", "PASSWORD", None),
        ("TOKEN", "GENERIC_STRING", "of the hub"),
    ]
    described = stored.row("DESCRIBE SECRET LOGIN")
    assert (described["username"], described["schema_name"], described["secret_type"]) == (
        "someone",
        schema,
        "PASSWORD",
    )
    assert not _holds(str([shown, described, stored.row("DESC SECRET TOKEN")]).encode())

    stored.rows("ALTER SECRET LOGIN SET PASSWORD = 'another' COMMENT = 'changed'")
    assert stored.row("DESCRIBE SECRET LOGIN")["comment"] == "changed"
    stored.rows("ALTER SECRET IF EXISTS LOGIN UNSET COMMENT")
    assert stored.row("DESCRIBE SECRET LOGIN")["comment"] is None
    stored.rows("DROP SECRET TOKEN")
    stored.rows("DROP SECRET IF EXISTS TOKEN")
    assert stored.error("DROP SECRET TOKEN").errno == 2003
    assert stored.error("ALTER SECRET TOKEN SET COMMENT = 'x'").errno == 2003


def test_the_text_of_the_statement_is_shown_without_the_secret(stored: Services) -> None:
    cursor = stored.connection.cursor()
    cursor.execute("CREATE SECRET OTHER TYPE = GENERIC_STRING SECRET_STRING = 'tok''en-5f1c'")
    rest = stored.connection.rest
    assert rest is not None
    answer = requests.get(
        f"{rest.server_url}/monitoring/queries/{cursor.sfqid}",
        headers={"Authorization": f'Snowflake Token="{rest.token}"'},
        timeout=60,
    ).json()
    assert answer["data"]["queries"][0]["sqlText"].endswith("SECRET_STRING = '***'")


@pytest.mark.parametrize(
    ("statement", "errno", "message"),
    [
        ("CREATE SECRET TOKEN TYPE = GENERIC_STRING SECRET_STRING = 'x'", 2002, "already exists"),
        ("CREATE SECRET S SECRET_STRING = 'x'", 1003, "Missing option"),
        ("CREATE SECRET S TYPE = GENERIC_STRING", 1003, "has exactly SECRET_STRING"),
        ("CREATE SECRET S TYPE = PASSWORD PASSWORD = 'x'", 1003, "has exactly USERNAME and PASSWORD"),
        ("CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = 123", 1003, "expected a string"),
        ("CREATE SECRET S TYPE = OAUTH2", 2, "A secret of TYPE OAUTH2 is not supported by the local Snowflake"),
        ("CREATE SECRET NOPE.S TYPE = GENERIC_STRING SECRET_STRING = 'x'", 2003, "Schema"),
        ("DESCRIBE SECRET NOPE", 2003, "Secret"),
    ],
)
def test_mistakes_in_statements(stored: Services, statement: str, errno: int, message: str) -> None:
    error = stored.error(statement)
    assert (error.errno, message in str(error)) == (errno, True), str(error)
    stored.rows("CREATE SECRET IF NOT EXISTS TOKEN TYPE = GENERIC_STRING SECRET_STRING = 'x'")


@pytest.mark.parametrize(
    ("secret", "errno", "message"),
    [
        (variable("A", "NOPE", "secret_string"), 2003, "NOPE' does not exist or not authorized"),
        (variable("A", "TOKEN", "password"), 395018, "of type GENERIC_STRING has no 'password', only secret_string"),
    ],
)
def test_a_secret_that_is_not_so_is_told_at_submission(
    stored: Services, secret: dict[str, Any], errno: int, message: str
) -> None:
    with pytest.raises(Exception, match=message) as caught:
        stored.submit("true", secrets=[secret])
    assert caught.value.errno == errno  # type: ignore[attr-defined]
    assert stored.rows("SHOW JOB SERVICES IN SCHEMA") == []


def test_a_job_that_waited_fails_if_its_secret_is_gone(stored: Services) -> None:
    busy = [stored.submit("sleep", "60", resources={"requests": {"cpu": 3}}) for _ in range(2)]
    waiting = stored.submit(
        "true", secrets=[variable("A", "TOKEN", "secret_string")], resources={"requests": {"cpu": 3}}
    )
    stored.rows("DROP SECRET TOKEN")
    for name in busy:
        stored.rows(f"CALL {name}!SPCS_CANCEL_JOB()")
    with pytest.raises(Exception, match="FAILED"):
        stored.wait(waiting)
    assert "TOKEN' does not exist" in stored.containers(waiting)[0]["message"]


def test_secrets_go_with_their_schema(stored: Services, schema: str) -> None:
    stored.rows("CREATE SCHEMA OTHER_OF_SECRETS")
    stored.rows("CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = 'x'")
    stored.rows("DROP SCHEMA OTHER_OF_SECRETS")
    stored.rows(f"USE SCHEMA {schema}")
    assert "OTHER_OF_SECRETS" not in {row["schema_name"] for row in stored.rows("SHOW SECRETS IN ACCOUNT")}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _holds(content: bytes) -> bool:
    # The ends of both, too long to be a part of some random token by chance, and without what statements escape.
    return b"en-5f1c" in content or b"word-9b7d" in content


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
