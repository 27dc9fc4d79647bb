"""The worker in Snowflake's container runtime, over the real path: files put on a stage, one statement, results there.

What a provider would do is written out by hand here: unload, upload, specification, statement.
"""

from __future__ import annotations

import importlib
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from airflow_provider_snowflake_batch.worker.archive import build_archive
from tests.local.spcs.conftest import Services
from tests.worker.stage_volume import StageVolume

pytestmark = pytest.mark.slow

OUTPUT = "/mnt/batch/output"
CLASSIFIER = """
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

class Churn:
    def __init__(self, threshold):
        stored = json.loads(Path(__file__).with_name("coefficients.json").read_text())
        self.threshold = threshold
        self.model = LogisticRegression()
        self.model.classes_ = np.array([0, 1])
        self.model.coef_ = np.array([stored["coefficients"]])
        self.model.intercept_ = np.array([stored["intercept"]])

    def predict(self, rows):
        features = rows[["AGE", "CALLS"]].to_numpy(dtype=np.float64)
        probability = self.model.predict_proba(features)[:, 1]
        return {"PROBABILITY": probability, "CHURN": probability > self.threshold}
"""
FILES = {
    "my_models/__init__.py": "",
    "my_models/churn.py": CLASSIFIER,
    "my_models/coefficients.json": json.dumps({"coefficients": [0.02, -0.3], "intercept": -0.5}),
}
MODEL = {"kind": "python", "target": "my_models.churn:Churn", "init": {"threshold": 0.4}}


@dataclass
class WorkerJobs:
    """Submits jobs of the worker with rows of ``CUSTOMERS``, on a stage ``RESULTS``."""

    services: Services
    folder: Path
    location: str
    environment: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, below: str) -> None:
        self.services.rows(f"PUT file://{self.folder / name} {self.location}/{below} AUTO_COMPRESS = FALSE")

    def submit(self, name: str, files: dict[str, str], replicas: int = 1, **fields: Any) -> None:
        """Put everything on the stage and send the statement; the results go to ``<stage>/<name>``."""
        rows = f"_snowflake_temporary/{name}/1"
        self.services.rows(
            f"COPY INTO {self.location}/{rows}/ FROM (SELECT * FROM CUSTOMERS) FILE_FORMAT = (TYPE = PARQUET) "
            "HEADER = TRUE"
        )
        with zipfile.ZipFile(self.folder / "code.zip", "w") as code:
            for path, text in files.items():
                code.writestr(path, text)
        self.put("code.zip", "_batch_worker")
        archive = build_archive().write(self.folder).name
        self.put(archive, "_batch_worker")
        document = {
            "version": 1,
            "job_name": name,
            "input": {"path": f"${{BATCH_OUTPUT}}/{rows}"},
            "output": {"path": f"${{BATCH_OUTPUT}}/{name}", "mode": "error"},
            "model": {**MODEL, "python_path": ["${BATCH_OUTPUT}/_batch_worker/code.zip"]},
            **fields,
        }
        (self.folder / "JOB.json").write_text(json.dumps(document))
        self.put("JOB.json", f"_batch_worker/{name}")
        specification = json.dumps(self.specification(archive, f"_batch_worker/{name}/JOB.json"))
        self.services.rows(
            f"EXECUTE JOB SERVICE IN COMPUTE POOL {self.services.pool} NAME = {name} ASYNC = TRUE "
            f"REPLICAS = {replicas} FROM SPECIFICATION $${specification}$$"
        )

    def specification(self, archive: str, job_file: str) -> dict[str, Any]:
        image = self.services.text(f"CALL SYSTEM$GET_ML_JOB_RUNTIME('{self.services.pool}', '')")
        sidecar = {"requests": {"cpu": "0", "memory": "0.5Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
        return {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": image,
                        "command": ["python", f"{OUTPUT}/_batch_worker/{archive}", f"{OUTPUT}/{job_file}"],
                        "env": {"BATCH_OUTPUT": OUTPUT, "TMPDIR": "/mnt/batch/tmp", **self.environment},
                        "volumeMounts": [
                            {"name": "output", "mountPath": OUTPUT},
                            {"name": "tmp", "mountPath": "/mnt/batch/tmp"},
                            {"name": "dshm", "mountPath": "/dev/shm"},
                        ],
                        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1"}},
                    }
                ],
                "volumes": [
                    {
                        "name": "output",
                        "source": "stage",
                        "stageConfig": {"name": self.location, "resources": sidecar},
                    },
                    {"name": "tmp", "source": "local"},
                    {"name": "dshm", "source": "memory", "size": "1Gi"},
                ],
            }
        }

    def message(self, name: str) -> str:
        return str(self.services.containers(name)[0]["message"])

    def results(self, name: str) -> pa.Table:
        """The result's rows, by ID."""
        target = self.folder / f"results of {name}"
        target.mkdir()
        self.services.rows(f"GET {self.location}/{name}/ 'file://{target}' PATTERN = '.*[.]parquet'")
        return ds.dataset(target, format="parquet").to_table().sort_by("ID")


@pytest.fixture
def jobs(services: Services, tmp_path: Path, schema: str) -> WorkerJobs:
    services.rows("CREATE STAGE RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
    services.rows(
        "CREATE TABLE CUSTOMERS AS SELECT SEQ4() AS ID, ID % 60 AS AGE, ID % 7 AS CALLS "
        "FROM TABLE(GENERATOR(ROWCOUNT => 5000))"
    )
    return WorkerJobs(services, tmp_path, f"@LOCAL.{schema}.RESULTS/churn")


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_result_is_what_the_model_says_when_it_is_called(
    jobs: WorkerJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replicas: int
) -> None:
    jobs.submit("SCORED", FILES, replicas)
    jobs.services.wait("SCORED", seconds=240)

    result = jobs.results("SCORED")
    for name, text in FILES.items():
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "code")
    model = importlib.import_module("my_models.churn").Churn(threshold=0.4)
    direct = model.predict(result.select(["AGE", "CALLS"]).to_pandas())
    assert result["ID"].to_pylist() == list(range(5000))
    assert result["PROBABILITY"].to_pylist() == pytest.approx(direct["PROBABILITY"].tolist(), rel=1e-12)
    assert result["CHURN"].to_pylist() == direct["CHURN"].tolist()
    assert set(direct["CHURN"].tolist()) == {True, False}
    listed = [row["name"] for row in jobs.services.rows(f"LIST {jobs.location}/SCORED/")]
    assert any(name.endswith("/SCORED/_SUCCESS") for name in listed)


def test_a_stage_need_not_behave_as_a_disk(jobs: WorkerJobs, tmp_path: Path) -> None:
    """Neither for the archive, the code and the job file, nor for what two replicas write and read."""
    volume = StageVolume(tmp_path / "stage volume", [Path(OUTPUT)])
    jobs.environment = volume.mount()
    jobs.submit("ON_STAGE", FILES, replicas=2)
    jobs.services.wait("ON_STAGE", seconds=240)

    assert jobs.results("ON_STAGE")["ID"].to_pylist() == list(range(5000))
    # What was written went by it.
    assert any(made.name.endswith("_SUCCESS") for made in (volume.state / "made").iterdir())


def test_what_the_image_lacks_is_missed_here_too(jobs: WorkerJobs) -> None:
    """The server's own Python has Airflow; the container runtime has not."""
    code = "import airflow\n" + CLASSIFIER
    jobs.submit("LACKING", {**FILES, "my_models/churn.py": code})
    jobs.services.wait("LACKING", "FAILED", 240)

    assert "No module named 'airflow'" in jobs.message("LACKING")
    log = jobs.services.logs("LACKING")
    assert 'my_models/churn.py", line 1' in log
    assert "ModelError" in log.splitlines()[-1]


def test_a_variable_that_the_specification_does_not_set_is_named(jobs: WorkerJobs) -> None:
    jobs.submit("UNSET", FILES, stages={"DB.SCHEMA.STAGE": "${BATCH_STAGE_0}"})
    jobs.services.wait("UNSET", "FAILED", 240)

    assert "stages.DB.SCHEMA.STAGE begins with ${BATCH_STAGE_0}, but the environment" in jobs.message("UNSET")
    assert jobs.services.containers("UNSET")[0]["last_exit_code"] == 2
