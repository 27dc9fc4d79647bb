"""Batch inference on sound files that are listed one by one: texts in, objects back.

SciPy ships short WAV files, of several rates and numbers of channels. They are put on a stage, and their full paths are
the job's input: a list that a task has made. ``column_handling`` has each file read and given to the model as Base64,
as many models of sounds want it. What the model answers is an object for each file, with a list of objects in it: the
pitch of each of its pieces. Such results stay what they are in the Parquet files, and become OBJECT and ARRAY in a
table.

The Dag runs unchanged against the local Snowflake and against an account: only the connection ``snowflake_default``
differs. It needs a database, a schema and a warehouse in that connection, and a role that may create stages, tables,
models, services and (unless it exists) the compute pool named by the parameter ``compute_pool``.
"""

# No postponed annotations: the model's decorator takes those of its method for types.
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_provider_snowflake_batch.jobs.specs import FileEncoding, InputFormat, InputSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator

# Of those that SciPy ships: whole ones, and long enough to have a pitch.
SOUNDS = ("test-44100Hz-le-1ch-4bytes.wav", "test-44100Hz-2ch-32bit-float-le.wav", "test-8000Hz-le-2ch-1byteu.wav")


def sound_files() -> list[Path]:
    import scipy.io

    return [Path(scipy.io.__file__).parent / "tests" / "data" / name for name in SOUNDS]


with DAG(
    "sound_pitches",
    description="Score sound files from a list of stage paths; load nested results into a table",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference"],
    params={
        "compute_pool": Param("SOUND_POOL", type="string", description="Created if it does not exist."),
        "instance_family": Param("CPU_X64_S", type="string", description="Machines of a new pool."),
    },
) as dag:

    @task
    def upload(params: dict[str, Any]) -> list[str]:
        """Put the sounds on a stage; the result is their full paths."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

        pool = Identifier.parse(params["compute_pool"], field="compute_pool")
        family = Identifier.parse(params["instance_family"], field="instance_family")
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = {family}",
                # Jobs read files only from stages with server-side encryption.
                "CREATE STAGE IF NOT EXISTS SOUNDS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                "CREATE STAGE IF NOT EXISTS SOUND_PITCHES ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        with hook.get_snowpark_session() as session:
            for file in sound_files():
                session.file.put(str(file), "@SOUNDS/short", auto_compress=False, overwrite=True)
            stage = f"@{session.get_current_database()}.{session.get_current_schema()}.SOUNDS"
        return [f"{stage}/short/{name}" for name in SOUNDS]

    @task
    def log_model() -> str:
        """Log a model that takes a sound as Base64; the result is the new version's name."""
        from datetime import UTC, datetime

        import pandas as pd
        from snowflake.ml.model import custom_model
        from snowflake.ml.model.model_signature import DataType, FeatureGroupSpec, FeatureSpec, ModelSignature
        from snowflake.ml.registry import Registry

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        # In here, so that the class is packed with the model: the job's container has no Dag file.
        class PitchReader(custom_model.CustomModel):
            @custom_model.inference_api
            def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
                return pd.DataFrame({"SOUND": [self.pitches(text) for text in rows["AUDIO"]]})

            def pitches(self, text: str) -> dict[str, Any]:
                """The loudest frequency in each hundredth of a second of the first channel."""
                import base64
                import io

                import numpy as np
                from scipy.io import wavfile

                rate, samples = wavfile.read(io.BytesIO(base64.b64decode(text)))
                channels = samples[:, None] if samples.ndim == 1 else samples
                first = channels[:, 0].astype(float)
                step = rate // 100
                chunks = []
                for start in range(0, len(first) - step + 1, step):
                    piece = first[start : start + step]
                    loudness = np.abs(np.fft.rfft(piece - piece.mean()))
                    chunks.append({"start": start / rate, "hertz": float(loudness.argmax() * rate / step)})
                return {"rate": int(rate), "channels": channels.shape[1], "chunks": chunks}

        chunks = FeatureGroupSpec(
            "chunks", [FeatureSpec("start", DataType.DOUBLE), FeatureSpec("hertz", DataType.DOUBLE)], shape=(-1,)
        )
        sound = FeatureGroupSpec(
            "SOUND", [FeatureSpec("rate", DataType.INT64), FeatureSpec("channels", DataType.INT64), chunks]
        )
        version = f"V{datetime.now(UTC):%Y%m%d_%H%M%S_%f}"
        with SnowflakeBatchHook("snowflake_default").get_snowpark_session() as session:
            Registry(session).log_model(
                PitchReader(custom_model.ModelContext()),
                model_name="SOUND_PITCHES",
                version_name=version,
                signatures={"predict": ModelSignature([FeatureSpec("AUDIO", DataType.STRING)], [sound])},
                pip_requirements=["scipy"],
                target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
            )
        return version

    score = RunBatchOperator(
        task_id="score",
        model_name="SOUND_PITCHES",
        version_name="{{ ti.xcom_pull('log_model') }}",
        X=upload(),
        input_spec=InputSpec(
            column_handling={
                "AUDIO": {"input_format": InputFormat.FULL_STAGE_PATH, "convert_to": FileEncoding.BASE64},
            }
        ),
        compute_pool="{{ params.compute_pool }}",
        output_spec=OutputSpec(stage_location="@SOUND_PITCHES/"),
        deferrable=True,
    )

    load = LoadBatchResultsOperator(
        task_id="load",
        stage_location=score.output["output_location"],
        table="PITCHES_OF_SOUNDS",
        mode="overwrite",
    )

    @task
    def evaluate() -> dict[str, Any]:
        """Ask the table: a row for each piece of each sound."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        rows = SnowflakeBatchHook("snowflake_default").get_records(
            """
            SELECT AUDIO, SOUND:rate::INT, SOUND:channels::INT, PIECE.VALUE:start::FLOAT, PIECE.VALUE:hertz::FLOAT
            FROM PITCHES_OF_SOUNDS, LATERAL FLATTEN(INPUT => SOUND:chunks) AS PIECE
            ORDER BY AUDIO, PIECE.INDEX
            """
        )
        return {"pieces": [[path.rpartition("/")[2], *values] for path, *values in rows]}

    log_model() >> score
    load >> evaluate()
