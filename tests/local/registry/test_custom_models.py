"""Custom models: parameters, nested outputs, partitions."""

# No postponed annotations: the model's decorators compare the annotations of its methods with the types themselves.
import json
from typing import Any

import pandas as pd
import pytest
from snowflake.ml.model import custom_model, model_signature
from snowflake.ml.model.batch_inference import InputSpec, OutputSpec
from snowflake.ml.model.model_signature import DataType, FeatureGroupSpec, FeatureSpec, ParamSpec

from tests.local.registry.conftest import Registered, run_batch

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

POOL = "SYSTEM_COMPUTE_POOL_CPU"
BASE = "@LOCAL.MODELS.OUT/custom"


class Scale(custom_model.CustomModel):
    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame, *, factor: float = 2.0, shift: float = 0.5) -> pd.DataFrame:
        outputs = [
            {"text": str(value * factor + shift), "chunks": [{"timestamp": [0.0, value], "text": "a"}]}
            for value in rows["SEPAL_LENGTH"]
        ]
        return pd.DataFrame({"outputs": outputs})


class Sum(custom_model.CustomModel):
    @custom_model.partitioned_api
    def total(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"TOTAL": [float(rows["SEPAL_LENGTH"].sum())], "N": [len(rows)]})


def read(registered: Registered, job_name: str) -> pd.DataFrame:
    reader = registered.session.read.option("pattern", ".*\\.parquet")
    return reader.parquet(f"{BASE}/{job_name}/").to_pandas()


@pytest.fixture(scope="module")
def scale(registered: Registered) -> Any:
    signature = model_signature.ModelSignature(
        inputs=[FeatureSpec("SEPAL_LENGTH", DataType.DOUBLE)],
        outputs=[
            FeatureGroupSpec(
                name="outputs",
                specs=[
                    FeatureSpec("text", DataType.STRING),
                    FeatureGroupSpec(
                        name="chunks",
                        specs=[
                            FeatureSpec("timestamp", DataType.DOUBLE, shape=(2,)),
                            FeatureSpec("text", DataType.STRING),
                        ],
                        shape=(-1,),
                    ),
                ],
            )
        ],
        params=[ParamSpec("factor", DataType.DOUBLE, 2.0), ParamSpec("shift", DataType.DOUBLE, 0.5)],
    )
    return registered.registry.log_model(
        Scale(custom_model.ModelContext()), model_name="SCALE", version_name="V1", signatures={"predict": signature}
    )


def test_parameters_and_nested_outputs(registered: Registered, scale: Any) -> None:
    job = run_batch(
        scale,
        X=registered.session.table("ROWS_IN").filter("ID < 4"),
        compute_pool=POOL,
        job_name="SCALED",
        input_spec=InputSpec(params={"factor": 10.0}),
        output_spec=OutputSpec(stage_location=BASE),
    )
    assert job.wait(timeout=120) == "DONE", job.get_logs()
    result = read(registered, "SCALED").sort_values("ID")
    lengths = registered.rows["SEPAL_LENGTH"].head(4)
    assert [json.loads(value) for value in result["outputs"]] == [
        {"text": str(length * 10.0 + 0.5), "chunks": [{"timestamp": [0.0, length], "text": "a"}]} for length in lengths
    ]


def test_unknown_parameters_are_refused_with_those_there_are(registered: Registered, scale: Any) -> None:
    with pytest.raises(Exception, match="unknown parameter 'depth' for method 'predict'; it accepts factor, shift"):
        run_batch(
            scale,
            X=registered.session.table("ROWS_IN"),
            compute_pool=POOL,
            input_spec=InputSpec(params={"depth": 1}),
            output_spec=OutputSpec(stage_location=BASE),
        )


def test_partitions_over_two_replicas(registered: Registered) -> None:
    signature = model_signature.ModelSignature(
        inputs=[FeatureSpec("SEPAL_LENGTH", DataType.DOUBLE)],
        outputs=[FeatureSpec("TOTAL", DataType.DOUBLE), FeatureSpec("N", DataType.INT64)],
    )
    version = registered.registry.log_model(
        Sum(custom_model.ModelContext()),
        model_name="SUM",
        version_name="V1",
        signatures={"total": signature},
        options={"function_type": "TABLE_FUNCTION"},
    )
    session = registered.session
    job = run_batch(
        version,
        X=session.sql("SELECT MOD(ID, 3)::VARCHAR AS PART, SEPAL_LENGTH FROM ROWS_IN"),
        compute_pool=POOL,
        job_name="SUMMED",
        replicas=2,
        input_spec=InputSpec(partition_column="PART"),
        output_spec=OutputSpec(stage_location=BASE),
    )
    assert job.wait(timeout=120) == "DONE", job.get_logs()
    result = read(registered, "SUMMED").sort_values("PART")
    expected = registered.rows["SEPAL_LENGTH"].groupby(registered.rows.index % 3).agg(["sum", "count"])
    assert list(result["PART"]) == ["0", "1", "2"]
    assert list(result["N"]) == list(expected["count"])
    assert result["TOTAL"].to_numpy() == pytest.approx(expected["sum"].to_numpy())
