"""What a notifier learns of the job that a task has failed with, and what a trace shows, in a run by ``dag.test()``.

Also tests ``exceptions.py`` and ``operators/spans.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.log import mask_secret

from airflow_provider_snowflake_batch.exceptions import JobInputError, failed_job
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.card import JobCard
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.job_card import TaskCard, tell_of_no_job
from tests.compute_pools import hook_with_pool
from tests.operators.dag_runs import run_dag
from tests.operators.task_instances import TaskInstance

PAGE = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text(encoding="utf-8")
(NOTIFIER,) = re.findall(r"^```python\n(from airflow.sdk import DAG, BaseNotifier.*?)^with DAG", PAGE, re.M | re.S)
DAG_FILE = """
import json
import sys
from dataclasses import asdict
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Keep(TellOfFailedJob):
    def notify(self, context):
        super().notify(context)
        told = asdict(failed_job(context["exception"]))
        Path(sys.argv[1], context["ti"].task_id).write_text(json.dumps(told))


with DAG("ended", schedule=None) as dag:
    given = {
        "model_name": "LINEAR", "compute_pool": "ENDED", "output_spec": {"stage_location": "@ENDED/out/"},
        "poll_interval": 1, "on_failure_callback": Keep(),
    }
    for deferrable in (False, True):
        RunBatchOperator(
            task_id="deferred" if deferrable else "waited", X="NO_NUMBERS", deferrable=deferrable, **given
        )
    RunBatchOperator(task_id="refused", X="NO_SUCH_TABLE", **given)
    RunBatchOperator(task_id="done", X="NUMBERS", deferrable=True, **given)

if __name__ == "__main__":
    # As Airflow does where traces are on.
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    # Whoever parses a Dag file has no use for spans.
    assert "airflow_provider_snowflake_batch.operators.spans" not in sys.modules
    dag.test()
    spans = ",".join(span.to_json() for span in exporter.get_finished_spans())
    Path(sys.argv[2]).write_text(f"[{spans}]")
"""


@dataclass(frozen=True)
class EndedRun:
    """A run whose jobs have ended: what notifiers were told by task, the spans, and what was printed."""

    failures: dict[str, dict[str, Any]]
    spans: list[dict[str, Any]]
    printed: str


@pytest.fixture(scope="module")
def connection(local_server: LocalServer) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ENDED_JOBS", local_server.airflow_connection_json)
        yield "ended_jobs"


@pytest.fixture(scope="module")
def ended_run(
    connection: str, linear_model: str, local_server: LocalServer, tmp_path_factory: pytest.TempPathFactory
) -> EndedRun:
    statements = (
        "CREATE OR REPLACE STAGE ENDED",
        "CREATE OR REPLACE TABLE NUMBERS AS SELECT 1 AS ID, 2::FLOAT AS A, 1::FLOAT AS B",
        "CREATE OR REPLACE TABLE NO_NUMBERS AS SELECT 1 AS ID, NULL::FLOAT AS A, 1::FLOAT AS B",
    )
    home = tmp_path_factory.mktemp("ended")
    told = home / "told"
    told.mkdir()
    with hook_with_pool(connection, "ENDED", 1, *statements):
        printed = run_dag(NOTIFIER + DAG_FILE, local_server, home, told, home / "spans.json")
    failures = {path.name: json.loads(path.read_text()) for path in told.iterdir()}
    return EndedRun(failures, json.loads((home / "spans.json").read_text()), printed)


def test_a_notifier_tells_of_the_job(ended_run: EndedRun, connection: str) -> None:
    failures, printed = ended_run.failures, ended_run.printed
    assert sorted(failures) == ["deferred", "refused", "waited"], printed
    with SnowflakeBatchHook(connection) as hook:
        for task in ("waited", "deferred"):
            check_ended(hook, failures[task], task)
            assert f"look at {failures[task]['page']}" in printed
    refused = failures["refused"]
    assert {name: refused[name] for name in ("job_name", "status", "output_location", "query_id")} == {
        "job_name": "", "status": "REFUSED", "output_location": "", "query_id": None,
    }  # fmt: skip
    assert refused["reason"].startswith("X: Snowflake cannot read the input LOCAL.PUBLIC.NO_SUCH_TABLE")
    assert "No job (REFUSED, try 1): X: Snowflake cannot read the input" in printed


def test_tasks_of_a_run_leave_spans(ended_run: EndedRun) -> None:
    jobs = [span for span in ended_run.spans if span["name"] == "snowflake_batch.job"]
    jobs.sort(key=lambda job: job["attributes"]["snowflake_batch.job.status"])
    done, *failed = jobs
    assert done["attributes"]["snowflake_batch.job.status"] == "DONE"
    assert done["attributes"]["snowflake_batch.job.model"] == "LOCAL.PUBLIC.LINEAR"
    assert done["status"]["status_code"] == "UNSET"
    # One that waited and one that deferred.
    assert [job["attributes"]["snowflake_batch.job.status"] for job in failed] == ["FAILED"] * 2
    for job in failed:
        assert job["status"] == {"status_code": "ERROR", "description": "Exception: JobFailedError"}
    for job in jobs:
        below = {span["name"] for span in ended_run.spans if span["parent_id"] == job["context"]["span_id"]}
        assert "snowflake_batch.job.pending" in below


def check_ended(hook: SnowflakeBatchHook, told: dict[str, Any], task: str) -> None:
    assert hook.status(told["job_name"]).reported_status == told["status"] == "FAILED"
    assert "contains NaN" in told["reason"]
    assert told["output_location"].startswith("@LOCAL.PUBLIC.ENDED/out/")
    assert hook.check_submission(told["query_id"])
    assert (told["model"], told["compute_pool"]) == ("LOCAL.PUBLIC.LINEAR", "ENDED")
    assert f"/tasks/{task}/" in told["page"]
    # The local Snowflake has no web interface.
    assert (told["snowsight"], told["attempt"]) == (None, 1)


def test_what_airflow_and_the_driver_raise_carries_it_too() -> None:
    """Without what Airflow masks."""
    mask_secret("hush-hush")
    for error in (AirflowTaskTimeout("it took long, hush-hush"), ConnectionError("it took long, hush-hush")):
        card = TaskCard({"ti": TaskInstance()}, JobCard("D.S.J", "RUNNING", "P", 1, "@D.S.R/J/", 10.0, 2), "query")
        with pytest.raises(type(error)), card:
            raise error
        told = failed_job(error)
        assert told is not None
        assert (told.job_name, told.status, told.query_id, told.attempt) == ("D.S.J", "RUNNING", "query", 2)
        assert told.reason == "it took long, ***"


def test_a_task_that_failed_before_its_job_tells_why() -> None:
    error = JobInputError("no such pool")
    tell_of_no_job({"ti": TaskInstance()}, error, None, model="M", compute_pool="P")
    told = failed_job(error)
    assert told is not None
    assert (told.job_name, told.status, told.reason, told.model) == ("", "REFUSED", "no such pool", "M")
    assert told.page == "http://airflow/dags/dag/runs/run/tasks/score/plugin/snowflake-batch-job"


@pytest.mark.parametrize("error", [None, "why", ValueError("why")])
def test_other_failures_have_no_job(error: BaseException | str | None) -> None:
    assert failed_job(error) is None
