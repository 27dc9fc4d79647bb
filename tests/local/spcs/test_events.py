"""What an account tells about a service beside its status: events, DNS domain, maintenance."""

from __future__ import annotations

import json

from tests.local.spcs.conftest import Services


def test_events_follow_a_job(services: Services) -> None:
    name = services.python("raise SystemExit(3)", replicas=2)
    services.error(f"CALL {name}!SPCS_WAIT_FOR('DONE', 20)")
    rows = services.rows(f"SELECT * FROM TABLE({name}!SPCS_GET_EVENTS())")
    assert [row["TIMESTAMP"] for row in rows] == sorted(row["TIMESTAMP"] for row in rows)
    details = [(row["EVENT_NAME"], json.loads(row["EVENT_DETAILS"])["status"], row["INSTANCE_ID"]) for row in rows]
    of_the_job = [status for event, status, _ in details if event == "SERVICE.STATUS_CHANGE"]
    assert of_the_job == ["PENDING", "RUNNING", "FAILED"]
    failed = [row for row in rows if row["SEVERITY"] == "ERROR" and row["CONTAINER_NAME"] == "main"]
    # The first one that fails ends the job, and so the other one if it has not failed yet.
    assert any("User application error" in json.loads(row["EVENT_DETAILS"])["message"] for row in failed)
    later = services.rows(f"SELECT * FROM TABLE({name}!SPCS_GET_EVENTS(START_TIME => '2100-01-01'))")
    assert later == []


def test_events_of_no_service(services: Services) -> None:
    assert services.error("SELECT * FROM TABLE(NOPE!SPCS_GET_EVENTS())").errno == 2003


def test_what_only_an_account_tells_is_refused(services: Services) -> None:
    name = services.python("pass")
    for sql in (
        f"SELECT * FROM TABLE({name}!SPCS_GET_METRICS())",
        "SELECT SYSTEM$REGISTRY_LIST_IMAGES('/a/b/c')",
        "SHOW EXTERNAL ACCESS INTEGRATIONS",
        "SELECT SYSTEM$NO_SUCH_FUNCTION(1)",
        "SELECT * FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY())",
    ):
        assert "not supported by the local Snowflake" in str(services.error(sql).msg), sql


def test_dns_domain_and_maintenance(services: Services, schema: str) -> None:
    domain = services.text(f"SELECT SYSTEM$GET_SERVICE_DNS_DOMAIN('LOCAL.{schema}')")
    name = services.python("pass")
    assert services.row(f"DESCRIBE SERVICE {name}")["dns_name"].endswith(f".{domain}")
    assert services.error("SELECT SYSTEM$GET_SERVICE_DNS_DOMAIN('NOPE')").errno == 2043
    assert services.text("SELECT SYSTEM$GET_COMPUTE_POOL_PENDING_MAINTENANCE()") == "[]"
