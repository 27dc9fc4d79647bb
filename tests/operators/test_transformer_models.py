"""The operator with models of Hugging Face, in an environment that has transformers: see `make test-transformers`."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.models import ChatModel, HuggingFaceModel, ModelSpec, RegistryModel
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
PYTHON = os.environ.get("LOCAL_SNOWFLAKE_RUNTIME_PYTHON", "")
POOL, STAGE = "TRANSFORMERS", "TRANSFORMERS_RESULTS"
TEXTS = ["the cat sat on the mat", "a very bad day", "one two three four five six and a fast dog", "good"]
# What the library says of each text alone; in the environment that has it.
PROGRAM = """
import json, sys
from tests.worker import transformer_models as made
from transformers import pipeline
classifier, chat = made.Path(sys.argv[1]), made.Path(sys.argv[2])
made.save_text_classifier(classifier)
made.save_chat_model(chat)
pipe = pipeline("text-classification", str(classifier))
print(json.dumps([pipe(text)[0] for text in json.loads(sys.argv[3])]))
"""

LOG = """
import json, sys
from snowflake.ml.registry import Registry
from snowflake.snowpark import Session
from transformers import pipeline
with Session.builder.configs(json.load(sys.stdin)).create() as session:
    Registry(session).log_model(
        pipeline("text-classification", sys.argv[1]),
        model_name="SENTIMENT_OF_WORKER",
        version_name="V1",
        target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
    )
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A folder for a Dag, with models in it, and what the library itself says of the texts."""
    if not PYTHON or subprocess.run([PYTHON, "-c", "import transformers, torch"], check=False).returncode:
        pytest.skip("make test-transformers runs this where transformers is installed")
    folder = tmp_path_factory.mktemp("dags")
    arguments = [str(folder / "classifier"), str(folder / "chat"), json.dumps(TEXTS)]
    done = subprocess.run([PYTHON, "-c", PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def hook(snowflake_connection: str) -> Any:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {POOL} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S",
                f"CREATE OR REPLACE STAGE {STAGE} ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        yield opened


def scored(hook: SnowflakeBatchHook, folder: Path, model: ModelSpec, X: str, **params: Any) -> pd.DataFrame:
    dag = DAG("dag")
    dag.fileloc = str(folder / "dag.py")
    task = RunBatchOperator(
        task_id="score",
        dag=dag,
        model=model,
        X=X,
        compute_pool=POOL,
        input_spec={"params": params},
        output_spec={"stage_location": f"@{STAGE}/out/"},
        job_spec={"num_workers": 1},
        poll_interval=1,
    )
    instance = SimpleNamespace(dag_id="dag", task_id="score", try_number=1, max_tries=0, log_url="http://airflow/")
    instance.xcom_push = lambda key, value: None
    location = task.execute({"ti": instance, "task_state_store": None})["output_location"]
    paths = [file.path for file in hook.list_files(location) if file.path.endswith(".parquet")]
    files = [io.BytesIO(hook.read_file(f"@{STAGE}/{path}")) for path in paths]
    return pd.concat([pq.read_table(file).to_pandas() for file in files]).sort_values("NUMBER", ignore_index=True)


def values(texts: list[str]) -> str:
    return ", ".join(f"({number}, '{text}')" for number, text in enumerate(texts))


def test_a_pipeline_beside_the_dag(hook: SnowflakeBatchHook, saved: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, expected = saved
    model = HuggingFaceModel("classifier", "text-classification")
    found = scored(hook, folder, model, f"SELECT column1 AS NUMBER, column2 AS TEXT FROM VALUES {values(TEXTS)}")
    assert found["label"].tolist() == [one["label"] for one in expected]
    assert found["score"].tolist() == pytest.approx([one["score"] for one in expected], rel=1e-5)


def test_a_chat_model_on_a_stage(hook: SnowflakeBatchHook, saved: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, _ = saved
    for file in (folder / "chat").iterdir():
        hook.write_file(f"@{STAGE}/models/chat/{file.name}", file.read_bytes())
    chats = [json.dumps([{"role": "user", "content": text}]) for text in TEXTS]
    model = ChatModel(f"@{STAGE}/models/chat", engine="transformers")
    query = f"SELECT column1 AS NUMBER, column2 AS MESSAGES FROM VALUES {values(chats)}"
    found = scored(hook, folder, model, query, temperature=0, max_completion_tokens=6)
    assert found["model"].tolist() == ["chat"] * 4
    assert all(choices[0]["message"]["content"] for choices in found["choices"])
    assert found["usage"].map(lambda usage: usage["completion_tokens"]).between(1, 6).all()


def test_a_pipeline_of_the_registry(
    hook: SnowflakeBatchHook, saved: tuple[Path, list[dict[str, Any]]], local_server: LocalServer
) -> None:
    folder, expected = saved
    session = json.dumps(local_server.connection_kwargs)
    command = [PYTHON, "-c", LOG, str(folder / "classifier")]
    done = subprocess.run(command, input=session, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    model = RegistryModel("SENTIMENT_OF_WORKER", function="__call__")
    found = scored(hook, folder, model, f"SELECT column1 AS NUMBER, column2 AS TEXT FROM VALUES {values(TEXTS)}")
    assert found["label"].tolist() == [one["label"] for one in expected]
    assert found["score"].tolist() == pytest.approx([one["score"] for one in expected], rel=1e-5)
