"""SYSTEM$DEPLOY_MODEL as clients before version 2 send it.

Also tests ``local/spcs/deploy_model.py``.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
import yaml
from snowflake.ml.jobs import get_job
from snowflake.snowpark.exceptions import SnowparkSQLException

from tests.local.registry.conftest import Registered

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def encoded(value: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def document(output: dict[str, str], location: str, **job: Any) -> dict[str, Any]:
    return {
        "models": [{"name": "LOCAL.MODELS.IRISES", "version": "V1"}],
        "image_build": {"compute_pool": "SYSTEM_COMPUTE_POOL_CPU", "force_rebuild": False},
        "job": {
            "compute_pool": "SYSTEM_COMPUTE_POOL_CPU",
            "function_name": "predict",
            "warehouse": "COMPUTE_WH",
            "cpu": "2",
            "memory": "8GiB",
            "max_batch_rows": 64,
            "input": {
                "input_stage_location": f"{location}_temporary/",
                "input_file_pattern": "*",
                "column_handling": encoded({}),
                "params": encoded({}),
            },
            "output": {**output, "completion_filename": "_SUCCESS"},
            **job,
        },
    }


def deploy(registered: Registered, given: dict[str, Any]) -> str:
    text = yaml.safe_dump(given).replace("'", "''")
    return str(registered.session.sql(f"CALL SYSTEM$DEPLOY_MODEL('{text}')").collect()[0][0])


def stage_rows(registered: Registered, location: str) -> None:
    registered.session.table("ROWS_IN").write.copy_into_location(
        f"{location}_temporary/", file_format_type="parquet", header=True, overwrite=True
    )


def test_results_go_to_the_location_itself(registered: Registered) -> None:
    location = "@LOCAL.MODELS.OUT/legacy/direct/"
    stage_rows(registered, location)
    given = document({"output_stage_location": location}, location, name="LOCAL.MODELS.LEGACY")
    assert deploy(registered, given).startswith("Batch inference job LOCAL.MODELS.LEGACY with model ")
    assert get_job("LOCAL.MODELS.LEGACY", session=registered.session).wait(timeout=120) == "DONE"
    names = [
        row["name"].removeprefix("out/legacy/direct/") for row in registered.session.sql(f"LIST {location}").collect()
    ]
    assert "_SUCCESS" in names
    assert not any(name.startswith("_temporary/") for name in names)
    reader = registered.session.read.option("pattern", ".*\\.parquet")
    result = reader.parquet(location).to_pandas().sort_values("ID")
    assert list(result["output_feature_0"]) == list(registered.model.predict(registered.rows))


def test_a_base_location_and_a_name_prefix(registered: Registered) -> None:
    location = "@LOCAL.MODELS.OUT/legacy/base/"
    stage_rows(registered, location)
    given = document({"base_stage_location": location}, location, name_prefix="LOCAL.MODELS.NIGHTLY_", sync=True)
    match = re.search(r"Batch inference job LOCAL\.MODELS\.(NIGHTLY_[0-9A-F_]{36}) ", deploy(registered, given))
    assert match is not None
    names = [row["name"] for row in registered.session.sql(f"LIST {location}").collect()]
    assert f"out/legacy/base/{match[1]}/_SUCCESS" in names
    assert not any("_temporary" in name for name in names)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"service": {}}, "not supported by the local Snowflake"),
        ({"model_loggings": [{}]}, "not supported by the local Snowflake"),
        ({"speed": 1}, "unknown option 'speed'"),
        ({"job": None}, "missing required option 'job'"),
        ({"models": []}, "at least 1 item"),
    ],
)
def test_what_is_refused(registered: Registered, change: dict[str, Any], words: str) -> None:
    location = "@LOCAL.MODELS.OUT/legacy/none/"
    given = {**document({"output_stage_location": location}, location), **change}
    with pytest.raises(SnowparkSQLException, match=words):
        deploy(registered, given)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inference_engine_spec": {"inference_engine_name": "vllm"}}, "serves chats"),
        ({"output": {"completion_filename": "_SUCCESS"}}, "needs either"),
        ({"function_name": "explain"}, "explain"),
        ({"input": {"input_stage_location": "@OUT/x/", "params": "not base64!"}}, "must be a JSON object in base64"),
    ],
)
def test_what_is_refused_of_the_job(registered: Registered, change: dict[str, Any], words: str) -> None:
    location = "@LOCAL.MODELS.OUT/legacy/none/"
    given = document({"output_stage_location": location}, location)
    given["job"] |= change
    with pytest.raises(SnowparkSQLException, match=words):
        deploy(registered, given)
