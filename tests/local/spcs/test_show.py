"""What SHOW and DESCRIBE tell of services.

Also tests ``local/spcs/job_history.py``, ``local/spcs/show_services.py``.
"""

from __future__ import annotations

import yaml

from tests.local.spcs.conftest import Services


def names(rows: list[dict[str, object]]) -> list[object]:
    return [row["name"] for row in rows]


def test_filters_of_show_services(services: Services, schema: str) -> None:
    for name in ("ALPHA_1", "ALPHA_2", "BETA"):
        services.wait(services.submit("true", name=name))
    assert names(services.rows("SHOW SERVICES")) == ["ALPHA_1", "ALPHA_2", "BETA"]
    assert names(services.rows("SHOW JOB SERVICES LIKE 'alpha%'")) == ["ALPHA_1", "ALPHA_2"]
    assert names(services.rows("SHOW SERVICES STARTS WITH 'alpha'")) == []
    assert names(services.rows("SHOW SERVICES STARTS WITH 'BE'")) == ["BETA"]
    assert names(services.rows("SHOW SERVICES LIMIT 1 FROM 'ALPHA_1'")) == ["ALPHA_2"]
    assert names(services.rows(f"SHOW JOB SERVICES IN SCHEMA LOCAL.{schema}")) == ["ALPHA_1", "ALPHA_2", "BETA"]
    assert names(services.rows(f"SHOW JOB SERVICES LIKE 'beta' IN LOCAL.{schema}")) == ["BETA"]
    assert names(services.rows(f"SHOW SERVICES IN COMPUTE POOL {services.pool}")) == ["ALPHA_1", "ALPHA_2", "BETA"]
    assert names(services.rows("SHOW SERVICES IN SCHEMA LOCAL.PUBLIC LIKE 'BETA'")) == []
    assert "BETA" in names(services.rows("SHOW SERVICES IN DATABASE LOCAL"))
    assert "BETA" in names(services.rows("SHOW SERVICES IN ACCOUNT"))
    assert services.rows("SHOW SERVICES EXCLUDE JOBS") == []


def test_describe_has_all_columns_and_the_specification(services: Services, schema: str) -> None:
    name = services.submit("true", env={"KEY": "value"})
    services.wait(name)
    described = services.row(f"DESCRIBE SERVICE LOCAL.{schema}.{name}")
    shown = services.row(f"SHOW SERVICES LIKE '{name}'")
    assert set(described) - set(shown) == {"spec"}
    assert (described["is_job"], described["is_async_job"], described["owner"]) == ("true", "true", "SYSADMIN")
    spec = yaml.safe_load(described["spec"])["spec"]
    assert spec["containers"][0]["env"] == {"KEY": "value"}
    assert spec["volumes"] == []


def test_two_containers_of_one_instance(services: Services) -> None:
    specification = """
spec:
  containers:
  - {name: first, image: i, command: [echo, one]}
  - {name: second, image: i, command: [bash, -c, "echo two; exit 4"]}
  endpoints:
  - {name: ray, port: 10001}
"""
    services.rows(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} NAME = PAIR ASYNC = TRUE "
        f"FROM SPECIFICATION $${specification}$$"
    )
    services.wait("PAIR", "FAILED")
    rows = {row["container_name"]: row for row in services.containers("PAIR")}
    assert rows["second"]["last_exit_code"] == 4
    assert services.text("SELECT SYSTEM$GET_SERVICE_LOGS('PAIR', 0, 'second')") == "two"
    (endpoint,) = services.rows("SHOW ENDPOINTS IN SERVICE PAIR")
    assert (endpoint["name"], endpoint["port"], endpoint["ingress_url"]) == ("ray", 10001, None)


def test_history_keeps_dropped_jobs(services: Services, schema: str) -> None:
    kept = services.python("raise SystemExit('the reason')", replicas=2)
    services.wait(kept, "FAILED")
    dropped = services.submit("true")
    services.wait(dropped)
    services.rows(f"DROP SERVICE {dropped}")
    rows = {
        row["NAME"]: row
        for row in services.rows(
            "SELECT *, INSTANCE_STATUSES:failedInstances::INT AS FAILED_INSTANCES, "
            "PARAMETERS['REPLICAS']::INT AS REPLICAS "
            f"FROM TABLE(SNOWFLAKE.SPCS.GET_JOB_HISTORY()) WHERE SCHEMA_NAME = '{schema}'"
        )
    }
    assert (rows[kept]["STATUS"], rows[kept]["REPLICAS"], rows[kept]["DELETED_TIME"]) == ("FAILED", 2, None)
    assert rows[kept]["FAILED_INSTANCES"] >= 1
    assert "the reason" in rows[kept]["MESSAGE"]
    assert rows[kept]["COMPLETED_TIME"] >= rows[kept]["CREATED_TIME"]
    assert (rows[dropped]["STATUS"], rows[dropped]["DELETED_TIME"] is not None) == ("DONE", True)


def test_history_limits(services: Services, schema: str) -> None:
    for _ in range(2):
        services.wait(services.submit("true"))
    newest = services.rows("SELECT NAME FROM TABLE(SNOWFLAKE.SPCS.GET_JOB_HISTORY(RESULT_LIMIT => 1))")
    assert len(newest) == 1
    past = services.rows(
        "SELECT NAME FROM TABLE(SNOWFLAKE.SPCS.GET_JOB_HISTORY(CREATED_TIME_END => '2020-01-01 00:00:00'))"
    )
    assert past == []
    assert services.error("SELECT * FROM TABLE(SNOWFLAKE.SPCS.GET_JOB_HISTORY(RESULT_LIMIT => 0))").errno == 1008
