"""EXECUTE JOB SERVICE, and what its containers get.

Also tests ``local/spcs/control_plane.py``, ``local/spcs/platform_variables.py``, ``local/spcs/service_clauses.py``,
``local/spcs/submission.py``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector

from tests.local.spcs.conftest import Services

SPECIFICATION = json.dumps(
    {"spec": {"containers": [{"name": "main", "image": "i", "command": ["echo"], "args": ["it's done"]}]}}
)


def test_answers_of_asynchronous_and_synchronous_submission(services: Services) -> None:
    begin = f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool}"
    assert (
        services.text(f"{begin} NAME = A1 ASYNC = TRUE FROM SPECIFICATION $${SPECIFICATION}$$")
        == "Started Snowpark Container Services Job 'A1'."
    )
    assert (
        services.text(f"{begin} NAME = S1 FROM SPECIFICATION $${SPECIFICATION}$$")
        == "Job S1 completed successfully with status: DONE."
    )
    assert services.logs("S1") == "it's done"


@pytest.mark.parametrize(
    "clauses",
    [
        "FROM SPECIFICATION {spec} NAME = {name} ASYNC = FALSE REPLICAS = 2 COMMENT = 'a comment'",
        "NAME = {name} REPLICAS = 2 COMMENT = 'a comment' ASYNC = FALSE FROM SPECIFICATION {spec}",
    ],
)
def test_both_orders_of_clauses(services: Services, clauses: str, schema: str) -> None:
    text = clauses.format(spec="'" + SPECIFICATION.replace("'", "''") + "'", name=f"{schema}.ORDERED")
    services.rows(f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} {text}")
    job = services.row("DESCRIBE SERVICE ORDERED")
    assert (job["status"], job["target_instances"], job["comment"]) == ("DONE", 2, "a comment")


def test_default_name_comes_from_the_query_id(services: Services) -> None:
    answer = services.text(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} ASYNC = TRUE FROM SPECIFICATION $${SPECIFICATION}$$"
    )
    assert re.fullmatch(r"Started Snowpark Container Services Job 'JOB_[0-9A-F_]{36}'\.", answer)


def test_a_name_stays_taken_until_the_job_is_dropped(services: Services) -> None:
    name = services.submit("true")
    services.wait(name)
    sql = f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} NAME = {name} FROM SPECIFICATION $${SPECIFICATION}$$"
    assert services.error(sql).errno == 2002
    services.rows(f"DROP SERVICE {name}")
    services.rows(sql)


def test_a_failed_synchronous_job_is_an_error(services: Services) -> None:
    specification = SPECIFICATION.replace("echo", "false")
    error = services.error(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} NAME = BAD FROM SPECIFICATION $${specification}$$"
    )
    assert "Job BAD failed to complete. Exited with status: FAILED." in str(error)


def test_environment_of_a_container(services: Services, schema: str) -> None:
    name = services.python(
        "import json, os; print(json.dumps(dict(os.environ)))", env={"MINE": "a b", "NUMBER": 3}, replicas=2
    )
    services.wait(name)
    for instance in (0, 1):
        env = json.loads(services.logs(name, instance))
        expected = {
            "MINE": "a b",
            "NUMBER": "3",
            "SNOWFLAKE_JOB_INDEX": str(instance),
            "SNOWFLAKE_JOBS_COUNT": "2",
            "SNOWFLAKE_SERVICE_NAME": name,
            "SNOWFLAKE_DATABASE": "LOCAL",
            "SNOWFLAKE_SCHEMA": schema,
            "SNOWFLAKE_HOST": "127.0.0.1",
        }
        assert {key: env.get(key) for key in expected} == expected
        assert "SNOWFLAKE_ACCOUNT" in env
        assert "A_SECRET_OF_THE_SERVER" not in env


ASKS = """
import json, os, sys, urllib.request
import snowflake.connector

of = os.environ
token = open(of["SNOWFLAKE_TOKEN_FILE_PATH"]).read()
url = f"{of['SNOWFLAKE_PROTOCOL']}://{of['SNOWFLAKE_HOST']}:{of['SNOWFLAKE_PORT']}/api/v2/statements"
body = {"statement": f"SHOW SERVICE INSTANCES IN SERVICE {of['SNOWFLAKE_SERVICE_NAME']}"}
body |= {"database": of["SNOWFLAKE_DATABASE"], "schema": of["SNOWFLAKE_SCHEMA"]}
request = urllib.request.Request(url, json.dumps(body).encode(), {"Authorization": f"Bearer {token}"})
answer = json.load(urllib.request.urlopen(request))
names = [column["name"] for column in answer["resultSetMetaData"]["rowType"]]
rows = [dict(zip(names, row)) for row in answer["data"]]
connection = snowflake.connector.connect(
    host=of["SNOWFLAKE_HOST"], port=int(of["SNOWFLAKE_PORT"]), protocol=of["SNOWFLAKE_PROTOCOL"],
    account=of["SNOWFLAKE_ACCOUNT"], token=token, authenticator="oauth",
)
(one,) = connection.cursor().execute("SELECT 1").fetchone()
mode = os.stat(of["SNOWFLAKE_TOKEN_FILE_PATH"]).st_mode & 0o777
print(json.dumps([[(row["instance_id"], row["ip_address"]) for row in rows], one, oct(mode), token]))
"""


def test_a_container_asks_snowflake_with_its_token(services: Services, connect: Any) -> None:
    """As https://docs.snowflake.com/en/developer-guide/snowpark-container-services/spcs-execute-sql shows it."""
    name = services.python(ASKS)
    services.wait(name, seconds=60)
    instances, one, mode, token = json.loads(services.logs(name).splitlines()[-1])
    assert (instances, one, mode) == ([["0", "127.0.0.2"]], 1, "0o600")
    # It is good as long as the job runs.
    with pytest.raises(snowflake.connector.errors.DatabaseError, match="Incorrect username or password"):
        connect(token=token, authenticator="oauth")


def test_what_failed_is_told_by_the_container(services: Services) -> None:
    name = services.python("print('fine so far'); raise ValueError('no such feature: age')")
    error = services.error(f"CALL {name}!SPCS_WAIT_FOR('DONE', 20)")
    assert "FAILED" in str(error)
    (container,) = services.containers(name)
    assert container["message"] == "User application error, check container logs: ValueError: no such feature: age"
    assert (container["status"], container["last_exit_code"]) == ("FAILED", 1)
    assert services.logs(name).startswith("fine so far\nTraceback")


def test_a_command_that_does_not_exist(services: Services) -> None:
    name = services.submit("no-such-program")
    services.wait(name, "FAILED")
    (container,) = services.containers(name)
    assert container["message"] == (
        "Encountered fatal error while starting container: No such file or directory: no-such-program"
    )


def test_a_template_is_filled(services: Services) -> None:
    template = """
spec:
  containers:
  - name: main
    image: {{ image | default('/a/b/c/d:1') }}
    command: [echo, "{{ greeting }}"]
"""
    services.rows(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} NAME = T1 "
        f"FROM SPECIFICATION_TEMPLATE $${template}$$ USING (greeting => 'hello there')"
    )
    assert services.logs("T1") == "hello there"
    assert services.containers("T1")[0]["image_name"] == "/a/b/c/d:1"


@pytest.mark.parametrize(
    ("sql", "errno", "words"),
    [
        ("IN COMPUTE POOL NO_POOL FROM SPECIFICATION $${spec}$$", 2003, "Compute pool 'NO_POOL' does not exist"),
        ("IN COMPUTE POOL {pool} NAME = NO_SCHEMA.J FROM SPECIFICATION $${spec}$$", 2003, "NO_SCHEMA"),
        ('IN COMPUTE POOL {pool} NAME = "a b" FROM SPECIFICATION $${spec}$$', 1003, "Quoted names"),
        ("IN COMPUTE POOL {pool} NAME = J", 1003, "FROM"),
        ("IN COMPUTE POOL {pool} QUERY_WAREHOUSE = NO_WH FROM SPECIFICATION $${spec}$$", 2003, "Warehouse 'NO_WH'"),
        ("IN COMPUTE POOL {pool} REPLICAS = 0 FROM SPECIFICATION $${spec}$$", 1008, "REPLICAS"),
        ("IN COMPUTE POOL {pool} NAME = A NAME = B FROM SPECIFICATION $${spec}$$", 1003, "Duplicate property 'NAME'"),
        ("IN COMPUTE POOL {pool} SPEED = 3 FROM SPECIFICATION $${spec}$$", 1003, "invalid property 'SPEED'"),
        ("IN COMPUTE POOL {pool} FROM SPECIFICATION $$spec: [$$", 395018, "Invalid spec: not valid YAML"),
        ("IN COMPUTE POOL {pool} FROM SPECIFICATION $$spec: {{}}$$", 395018, "missing required option 'containers'"),
        ("IN COMPUTE POOL {pool} FROM @NO_STAGE SPECIFICATION_FILE = 'a.yaml'", 2003, "NO_STAGE"),
        ("IN COMPUTE POOL SYSTEM_COMPUTE_POOL_CPU FROM SPECIFICATION $${spec}$$", 395033, "not EXECUTE JOB SERVICE"),
    ],
)
def test_what_is_refused_at_submission(services: Services, sql: str, errno: int, words: str) -> None:
    text = sql.replace("{spec}", SPECIFICATION).replace("{pool}", services.pool).replace("{{}}", "{}")
    error = services.error(f"EXECUTE JOB SERVICE {text}")
    assert (error.errno, words in str(error)) == (errno, True), str(error)
    assert services.rows("SHOW JOB SERVICES IN SCHEMA") == []


INFERENCE_JOB = "EXECUTE INFERENCE JOB SERVICE IN COMPUTE POOL P WITH SPECIFICATION $$$$ FROM (SELECT 1)"


@pytest.mark.parametrize(
    ("sql", "clause"),
    [
        ("EXECUTE JOB SERVICE IN COMPUTE POOL P NAME = A REPLICAS = 1 NAME = B", "NAME"),
        (f"{INFERENCE_JOB} MODEL = M VERSION = V1 VERSION = V2", "VERSION"),
        ("CREATE COMPUTE POOL P MIN_NODES = 1 MAX_NODES = 1 MIN_NODES = 2 INSTANCE_FAMILY = CPU_X64_S", "MIN_NODES"),
        ("ALTER COMPUTE POOL {pool} SET COMMENT = 'a' COMMENT = 'b'", "COMMENT"),
    ],
    ids=["job", "inference job", "create pool", "alter pool"],
)
def test_no_clause_may_come_twice(services: Services, sql: str, clause: str) -> None:
    error = services.error(sql.replace("{pool}", services.pool))
    assert (error.errno, f"Duplicate property '{clause}'." in str(error)) == (1003, True), str(error)


def test_specification_from_a_stage(services: Services, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(SPECIFICATION)
    services.rows("CREATE STAGE SPECS")
    services.rows(f"PUT file://{tmp_path}/job.yaml @SPECS/dir AUTO_COMPRESS = FALSE")
    begin = f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool}"
    services.rows(f"{begin} NAME = F1 FROM @SPECS SPECIFICATION_FILE = 'dir/job.yaml'")
    # As Airflow's own operator for containers writes it.
    services.rows(f"{begin} NAME = F2 ASYNC = TRUE FROM @SPECS/dir SPEC = 'job.yaml'")
    services.wait("F2")
    error = services.error(f"{begin} NAME = F3 FROM @SPECS SPECIFICATION_FILE = 'no.yaml'")
    assert "File '@SPECS/no.yaml' does not exist" in str(error)


SCRIPT = """
cat /input/in.txt > $OUTPUT/copy.txt
echo scratch > /tmp/own/x && cat /tmp/own/x
echo $SNOWFLAKE_LOCAL_MOUNTS
"""


def test_stage_volumes_are_the_stages_folders(services: Services, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("from the stage")
    services.rows("CREATE STAGE FILES")
    services.rows(f"PUT file://{tmp_path}/in.txt @FILES/in AUTO_COMPRESS = FALSE")
    specification = {
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "i",
                    "command": ["bash", "-c"],
                    "args": [SCRIPT],
                    "env": {"OUTPUT": "/output"},
                    "volumeMounts": [
                        {"name": "in", "mountPath": "/input"},
                        {"name": "out", "mountPath": "/output"},
                        {"name": "own", "mountPath": "/tmp/own"},
                    ],
                }
            ],
            "volumes": [
                {"name": "in", "source": "stage", "stageConfig": {"name": "@FILES/in"}},
                {"name": "out", "source": "stage", "stageConfig": {"name": "@FILES/out"}},
                {"name": "own", "source": "local"},
            ],
        }
    }
    services.rows(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} NAME = MOUNTED "
        f"FROM SPECIFICATION $${json.dumps(specification)}$$"
    )
    scratch, mounts = services.logs("MOUNTED").splitlines()
    assert scratch == "scratch"
    assert set(json.loads(mounts)) == {"/input", "/output", "/tmp/own"}
    assert [row["name"] for row in services.rows("LIST @FILES/out")] == ["files/out/copy.txt"]
    (tmp_path / "back").mkdir()
    services.rows(f"GET @FILES/out file://{tmp_path}/back")
    assert (tmp_path / "back" / "copy.txt").read_text() == "from the stage"


def test_jobs_go_with_their_schema(services: Services, schema: str) -> None:
    name = services.python("import time; time.sleep(60)")
    services.wait(name, "RUNNING")
    services.rows(f"DROP SCHEMA {schema}")
    services.rows(f"CREATE SCHEMA {schema}")
    services.rows(f"USE SCHEMA {schema}")
    assert services.rows("SHOW JOB SERVICES IN SCHEMA") == []
    services.rows(f"DROP COMPUTE POOL {services.pool}")
