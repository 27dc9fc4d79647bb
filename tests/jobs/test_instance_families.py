from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.jobs.instance_families import FAMILIES, has_arm_processors, has_gpus


@pytest.mark.parametrize(
    ("family", "gpus", "arm"),
    [
        ("CPU_X64_XS", False, False),
        ("gpu_nv_s", True, False),
        ("GPU_L40S_G1_8", True, False),
        ("MEM_X64_G2_8", False, False),
        ("GEN_ARM_G1_4", False, True),
        ("gen_arm_g1_64", False, True),
    ],
)
def test_what_a_familys_name_tells(family: str, gpus: bool, arm: bool) -> None:
    assert has_gpus(family) is gpus
    assert has_arm_processors(family) is arm


def test_every_known_family_is_called_by_its_name() -> None:
    for name, family in FAMILIES.items():
        assert family.name == name
        assert has_gpus(name) is (family.gpu > 0)
