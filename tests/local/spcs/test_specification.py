"""Specifications of services and of inference jobs.

Also tests ``local/spcs/inference_specification.py``, ``local/spcs/yaml_rules.py``.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.spcs import inference_specification, specification

CONTAINER: dict[str, Any] = {"name": "main", "image": "/db/schema/repo/image:1", "command": ["python", "-m", "x"]}


def service(container: dict[str, Any] | None = None, **spec: Any) -> str:
    return yaml.safe_dump({"spec": {"containers": [{**CONTAINER, **(container or {})}], **spec}})


def refusal(text: str) -> SnowflakeError:
    with pytest.raises(SnowflakeError) as caught:
        specification.parse(text)
    return caught.value


def block_volume(**config: Any) -> str:
    return service(volumes=[{"name": "v", "source": "block", "size": "5Gi", "blockConfig": config}])


def test_a_full_specification() -> None:
    checked = specification.parse(
        """
spec:
  containers:
  - name: main
    image: /db/schema/repo/img:tag
    command: ["python", "-m", "x"]
    args: ["--n", 1]
    env: {KEY: value, FLAG: true}
    volumeMounts: [{name: data, mountPath: /data}, {name: tmp, mountPath: /tmp/x}]
    resources:
      requests: {memory: 4Gi, cpu: 1.5}
      limits: {memory: 8Gi, cpu: 2}
  - name: side
    image: i
    command: [sleep, "1"]
    resources: {limits: {cpu: 1}}
  endpoints:
  - {name: rdzv, port: 29500, protocol: TCP}
  volumes:
  - {name: tmp, source: local}
  - {name: large, source: block, size: 50Gi, blockConfig: {iops: 4000, throughput: 200}}
  - name: data
    source: stage
    stageConfig: {name: "@db.sch.stage/path", metadataCache: "1h"}
    uid: 65532
  logExporters: {eventTableConfig: {logLevel: INFO}}
capabilities: {securityContext: {executeAsCaller: false}}
"""
    )
    main, side = checked.containers
    assert main.argv == ["python", "-m", "x", "--n", "1"]
    assert main.env == {"KEY": "value", "FLAG": "true"}
    assert main.mounts == {"/data": "data", "/tmp/x": "tmp"}
    assert side.argv == ["sleep", "1"]
    assert checked.volumes["data"].stage == "@db.sch.stage/path"
    assert checked.volumes["tmp"].stage is checked.volumes["large"].stage is None
    assert checked.resources == {"cpu": 2.5, "memory": 4.5 * 2**30, "gpu": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (service(speed=1), "Invalid spec: unknown option 'speed' for 'spec'."),
        (service({"colour": 1}), "Invalid spec: unknown option 'colour' for 'spec.containers[0]'."),
        (yaml.safe_dump({"spec": {"container": []}}), "Invalid spec: unknown option 'container' for 'spec'."),
        ("spec: {containers: []}", "Invalid spec: 'spec.containers' must have at least 1 item(s)."),
        ("[]", "Invalid spec: 'specification' must be a mapping."),
        (service({"name": "Main"}), "invalid value 'Main' for 'spec.containers[0].name'"),
        (service({"image": None}), "missing required option 'image' for 'spec.containers[0]'"),
        (service({"command": "python"}), "'spec.containers[0].command' must be a list"),
        (service({"env": {"A": [1]}}), "invalid value [1] for 'spec.containers[0].env.A'"),
        (service({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}), "mounts unknown volume 'v'"),
        (service({"volumeMounts": [{"name": "v", "mountPath": "v"}]}), "expected an absolute path"),
        (service({"secrets": [{"snowflakeSecret": "s"}]}), "needs 'envVarName' or 'directoryPath'"),
        (
            service({"secrets": [{"snowflakeSecret": "s", "envVarName": "A"}]}),
            "'secretKeyRef' belongs to",
        ),
        (service({"secrets": [{"snowflakeSecret": "s", "envVarName": "A B"}]}), "the name of an environment variable"),
        (service({"secrets": [{"directoryPath": "/s"}]}), "missing required option 'snowflakeSecret'"),
        (service({"secrets": [{"snowflakeSecret": "s", "directoryPath": "/s"}] * 2}), "mounts '/s' twice"),
        (service({"secrets": [{"snowflakeSecret": "s", "directoryPath": "/s"}] * 51}), "has 51 items, the limit is 50"),
        (service({"resources": {"requests": {"memory": "4GiB"}}}), "expected a number with a unit (M, Mi, G, Gi)"),
        (service({"resources": {"requests": {"cpu": "many"}}}), "expected a number of vCPUs"),
        (service({"resources": {"requests": {"nvidia.com/gpu": 1}}}), "needs the same value in requests and limits"),
        (service(volumes=[{"name": "v", "source": "@s"}]), "stage mount v1 not supported, please use v2 instead"),
        (service(volumes=[{"name": "v", "source": "stage"}]), "needed by, source 'stage'"),
        (service(volumes=[{"name": "v", "source": "disk"}]), "invalid value 'disk' for source of volume 'v'"),
        (service(volumes=[{"name": "v", "source": "memory"}]), "needs 'size'"),
        (service(volumes=[{"name": "v", "source": "block", "size": "1.5Gi"}]), "must be a whole number of Gi"),
        (block_volume(speed=1), "unknown option 'speed' for 'spec.volumes[0].blockConfig'"),
        (block_volume(iops="4000"), "invalid value '4000' for 'spec.volumes[0].blockConfig.iops'"),
        (block_volume(encryption="NONE"), "expected one of SNOWFLAKE_SSE, SNOWFLAKE_FULL"),
        (
            service(volumes=[{"name": f"v{n}", "source": "block", "size": "1Gi"} for n in range(4)]),
            "a service takes at most 3 volumes with source 'block'",
        ),
        (
            service(volumes=[{"name": "v", "source": "local", "blockConfig": {"iops": 4000}}]),
            "volume 'v': 'blockConfig' belongs to source 'block'",
        ),
        (service(volumes=[{"name": "v", "source": "local"}] * 2), "duplicate name 'v' in 'spec.volumes'"),
        (service(endpoints=[{"name": "e"}]), "endpoint 'e' needs either 'port' or 'portRange'"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    error = refusal(text)
    assert (error.errno, error.sqlstate) == (395018, "22023")
    assert message in error.message


@pytest.mark.parametrize(
    "text",
    [
        service({"command": None}),
        service({"readinessProbe": {"port": 1, "path": "/"}}),
        service({"secrets": [{"snowflakeSecret": {"objectReference": "r"}, "directoryPath": "/s"}]}),
        block_volume(initialContents={"fromSnapshot": "s"}),
        service(endpoints=[{"name": "e", "port": 1, "public": True}]),
        yaml.safe_dump({**yaml.safe_load(service()), "serviceRoles": []}),
        yaml.safe_dump({**yaml.safe_load(service()), "capabilities": {"securityContext": {"executeAsCaller": True}}}),
    ],
)
def test_what_only_an_account_does_is_said(text: str) -> None:
    assert refusal(text).message.endswith("is not supported by the local Snowflake.")


INFERENCE = """
input:
  params: {temperature: 0.7}
  column_handling: {IMAGES: {input_format: FULL_STAGE_PATH, convert_to: raw_bytes}}
  partition_column: STORE
output: {stage_location: "@db.sch.stage/base/", mode: OVERWRITE}
resources: {cpu_requests: "2", memory_requests: 8GiB, gpu_requests: "0"}
inference: {num_workers: 4, max_batch_rows: 2048, engine_options: {engine: python_generic}}
image_build: {image_repo: db.sch.repo, force_rebuild: false}
"""


def test_a_full_inference_specification() -> None:
    checked = inference_specification.parse(INFERENCE)
    assert (checked.output_location, checked.mode) == ("@db.sch.stage/base/", "overwrite")
    assert checked.params == {"temperature": 0.7}
    assert checked.column_handling == {"IMAGES": {"input_format": "full_stage_path", "convert_to": "raw_bytes"}}
    assert (checked.partition_column, checked.num_workers, checked.max_batch_rows) == ("STORE", 4, 2048)
    assert checked.resources == {"cpu": 2.0, "memory": 8 * 2**30, "gpu": 0.0}
    assert checked.image_repo == "db.sch.repo"


def test_only_the_output_is_needed_and_resources_are_the_whole_node() -> None:
    checked = inference_specification.parse('output: {stage_location: "@s"}')
    assert checked.mode == "error"
    assert checked.resources == {"cpu": None, "memory": None, "gpu": 0.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing required option 'output' for 'specification'"),
        ("output: {}", "missing required option 'stage_location' for 'output'"),
        ("output: {stage_location: s}", "expected a stage location that begins with @"),
        ('output: {stage_location: "@s", mode: append}', "expected one of error, overwrite"),
        ('output: {stage_location: "@s"}\nspeed: 1', "unknown option 'speed' for 'specification'"),
        ('output: {stage_location: "@s"}\ninput: {layout: partitioned}', "unknown option 'layout' for 'input'"),
        ('output: {stage_location: "@s"}\ninference: {max_batch_rows: 0}', "expected at least 1"),
        ('output: {stage_location: "@s"}\nresources: {memory_requests: 8}', "expected a number with a unit"),
        (
            'output: {stage_location: "@s"}\ninput: {column_handling: {C: {convert_to: base64}}}',
            "missing required option 'input_format' for 'input.column_handling.C'",
        ),
    ],
)
def test_mistakes_in_an_inference_specification(text: str, message: str) -> None:
    with pytest.raises(SnowflakeError) as caught:
        inference_specification.parse(text)
    assert caught.value.errno == 395018
    assert message in caught.value.message


@pytest.mark.parametrize(
    "inference",
    [
        {"engine_options": {"engine_args_override": ["--x"]}},
        {"adapters": [{"name": "a", "version": "v"}]},
    ],
)
def test_what_of_an_engine_only_an_account_has(inference: dict[str, Any]) -> None:
    text = yaml.safe_dump({"output": {"stage_location": "@s"}, "inference": inference})
    with pytest.raises(SnowflakeError, match="not supported by the local Snowflake"):
        inference_specification.parse(text)


def test_the_engine_vllm_and_its_arguments() -> None:
    options = {"engine": "VLLM", "engine_args_override": ["--max-model-len=4096"]}
    text = yaml.safe_dump({"output": {"stage_location": "@s"}, "inference": {"engine_options": options}})
    checked = inference_specification.parse(text)
    assert (checked.engine, checked.engine_arguments) == ("VLLM", ("--max-model-len=4096",))
