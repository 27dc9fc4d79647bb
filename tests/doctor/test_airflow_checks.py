"""What is said of an Airflow, and what of this one is seen.

Also tests ``doctor/look_at_airflow.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Any

import pytest
from airflow.jobs.job import Job
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.pool import StaticPool

from airflow_provider_snowflake_batch.doctor import look_at_airflow as looking
from airflow_provider_snowflake_batch.doctor.airflow_checks import check_airflow
from airflow_provider_snowflake_batch.doctor.facts import AirflowFacts, Unseen
from airflow_provider_snowflake_batch.doctor.findings import Verdict

FACTS = AirflowFacts({"apache-airflow-core": "3.3.2"}, triggerers=1, connection_type="snowflake")


def test_all_is_well() -> None:
    findings = check_airflow("c", replace(FACTS, images={"cpu_image": "/db/s/repo/worker:1"}))
    assert {one.verdict for one in findings} == {Verdict.OK}
    assert [one.text for one in findings] == [
        "apache-airflow-core 3.3.2",
        "1 running",
        "[snowflake_batch] cpu_image = /db/s/repo/worker:1",
        "c",
    ]


@pytest.mark.parametrize(
    ("changes", "check", "verdict", "text", "fix"),
    [
        (
            {"unmet": {"pyarrow>=18": "17.0"}},
            "versions",
            Verdict.WRONG,
            "pyarrow>=18 is needed, there is 17.0",
            "pip install 'pyarrow>=18'",
        ),
        ({"unmet": {"x": None}}, "versions", Verdict.WRONG, "not installed", "pip install 'x'"),
        ({"triggerers": 0}, "triggerer", Verdict.UNKNOWN, "none is running", "airflow triggerer"),
        ({"triggerers": Unseen("no such table: job")}, "triggerer", Verdict.UNKNOWN, "no such table: job", None),
        (
            {"images": {"gpu_image": "/a/b/container_runtime/gpu_x86_64:2.9"}},
            "configuration",
            Verdict.WRONG,
            "gpu_image = /a/b/container_runtime/gpu_x86_64:2.9: a tag of the container runtime has three numbers",
            "export AIRFLOW__SNOWFLAKE_BATCH__GPU_IMAGE=/database/schema/repository/name:tag",
        ),
        ({"connection_type": None}, "connection", Verdict.WRONG, "there is no connection c", None),
        ({"connection_type": "http"}, "connection", Verdict.WRONG, "c is of type http, not snowflake", None),
    ],
)
def test_what_stands_in_the_way(
    changes: dict[str, Any], check: str, verdict: Verdict, text: str, fix: str | None
) -> None:
    (found,) = [one for one in check_airflow("c", replace(FACTS, **changes)) if one.verdict is not Verdict.OK]
    assert (found.check, found.verdict) == (check, verdict)
    assert text in found.text
    assert fix is None or found.fix == (fix,)


def test_this_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DOCTOR_OTHER", "http://example.org")
    monkeypatch.setenv("AIRFLOW__SNOWFLAKE_BATCH__GPU_IMAGE", "/db/s/repo/worker:1")

    def no_database() -> OrmSession:
        raise OperationalError("SELECT 1", {}, Exception("no such table: job"))

    monkeypatch.setattr("airflow.utils.session.create_session", no_database)
    facts = looking.look_at_airflow("doctor_other")
    assert facts.connection_type == "http"
    assert facts.images == {"gpu_image": "/db/s/repo/worker:1"}
    assert facts.versions["apache-airflow-providers-snowflake"] == metadata.version(
        "apache-airflow-providers-snowflake"
    )
    assert facts.unmet == {}
    assert isinstance(facts.triggerers, Unseen)
    assert "no such table: job" in facts.triggerers.why


def test_triggerers_count_that_send_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Job.__table__.create(engine)  # type: ignore[attr-defined]
    now = datetime.now(UTC)

    @contextmanager
    def create_session() -> Iterator[OrmSession]:
        with OrmSession(engine) as session:
            yield session

    with OrmSession(engine) as session:
        for kind, state, age in (
            ("TriggererJob", "running", 0),
            ("TriggererJob", "running", 3600),
            ("TriggererJob", "success", 0),
            ("SchedulerJob", "running", 0),
        ):
            session.add(Job(job_type=kind, state=state, latest_heartbeat=now - timedelta(seconds=age)))
        session.commit()
    monkeypatch.setattr("airflow.utils.session.create_session", create_session)
    assert looking.look_at_airflow("c").triggerers == 1


def test_a_requirement_that_somebody_has_changed_since(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ["tenacity>=999", "not-there>=1", "only-with-an-extra>=1; extra == 'x'", "pyyaml>=1"]
    monkeypatch.setattr(metadata, "requires", lambda name: listed)
    assert looking.look_at_airflow("c").unmet == {"tenacity>=999": metadata.version("tenacity"), "not-there>=1": None}
