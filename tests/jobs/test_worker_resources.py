from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.specs import JobSpec
from airflow_provider_snowflake_batch.jobs.worker_resources import container_size


def amounts(family: str, stages: int = 1, **given: Any) -> dict[str, Any]:
    resources = container_size(family, JobSpec(**given), stages=stages).resources
    assert resources.get("requests") == resources.get("limits")
    return resources.get("requests", {})


def test_a_container_takes_the_node_but_for_what_its_stages_need() -> None:
    assert amounts("CPU_X64_S") == {"cpu": 3, "memory": f"{13 * 1024 - 512}Mi"}
    assert amounts("CPU_X64_S", stages=3) == {"cpu": 3, "memory": f"{13 * 1024 - 3 * 512}Mi"}


def test_gpus_are_always_asked_for() -> None:
    assert amounts("GPU_NV_M")["nvidia.com/gpu"] == 4
    assert amounts("GPU_NV_M", gpu_requests="1")["nvidia.com/gpu"] == 1
    assert amounts("GPU_L40S_G1_8", gpu_requests="1") == {"nvidia.com/gpu": 1}


@pytest.mark.parametrize(
    ("text", "mebibytes"), [("8GiB", 8192), ("8Gi", 8192), ("512MiB", 512), ("1GB", 953), ("1.5 GiB", 1536)]
)
def test_memory_in_the_words_of_both_statements(text: str, mebibytes: int) -> None:
    assert amounts("CPU_X64_S", memory_requests=text)["memory"] == f"{mebibytes}Mi"


@pytest.mark.parametrize(("text", "cpu"), [("2", 2), ("0.5", 0.5), ("1500m", 1.5)])
def test_processors(text: str, cpu: float) -> None:
    assert amounts("CPU_X64_S", cpu_requests=text)["cpu"] == cpu


def test_of_an_unknown_family_snowflake_knows_the_size() -> None:
    size = container_size("MEM_X64_G2_8", JobSpec(), stages=2)
    assert size.resources == {}
    assert size.shared_memory == "1024Mi"
    assert container_size("CPU_X64_S", JobSpec(memory_requests="10Gi"), stages=1).shared_memory == "3072Mi"


@pytest.mark.parametrize(
    ("family", "given", "message"),
    [
        ("GEN_ARM_G1_4", {}, "compute_pool: its instance family GEN_ARM_G1_4 has arm64 processors"),
        ("GEN_ARM_G9_4", {}, "compute_pool: "),
        ("CPU_X64_S", {"cpu_requests": "4"}, "job_spec.cpu_requests: 4 is more than a node of CPU_X64_S has: 3 CPUs"),
        ("CPU_X64_S", {"memory_requests": "13GiB"}, "job_spec.memory_requests: 13GiB is more than .*: 12.5 GiB beside"),
        ("CPU_X64_S", {"gpu_requests": "1"}, "job_spec.gpu_requests: the pool's instance family CPU_X64_S has no GPUs"),
        (
            "GPU_NV_S",
            {"gpu_requests": "2"},
            r"job_spec.gpu_requests: 2 is more than a node of GPU_NV_S has: 1 GPU\(s\)",
        ),
        ("GPU_L40S_G1_8", {}, "job_spec.gpu_requests: how many GPUs a node .* is not known here: say how many"),
    ],
)
def test_what_no_node_can_run_is_refused(family: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}"):
        container_size(family, JobSpec(**given), stages=1)
