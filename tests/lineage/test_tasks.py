"""Lineage as OpenLineage's own extractor takes it from tasks that have run against the local Snowflake."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.sdk import BaseOperator
from airflow.utils.state import TaskInstanceState
from openlineage.client.serde import Serde

from airflow_provider_snowflake_batch.exceptions import JobFailedError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.specs import OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator
from tests.compute_pools import hook_with_pool
from tests.operators.task_instances import TaskInstance

pytestmark = pytest.mark.slow

POOL = "LINEAGE_TESTS"
# What Airflow's Snowflake provider makes of the local Snowflake's address.
NAMESPACE = "snowflake://127.0.0.1.us-west-1.aws"
FILE, TABLE = {"datasetType": "FILE"}, {"datasetType": "TABLE"}


@pytest.fixture
def hook(snowflake_connection: str, linear_model: str) -> Iterator[SnowflakeBatchHook]:
    statements = (
        "CREATE OR REPLACE STAGE LINEAGE",
        "CREATE OR REPLACE TABLE FEATURES (ID INT, A FLOAT, B FLOAT)",
        "INSERT INTO FEATURES VALUES (1, 1, 1), (2, 2, 0), (3, 0, 2)",
        'CREATE OR REPLACE TABLE "features too" AS SELECT * FROM FEATURES',
    )
    with hook_with_pool(snowflake_connection, POOL, 4, *statements) as opened:
        yield opened


def batch(**changes: Any) -> RunBatchOperator:
    given = {
        "task_id": "score",
        "model_name": "LINEAR",
        "version_name": "V1",
        "X": "FEATURES",
        "compute_pool": POOL,
        "output_spec": OutputSpec("@LINEAGE/out/"),
    }
    return RunBatchOperator(**(given | changes))


def lineage(task: BaseOperator, state: TaskInstanceState) -> dict[str, Any]:
    """What the listener gets for the task's event, as JSON."""
    found = ExtractorManager().extract_metadata(
        SimpleNamespace(run_id="run"), task, task_instance_state=state, task_instance=None
    )
    return {
        "inputs": [plain(each) for each in found.inputs],
        "outputs": [plain(each) for each in found.outputs],
        "run": {name: plain(facet) for name, facet in found.run_facets.items()},
        "job": {name: plain(facet) for name, facet in found.job_facets.items()},
    }


def plain(item: Any) -> Any:
    """Without what OpenLineage's client adds to each facet."""

    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stripped(each) for key, each in value.items() if key not in ("_producer", "_schemaURL")}
        return [stripped(each) for each in value] if isinstance(value, list) else value

    return stripped(Serde.to_dict(item))


def named(datasets: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert {dataset["namespace"] for dataset in datasets} <= {NAMESPACE}
    return {dataset["name"]: dataset for dataset in datasets}


def test_a_job_from_start_to_success_and_its_results_in_a_table(hook: SnowflakeBatchHook) -> None:
    task = batch(job_spec={"replicas": 1, "function_name": "predict"})
    before = lineage(task, TaskInstanceState.RUNNING)
    assert [each["name"] for each in before["inputs"]] == ["LOCAL.PUBLIC.FEATURES", "LOCAL.PUBLIC.LINEAR"]
    assert [each["name"] for each in before["outputs"]] == ["LOCAL.PUBLIC.LINEAGE/out"]

    result = task.execute({"ti": TaskInstance()})
    after = lineage(task, TaskInstanceState.SUCCESS)
    inputs = named(after["inputs"])
    assert inputs["LOCAL.PUBLIC.FEATURES"]["facets"] == {"datasetType": TABLE}
    assert inputs["LOCAL.PUBLIC.LINEAR"]["facets"] == {
        "datasetType": {"datasetType": "MODEL"},
        "version": {"datasetVersion": "V1"},
    }
    written = named(after["outputs"])["LOCAL.PUBLIC.LINEAGE/out"]
    assert written["facets"] == {"datasetType": FILE}
    where = {"locations": [result["output_location"]], "type": "location"}
    assert written["outputFacets"] == {
        "subset": {"outputCondition": where},
        "outputStatistics": {"rowCount": 3, "fileCount": result["files"]},
    }
    assert after["run"]["snowflakeBatchInference"] == {
        "model": "LOCAL.PUBLIC.LINEAR",
        "version": "V1",
        "function": "predict",
        "computePool": POOL,
        "replicas": 1,
        "jobName": result["job_name"],
        "status": "DONE",
        "outputLocation": result["output_location"],
        "rows": 3,
        "files": result["files"],
        "seconds": result["seconds"],
    }
    assert after["run"]["externalQuery"]["source"] == NAMESPACE
    assert hook.check_submission(after["run"]["externalQuery"]["externalQueryId"])

    hook.run("DROP TABLE IF EXISTS LINEAGE_SCORES")
    load = LoadBatchResultsOperator(task_id="load", stage_location=result["output_location"], table="lineage_scores")
    loaded = load.execute({})
    after = lineage(load, TaskInstanceState.SUCCESS)
    (read,) = after["inputs"]
    assert (read["namespace"], read["name"]) == (NAMESPACE, written["name"]), "the two tasks do not meet"
    assert read["inputFacets"] == {"subset": {"inputCondition": where}}
    (table,) = after["outputs"]
    assert (table["name"], table["facets"]) == ("LOCAL.PUBLIC.LINEAGE_SCORES", {"datasetType": TABLE})
    assert table["outputFacets"] == {"outputStatistics": {"rowCount": 3, "fileCount": loaded["files"]}}


def test_a_failed_job_says_what_it_read_and_claims_no_rows(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE OR REPLACE TABLE BROKEN AS SELECT 1 AS ID, NULL::FLOAT AS A, 1::FLOAT AS B")
    task = batch(X="SELECT * FROM BROKEN")
    with pytest.raises(JobFailedError):
        task.execute({"ti": TaskInstance()})
    after = lineage(task, TaskInstanceState.FAILED)
    assert set(named(after["inputs"])) == {"LOCAL.PUBLIC.BROKEN", "LOCAL.PUBLIC.LINEAR"}
    assert after["job"] == {"sql": {"query": "SELECT * FROM BROKEN"}}
    facet = after["run"]["snowflakeBatchInference"]
    assert (facet["status"], facet.get("rows")) == ("FAILED", None)
    assert "outputStatistics" not in after["outputs"][0]["outputFacets"]


def test_names_of_a_query_are_those_of_the_tasks_session(snowflake_connection: str) -> None:
    found = lineage(batch(X="SELECT * FROM features JOIN other_db.s.T USING (id)"), TaskInstanceState.RUNNING)
    assert "extractionError" not in found["run"]
    assert [each["name"] for each in found["inputs"]] == [
        "LOCAL.PUBLIC.FEATURES",
        "OTHER_DB.S.T",
        "LOCAL.PUBLIC.LINEAR",
    ]


def test_a_query_that_cannot_be_parsed_says_so(snowflake_connection: str) -> None:
    found = lineage(batch(X="SELECT FROM WHERE )("[:-2]), TaskInstanceState.RUNNING)
    assert [each["name"] for each in found["inputs"]] == ["LOCAL.PUBLIC.LINEAR"]
    assert found["run"]["extractionError"]["failedTasks"] == 1
    assert found["job"]["sql"]["query"] == "SELECT FROM WHERE"


def test_a_model_of_ones_own_is_told_and_is_no_data_set(hook: SnowflakeBatchHook) -> None:
    task = batch(model={"target": "my_models.churn:Churn"}, model_name=None, version_name=None)
    before = lineage(task, TaskInstanceState.RUNNING)
    assert [each["name"] for each in before["inputs"]] == ["LOCAL.PUBLIC.FEATURES"]
    facet = before["run"]["snowflakeBatchInference"]
    assert (facet["model"], facet["function"], facet.get("version")) == ("my_models.churn:Churn", "predict", None)


def test_a_registered_model_that_the_worker_scores_is_a_data_set(hook: SnowflakeBatchHook) -> None:
    task = batch(model={"kind": "registry", "name": "linear"}, model_name=None, version_name=None)
    before = lineage(task, TaskInstanceState.RUNNING)
    assert [each["name"] for each in before["inputs"]] == ["LOCAL.PUBLIC.FEATURES", "LOCAL.PUBLIC.LINEAR"]
    facet = before["run"]["snowflakeBatchInference"]
    assert (facet["model"], facet["function"], facet.get("version")) == ("LOCAL.PUBLIC.LINEAR", "predict", None)
