"""The worker's job: what makes it another, what it mounts, and its specification and job file as a whole.

Also tests ``jobs/worker_specification.py``.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
import yaml

from airflow_provider_snowflake_batch.contract.job_file import to_document
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.job import RegistryJob
from airflow_provider_snowflake_batch.jobs.runtimes import REGISTRY_ONLY
from airflow_provider_snowflake_batch.jobs.specs import JobSpec
from airflow_provider_snowflake_batch.jobs.worker_job import Placement, Upload, WorkerJob
from airflow_provider_snowflake_batch.jobs.worker_resources import container_size
from airflow_provider_snowflake_batch.jobs.worker_specification import job_file, specification
from airflow_provider_snowflake_batch.local.spcs import specification as local_specification
from tests.jobs.statement_tokens import only_statement

GIVEN: dict[str, Any] = {
    "name": "job",
    "model": {"target": "my_models.churn:Churn", "code": "my_models", "init": {"threshold": 0.5}},
    "X": "SELECT * FROM features",
    "compute_pool": "pool",
    "output_spec": {"stage_location": "@results/churn/"},
}
HANDLED = {"input_format": "full_stage_path", "convert_to": "raw_bytes"}
ROWS = StagePath.parse("@DB.S.RESULTS/churn/_snowflake_temporary/JOB/1a2b/", field="rows")


def job(**changes: Any) -> WorkerJob:
    return WorkerJob.parse(**(GIVEN | changes)).qualify("DB", "S")


def ready(made: WorkerJob, family: str = "CPU_X64_S", rows: StagePath | None = ROWS) -> WorkerJob:
    size = container_size(family, made.settings, stages=1)
    placement = Placement("/snowflake/images/snowflake_images/container_runtime/cpu_x86_64:2.10.0", size)
    return replace(made, placement=placement, upload=Upload("batch-worker-1-ab.pyz", ("code-cd.zip",), rows))


SIZES = {
    "compute_pool": "other",
    "replicas": 2,
    "cpu_requests": "2",
    "memory_requests": "8GiB",
    "gpu_requests": "1",
    "num_workers": 2,
    "max_batch_rows": 10,
    "executor": "static",
    "min_replicas": 1,
    "max_task_rows": 500,
    "image": "/db/s/repo/image:1",
    "secrets": {"TOKEN": "db.s.token"},
    "external_access_integrations": ["hub"],
    "query_warehouse": "wh",
    "block_volume": {"size": "500Gi"},
}
OF_THE_TASK = {"warehouse": "wh", "job_name_prefix": "NIGHTLY"}
OF_THE_WORK = {
    "job_name": "fixed",
    "on_error": "quarantine",
    "max_quarantined": 5,
    "env": {"MODE": "exact"},
    "stages": ["@images"],
}


def test_it_is_known_of_every_setting_whether_it_makes_another_job() -> None:
    known = {*SIZES, *OF_THE_TASK, *OF_THE_WORK, *REGISTRY_ONLY["job_spec"]}
    assert {"compute_pool", *(item.name for item in fields(JobSpec))} == known


@pytest.mark.parametrize("name", [*SIZES, *OF_THE_TASK, *OF_THE_WORK])
def test_the_fingerprint_is_of_the_work_and_the_sizing_of_the_size(name: str) -> None:
    value = {**SIZES, **OF_THE_TASK, **OF_THE_WORK}[name]
    spec = {"on_error": "quarantine"} if name == "max_quarantined" else {}
    before = job(job_spec=spec)
    other = job(compute_pool=value) if name == "compute_pool" else job(job_spec={**spec, name: value})
    assert (other.fingerprint() == before.fingerprint()) is (name not in OF_THE_WORK)
    assert (other.sizing == before.sizing) is (name not in SIZES)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"target": "my_models.churn:Other", "code": "my_models", "init": {"threshold": 0.5}}},
        {"model": {"target": "my_models.churn:Churn", "code": "my_models", "init": {"threshold": 0.6}}},
        {"model": {"target": "my_models.churn:Churn", "code": "my_models", "function": "score"}},
        {"X": "features"},
        {"output_spec": {"stage_location": "@results/churn/", "columns": ["ID"]}},
        {"input_spec": {"params": {"a": 1}}},
    ],
)
def test_other_rows_or_another_model_are_another_job(changes: dict[str, Any]) -> None:
    assert job(**changes).fingerprint() != job().fingerprint()


@pytest.mark.parametrize(
    ("X", "decisive"),
    [
        ("SELECT * FROM features", ("database", "schema", "role")),
        ({"stage_location": "@DB.S.rows/in", "filter": "IS_NEW(DAY)"}, ("database", "schema", "role")),
        ("DB.S.features", ("role",)),
        ({"stage_location": "@DB.S.rows/in"}, ()),
        ({"stage_location": "@DB.S.rows/in", "select": ["A"]}, ()),
        ({"list_stage_files": "@DB.S.rows/in/"}, ()),
        ({"output_location": "@DB.S.rows/in"}, ()),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["worker", "registry"])
def test_the_session_makes_another_job_where_it_decides_which_rows_are_read(
    kind: str, X: Any, decisive: tuple[str, ...]
) -> None:
    given = {**GIVEN, "X": X, "name": "DB.S.JOB", "output_spec": {"stage_location": "@DB.S.results/churn/"}}
    if kind == "registry":
        described: Any = RegistryJob.parse(model_name="DB.S.MODEL", **{k: v for k, v in given.items() if k != "model"})
    else:
        described = WorkerJob.parse(**given)
    session = {"database": "DB", "schema": "S", "role": "R"}
    made = described.qualify(**session)
    assert replace(made, reader=()).fingerprint() in made.older_fingerprints(), "a record that knows no session"
    for name in session:
        other = described.qualify(**session | {name: "OTHER"})
        assert (other.fingerprint() != made.fingerprint()) is (name in decisive), name
        assert other.fingerprint() not in made.older_fingerprints() or name not in decisive


def test_name_folder_and_directory_are_not_of_the_work() -> None:
    made = job()
    other = replace(made, code_folder="/elsewhere").under_name(QualifiedName("N", "S", "DB"))
    assert other.resuming(made.output_directory).fingerprint() == made.fingerprint()
    assert str(other.output_directory) == "@DB.S.RESULTS/churn/N/"
    resumed = other.resuming(made.output_directory)
    assert str(resumed.output_directory) == "@DB.S.RESULTS/churn/JOB/"
    assert str(resumed.staged_input) == "@DB.S.RESULTS/churn/_snowflake_temporary/JOB/"
    assert str(resumed.job_file) == "@DB.S.RESULTS/churn/_batch_worker/JOB/N/JOB.json"


def test_every_name_is_filled_in() -> None:
    made = job(
        model={"target": "m:C", "code": ["@code/m", "other.zip"]},
        X=["@images/a.png"],
        job_spec={"stages": ["@images"], "secrets": {"A": "key", "B": {"secret": 's2."k 1"', "key": "password"}}},
        input_spec={"column_handling": {"image": HANDLED}},
    )
    assert made.settings.secrets == {"A": "DB.S.KEY", "B": {"secret": 'DB.S2."k 1"', "key": "password"}}
    assert made.model.code_places == ("@DB.S.CODE/m", "other.zip")
    assert made.settings.stages == ("@DB.S.IMAGES",)
    made = job(model={"kind": "xgboost", "path": "@models/a.json", "code": "lib"})
    assert (made.model.file, made.model.code_places) == ("@DB.S.MODELS/a.json", ("lib",))
    assert str(job(model={"kind": "registry", "name": "churn"}).model) == "DB.S.CHURN"
    with pytest.raises(InvalidJobError, match="has no database or schema"):
        WorkerJob.parse(**GIVEN).qualify(None, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": "@results/churn/in/"}, "output_spec.stage_location: the input .* lies inside the output"),
        ({"X": "@results/"}, "output_spec.stage_location: the output .* lies inside the input"),
        (
            {
                "output_spec": {"stage_location": "@r/x", "columns": ["A"]},
                "input_spec": {"partition_column": "A"},
            },
            "output_spec.columns: it does not go together with input_spec.partition_column",
        ),
    ],
)
def test_what_does_not_go_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}"):
        job(**changes)


def test_the_whole_specification() -> None:
    made = job(
        job_spec={
            "env": {"MODE": "fast"},
            "secrets": {"TOKEN": "db.s.token", "USER": {"secret": "db.s.login", "key": "username"}},
        }
    )
    stage = {"requests": {"cpu": 0, "memory": "512Mi"}, "limits": {"cpu": 2, "memory": "2Gi"}}
    node = {"cpu": 3, "memory": "12800Mi"}
    assert specification(ready(made)) == {
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "/snowflake/images/snowflake_images/container_runtime/cpu_x86_64:2.10.0",
                    "command": [
                        "python",
                        "/mnt/batch/output/_batch_worker/batch-worker-1-ab.pyz",
                        "/mnt/batch/output/_batch_worker/JOB/JOB/JOB.json",
                    ],
                    "env": {"BATCH_OUTPUT": "/mnt/batch/output", "TMPDIR": "/mnt/batch/tmp", "MODE": "fast"},
                    "volumeMounts": [
                        {"name": "output", "mountPath": "/mnt/batch/output"},
                        {"name": "shm", "mountPath": "/dev/shm"},
                        {"name": "tmp", "mountPath": "/mnt/batch/tmp"},
                    ],
                    "resources": {"requests": node, "limits": node},
                    "secrets": [
                        {
                            "snowflakeSecret": {"objectName": "DB.S.TOKEN"},
                            "envVarName": "TOKEN",
                            "secretKeyRef": "secret_string",
                        },
                        {
                            "snowflakeSecret": {"objectName": "DB.S.LOGIN"},
                            "envVarName": "USER",
                            "secretKeyRef": "username",
                        },
                    ],
                }
            ],
            "volumes": [
                {
                    "name": "output",
                    "source": "stage",
                    "stageConfig": {"name": "@DB.S.RESULTS/churn", "resources": stage},
                },
                {"name": "shm", "source": "memory", "size": "3840Mi"},
                {"name": "tmp", "source": "local"},
            ],
            "logExporters": {"eventTableConfig": {"logLevel": "INFO"}},
            "platformMonitor": {"metricConfig": {"groups": ["system", "status", "network", "storage"]}},
        }
    }


# What a specification may hold, by the pages that tell so: …/specification-reference of all,
# …/snowflake-stage-volume of `stageConfig`, …/block-storage-volume of `blockConfig`,
# …/service-network-communications of `portRange`, …/monitoring-services of `logExporters` and `platformMonitor`; below
# https://docs.snowflake.com/en/developer-guide/snowpark-container-services/
DOCUMENTED = """
spec:
  containers:
  - name: main
    image: /db/schema/repo/img:tag
    command: ["python", "-m", "x"]
    env: {KEY: "value"}
    volumeMounts: [{name: data, mountPath: /data}]
    resources:
      requests: {memory: 4Gi, cpu: 1.5, nvidia.com/gpu: 1}
      limits: {memory: 8Gi, cpu: 2, nvidia.com/gpu: 1}
    secrets:
    - snowflakeSecret: {objectName: db.sch.sec}
      envVarName: API_KEY
      secretKeyRef: secret_string
  endpoints:
  - {name: ray, portRange: 10000-12000, protocol: TCP}
  volumes:
  - {name: tmp, source: local}
  - {name: shm, source: memory, size: 2Gi}
  - {name: blk, source: block, size: 50Gi, blockConfig: {iops: 4000, throughput: 200}}
  - name: data
    source: stage
    stageConfig:
      name: "@db.sch.stage/path"
      resources: {requests: {cpu: 0, memory: 512Mi}, limits: {cpu: 0.5, memory: 1Gi}}
  logExporters: {eventTableConfig: {logLevel: INFO}}
  platformMonitor: {metricConfig: {groups: [system, status, network, storage]}}
"""


def _shapes(value: Any, place: str = "") -> set[str]:
    """Each value's place and kind. Volumes are told apart by their source, since each has keys of its own."""
    if isinstance(value, list):
        sources = [one.get("source", "") if isinstance(one, dict) else "" for one in value]
        return set().union(*(_shapes(one, f"{place}[{source}]") for one, source in zip(value, sources, strict=True)))
    if place.endswith(".env"):
        return {f"{place}: {type(one).__name__}" for one in value.values()}
    if isinstance(value, dict):
        return set().union(*(_shapes(one, f"{place}.{key}") for key, one in value.items()))
    return {f"{place}: {'number' if isinstance(value, (int, float)) else type(value).__name__}"}


EVERYTHING = {
    "replicas": 4,
    "env": {"MODE": "fast"},
    "secrets": {"TOKEN": "db.s.token"},
    "stages": ["@images"],
    "block_volume": {"size": "500Gi", "iops": 4000, "throughput": 250},
}


@pytest.mark.parametrize("family", ["CPU_X64_S", "GPU_NV_S"])
@pytest.mark.parametrize("given", [{}, EVERYTHING])
def test_every_key_is_a_documented_one(given: dict[str, Any], family: str) -> None:
    """With a value of the documented kind: the server refuses a key that it does not know."""
    known = _shapes(yaml.safe_load(DOCUMENTED))

    assert _shapes(specification(ready(job(job_spec=given), family))) <= known


def test_all_that_is_documented_there_is_made_use_of() -> None:
    """Otherwise the examples would prove less than they seem to."""
    used = (_shapes(specification(ready(job(job_spec=given), "GPU_NV_S"))) for given in ({}, EVERYTHING))

    assert set().union(*used) == _shapes(yaml.safe_load(DOCUMENTED))


@pytest.mark.parametrize(
    ("given", "config"),
    [
        ({"size": "500Gi"}, {}),
        (
            {"size": "500Gi", "iops": 4000, "throughput": 250},
            {"blockConfig": {"iops": 4000, "throughput": 250}},
        ),
    ],
)
def test_temporary_files_may_lie_on_a_block_volume(given: dict[str, Any], config: dict[str, Any]) -> None:
    spec = specification(ready(job(job_spec={"block_volume": given})))["spec"]
    assert spec["volumes"][-1] == {"name": "tmp", "source": "block", "size": "500Gi"} | config
    container = spec["containers"][0]
    assert container["volumeMounts"][-1] == {"name": "tmp", "mountPath": container["env"]["TMPDIR"]}


def test_the_whole_job_file() -> None:
    made = job(
        output_spec={"stage_location": "@results/churn/", "mode": "overwrite", "columns": ["ID"]},
        input_spec={"params": {"gain": 2}},
        job_spec={"on_error": "quarantine", "max_quarantined": 5, "num_workers": 2, "max_batch_rows": 10},
    )
    assert to_document(job_file(ready(made))) == {
        "version": 1,
        "job_name": "DB.S.JOB",
        "input": {"path": "${BATCH_OUTPUT}/_snowflake_temporary/JOB/1a2b", "params": {"gain": 2}},
        "output": {"path": "${BATCH_OUTPUT}/JOB", "mode": "overwrite", "columns": ["ID"]},
        "model": {
            "kind": "python",
            "target": "my_models.churn:Churn",
            "function": "predict",
            "init": {"threshold": 0.5},
            "python_path": ["${BATCH_OUTPUT}/_batch_worker/code-cd.zip"],
        },
        "inference": {"num_workers": 2, "max_batch_rows": 10, "on_error": "quarantine", "max_quarantined": 5},
    }


def test_the_worker_is_told_the_types_that_unloaded_columns_had() -> None:
    made = ready(job())
    assert made.upload is not None
    made = replace(made, upload=replace(made.upload, types=(("ID", "NUMBER(38,0)"), ("AT", "TIMESTAMP_TZ(9)"))))
    assert to_document(job_file(made))["input"]["types"] == {"ID": "NUMBER(38,0)", "AT": "TIMESTAMP_TZ(9)"}


def test_replicas_declare_the_ports_on_which_they_reach_each_other() -> None:
    def endpoints(**spec: Any) -> Any:
        return specification(ready(job(job_spec=spec)))["spec"].get("endpoints")

    declared = {"name": "replicas", "portRange": "12001-12040", "protocol": "TCP"}
    assert endpoints(replicas=4) == endpoints(replicas=4, executor="ray") == [declared]
    assert endpoints() is endpoints(replicas=1) is endpoints(replicas=4, executor="static") is None
    own = {"WORKER_PORTS": "20000-20099"}
    assert endpoints(replicas=4, env=own) == [declared | {"portRange": "20000-20099"}]


def test_the_job_file_says_how_replicas_share_the_work() -> None:
    made = job(job_spec={"replicas": 4, "executor": "RAY", "min_replicas": 2})
    assert to_document(job_file(ready(made)))["inference"] == {"executor": "ray", "min_replicas": 2}


def test_the_job_file_says_how_large_a_task_is() -> None:
    made = job(job_spec={"max_task_rows": 500})
    assert to_document(job_file(ready(made)))["inference"] == {"max_task_rows": 500}


def test_input_files_and_code_on_stages_are_mounted_where_they_lie() -> None:
    made = job(
        X="@features/daily",
        model={"target": "m:C", "code": ["@code/lib/m.whl", "m", "@code/lib2/"]},
        job_spec={"stages": ["@images", "@other.s.sounds"]},
        input_spec={"column_handling": {"image": HANDLED}},
    )
    made = replace(ready(made, rows=None), upload=Upload("w.pyz", (None, "code-1.zip", None)))
    spec = specification(made)["spec"]
    assert {volume["name"]: volume["stageConfig"]["name"] for volume in spec["volumes"] if "stageConfig" in volume} == {
        "output": "@DB.S.RESULTS/churn",
        "input": "@DB.S.FEATURES/daily",
        "stage-0": "@DB.S.IMAGES",
        "stage-1": "@OTHER.S.SOUNDS",
        "code-0": "@DB.S.CODE/lib",
        "code-2": "@DB.S.CODE/lib2",
    }
    document = to_document(job_file(made))
    assert document["input"]["path"] == "${BATCH_INPUT}"
    assert document["model"]["python_path"] == [
        "${BATCH_CODE_0}/m.whl",
        "${BATCH_OUTPUT}/_batch_worker/code-1.zip",
        "${BATCH_CODE_2}",
    ]
    assert document["stages"] == {"DB.S.IMAGES": "${BATCH_STAGE_0}", "OTHER.S.SOUNDS": "${BATCH_STAGE_1}"}
    variables = spec["containers"][0]["env"]
    assert {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]} > set(variables.values())


@pytest.mark.parametrize("path", ["@models/daily/a.json", "@models/a.json", "a.json"])
def test_a_models_file_is_read_where_it_lies_or_was_put(path: str) -> None:
    made = ready(job(model={"kind": "xgboost", "path": path, "columns": ["A"]}))
    uploaded = None if path.startswith("@") else "model-12.json"
    made = replace(made, upload=Upload("w.pyz", rows=made.upload.rows, model=uploaded))
    spec = specification(made)["spec"]
    stages = {volume["name"]: volume["stageConfig"]["name"] for volume in spec["volumes"] if "stageConfig" in volume}
    assert stages.get("model") == (None if uploaded else f"@DB.S.MODELS{path[7:-7]}")
    model = to_document(job_file(made))["model"]
    assert model == {
        "kind": "xgboost",
        "function": "predict",
        "path": f"${{BATCH_OUTPUT}}/_batch_worker/{uploaded}" if uploaded else "${BATCH_MODEL}/a.json",
        "columns": ["A"],
    }
    assert made.model_function.model == str(made.model)


@pytest.mark.parametrize(
    ("path", "mounted", "read"),
    [
        ("@models/churn/7/", "@DB.S.MODELS/churn/7", "${BATCH_MODEL}"),
        ("@models/churn/7.zip", "@DB.S.MODELS/churn", "${BATCH_MODEL}/7.zip"),
    ],
)
def test_a_models_folder_is_mounted_whole_and_an_archive_where_it_lies(path: str, mounted: str, read: str) -> None:
    made = ready(job(model={"kind": "mlflow", "path": path}))
    spec = specification(made)["spec"]
    stages = {volume["name"]: volume["stageConfig"]["name"] for volume in spec["volumes"] if "stageConfig" in volume}
    assert stages["model"] == mounted
    assert to_document(job_file(made))["model"] == {"kind": "mlflow", "function": "predict", "path": read}


def test_a_list_of_files_mounts_their_stages() -> None:
    made = ready(job(X=["@b/1", "@a/2", "@a/3"], input_spec={"column_handling": {"image": HANDLED}}))
    assert to_document(job_file(made))["stages"] == {"DB.S.A": "${BATCH_STAGE_0}", "DB.S.B": "${BATCH_STAGE_1}"}


@pytest.mark.parametrize("family", ["CPU_X64_XS", "GPU_NV_S", "MEM_X64_G2_8"])
def test_the_statement_is_one_that_a_server_reads(family: str) -> None:
    made = ready(job(job_spec={"replicas": 4, "query_warehouse": "wh", "env": {"A": "$$ \x85"}}), family)
    made = replace(made, settings=replace(made.settings, secrets=None))
    tokens = only_statement(made.submission().statement)
    words = [token.value for token in tokens]
    assert words[:6] == ["EXECUTE", "JOB", "SERVICE", "IN", "COMPUTE", "POOL"]
    assert words[words.index("REPLICAS") + 2] == "4"
    (text,) = (token.value for token in tokens if token.kind == "string")
    assert json.loads(text) == yaml.safe_load(text) == specification(made)
    checked = local_specification.parse(text)
    assert checked.containers[0].env["A"] == "$$ \x85"
