"""Batch inference on image files: upload, train, score every file of a stage, compare with the truth.

scikit-learn's scans of handwritten digits (8 x 8 pixels) become PNG files on a stage. The model takes the bytes of such
a file; the job is told to score all files below a path, and ``column_handling`` has each one read for the model.

The Dag runs unchanged against the local Snowflake and against an account: only the connection ``snowflake_default``
differs. It needs a database, a schema and a warehouse in that connection, and a role that may create stages, models,
services and (unless it exists) the compute pool named by the parameter ``compute_pool``.
"""

# No postponed annotations: the model's decorator takes those of its method for types.
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_snowflake_batch.jobs.specs import FileEncoding, InputFormat, InputSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

TRAINING_IMAGES = 897

with DAG(
    "digit_images",
    description="Score image files with a batch inference job",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference"],
    params={
        "compute_pool": Param("DIGITS_POOL", type="string", description="Created if it does not exist."),
        "instance_family": Param("CPU_X64_S", type="string", description="Machines of a new pool."),
    },
) as dag:

    @task
    def upload(params: dict[str, Any]) -> int:
        """Put the scans to score on a stage, one PNG file each; the result is their number."""
        import tempfile
        from pathlib import Path

        import numpy as np
        from PIL import Image

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

        pool = Identifier.parse(params["compute_pool"], field="compute_pool")
        family = Identifier.parse(params["instance_family"], field="instance_family")
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = {family}",
                # Jobs read files only from stages with server-side encryption.
                "CREATE STAGE IF NOT EXISTS DIGIT_IMAGES ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                "CREATE STAGE IF NOT EXISTS DIGIT_LABELS",
            ]
        )
        images, _ = _digits()
        with tempfile.TemporaryDirectory() as folder, hook.get_snowpark_session() as session:
            for number, pixels in enumerate(images[TRAINING_IMAGES:], TRAINING_IMAGES):
                Image.fromarray((pixels * 15).astype(np.uint8)).save(Path(folder) / f"scan_{number:04}.png")
            session.file.put(f"{folder}/*.png", "@DIGIT_IMAGES/scans", auto_compress=False, overwrite=True)
        return len(images) - TRAINING_IMAGES

    @task
    def train() -> str:
        """Train on the other scans and log a model of image files; the result is the new version's name."""
        from datetime import UTC, datetime

        import pandas as pd
        from sklearn.ensemble import RandomForestClassifier
        from snowflake.ml.model import custom_model
        from snowflake.ml.model.model_signature import DataType, FeatureSpec, ModelSignature
        from snowflake.ml.registry import Registry

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        images, digits = _digits()
        pixels = images[:TRAINING_IMAGES].reshape(TRAINING_IMAGES, -1)
        forest = RandomForestClassifier(n_estimators=100, random_state=0).fit(pixels, digits[:TRAINING_IMAGES])

        # In here, so that the class is packed with the model: the job's container has no Dag file.
        class DigitReader(custom_model.CustomModel):
            @custom_model.inference_api
            def predict(self, files: pd.DataFrame) -> pd.DataFrame:
                import io

                import numpy as np
                from PIL import Image

                pixels = [np.asarray(Image.open(io.BytesIO(content))).ravel() / 15 for content in files["IMAGE"]]
                return pd.DataFrame({"LABEL": self.context.model_ref("forest").predict(np.stack(pixels))})

        version = f"V{datetime.now(UTC):%Y%m%d_%H%M%S_%f}"
        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            Registry(session).log_model(
                DigitReader(custom_model.ModelContext(forest=forest)),
                model_name="DIGIT_IMAGES",
                version_name=version,
                signatures={
                    "predict": ModelSignature(
                        inputs=[FeatureSpec("IMAGE", DataType.BYTES)], outputs=[FeatureSpec("LABEL", DataType.INT64)]
                    )
                },
                pip_requirements=["pillow"],
                target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
            )
        return version

    score = RunBatchOperator(
        task_id="score",
        model_name="DIGIT_IMAGES",
        version_name="{{ ti.xcom_pull('train') }}",
        X={"list_stage_files": "@DIGIT_IMAGES/scans/", "pattern": r".*\.png"},
        input_spec=InputSpec(
            column_handling={
                "IMAGE": {"input_format": InputFormat.FULL_STAGE_PATH, "convert_to": FileEncoding.RAW_BYTES},
            }
        ),
        compute_pool="{{ params.compute_pool }}",
        output_spec=OutputSpec(stage_location="@DIGIT_LABELS/"),
        deferrable=True,
    )

    @task
    def evaluate(result: dict[str, Any]) -> dict[str, Any]:
        """Read the job's Parquet files and compare the labels with the truth."""
        from pathlib import PurePosixPath

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            labels = session.read.option("pattern", r".*\.parquet").parquet(result["output_location"]).to_pandas()
        labels.columns = [column.strip('"') for column in labels.columns]
        scans = [int(PurePosixPath(path).stem.removeprefix("scan_")) for path in labels["IMAGE"]]
        _, digits = _digits()
        predictions = dict(sorted(zip(scans, labels["LABEL"].astype(int).tolist(), strict=True)))
        return {
            "files": len(labels),
            "accuracy": sum(int(digits[scan]) == label for scan, label in predictions.items()) / len(predictions),
            "predictions": list(predictions.values()),
        }

    [upload(), train()] >> score
    evaluate(score.output)


def _digits() -> tuple[Any, Any]:
    """All scans, as arrays of 8 x 8 pixels from 0 to 16, and the digits that they show."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images, digits.target
