"""What the recipes of docs/howto.md find in the local Snowflake: models, rows and files.

``python -m tests.example_dags.howto_models STATE_DIRECTORY`` puts it there.
"""

# No postponed annotations: the client compares the annotations of a model's methods with the types themselves.
import base64
import io
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from snowflake.ml.model import custom_model, openai_signatures
from snowflake.ml.model.model_signature import DataType, FeatureGroupSpec, FeatureSpec, ModelSignature, ParamSpec
from snowflake.ml.registry import Registry
from snowflake.snowpark import Session

from airflow_provider_snowflake_batch.local.server_process import LocalServer

ROWS = (
    """INSERT INTO ML.PUBLIC.CUSTOMERS VALUES
        (1, 'ann', '2026-01-05', 50), (2, 'ann', '2026-01-05', 150), (3, 'bob', '2026-01-06', 250)""",
    "INSERT INTO ML.PUBLIC.PLOTS VALUES (1, 2, 3), (2, 4, 5), (3, 6, 0)",
    "INSERT INTO ML.PUBLIC.TEXTS VALUES (1, 'Once'), (2, 'Twice upon')",
    """INSERT INTO ML.PUBLIC.CHATS VALUES (1, '[{"role": "user", "content": "Why?"}]')""",
)
FILES = {
    "IMAGES/a.png": b"a",
    "IMAGES/b.png": b"bb",
    "IMAGES/2026/c.png": b"ccc",
    "IMAGES/2026/d.png": b"dddd",
    "SOUNDS/2026/one.wav": b"one",
}


class Churn(custom_model.CustomModel):
    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"CHURN": rows["FEATURE_1"] / 100})


class Labels(custom_model.CustomModel):
    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"LABEL": [content.decode() for content in rows["IMAGE"]]})


class Speech(custom_model.CustomModel):
    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        texts = [base64.b64decode(content).decode() for content in rows["AUDIO"]]
        heard = [{"text": text, "chunks": [{"timestamp": [0.0, 0.5], "text": text[:1]}]} for text in texts]
        return pd.DataFrame({"SPEECH": heard})


class Stories(custom_model.CustomModel):
    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame, *, temperature: float = 0.5, max_tokens: int = 8) -> pd.DataFrame:
        return pd.DataFrame({"STORY": [f"{text}, {temperature}, {max_tokens}" for text in rows["BODY"]]})


class Embed(custom_model.CustomModel):
    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"SIZE": [len(text) for text in rows["BODY"]]})


class Classify(custom_model.CustomModel):
    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"CLASS": ["long" if size > 5 else "short" for size in rows["SIZE"]]})


class Totals(custom_model.CustomModel):
    @custom_model.partitioned_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"TOTAL": [float(rows["FEATURE_1"].sum())]})


class Chat(custom_model.CustomModel):
    """A chat model's place in the registry; the engine answers in its stead."""

    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        raise AssertionError("the engine was to answer")


def one_to_one(name: str, given: DataType, output: str, made: DataType, *params: ParamSpec) -> ModelSignature:
    return ModelSignature([FeatureSpec(name, given)], [FeatureSpec(output, made)], params=list(params))


CHUNKS = FeatureGroupSpec(
    "chunks",
    [FeatureSpec("timestamp", DataType.DOUBLE, shape=(2,)), FeatureSpec("text", DataType.STRING)],
    shape=(-1,),
)
HEARD = FeatureGroupSpec("SPEECH", [FeatureSpec("text", DataType.STRING), CHUNKS])
OPTIONS: dict[str, dict[str, Any]] = {
    "TOTALS": {"function_type": "TABLE_FUNCTION"},
    "CHAT": {"cuda_version": "12.4"},
}
MODELS: dict[str, tuple[type[custom_model.CustomModel], ModelSignature]] = {
    "CHURN": (Churn, one_to_one("FEATURE_1", DataType.DOUBLE, "CHURN", DataType.DOUBLE)),
    "LABELS": (Labels, one_to_one("IMAGE", DataType.BYTES, "LABEL", DataType.STRING)),
    "SPEECH": (Speech, ModelSignature([FeatureSpec("AUDIO", DataType.STRING)], [HEARD])),
    "STORIES": (
        Stories,
        one_to_one(
            "BODY", DataType.STRING, "STORY", DataType.STRING,
            ParamSpec("temperature", DataType.DOUBLE, 0.5), ParamSpec("max_tokens", DataType.INT64, 8),
        ),
    ),
    "EMBED": (Embed, one_to_one("BODY", DataType.STRING, "SIZE", DataType.INT64)),
    "CLASSIFY": (Classify, one_to_one("SIZE", DataType.INT64, "CLASS", DataType.STRING)),
    "TOTALS": (Totals, one_to_one("FEATURE_1", DataType.DOUBLE, "TOTAL", DataType.DOUBLE)),
    "CHAT": (Chat, openai_signatures.OPENAI_CHAT_SIGNATURE["__call__"]),
}  # fmt: skip


def prepare(session: Session) -> None:
    for statement in ROWS:
        session.sql(statement).collect()
    for name, content in FILES.items():
        session.file.put_stream(io.BytesIO(content), f"@ML.PUBLIC.{name}", auto_compress=False)
    exported = io.BytesIO(pd.DataFrame({"id1": [1, 2], "feature_1": [50.0, 150.0]}).to_parquet())
    session.file.put_stream(exported, "@ML.PUBLIC.EXPORTS/features/1.parquet", auto_compress=False)
    registry = Registry(session, database_name="ML", schema_name="PUBLIC")
    for name, (model, signature) in MODELS.items():
        registry.log_model(
            model(custom_model.ModelContext()),
            model_name=name,
            version_name="V1",
            signatures={"predict": signature},
            options=OPTIONS.get(name),
            target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
        )


if __name__ == "__main__":
    with Session.builder.configs(LocalServer(Path(sys.argv[1])).connection_kwargs).create() as session:
        prepare(session)
