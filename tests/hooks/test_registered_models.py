"""The files of a registered model's version, as the registry of the local Snowflake keeps them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.registered_models import (
    check_registered,
    fetch_registered,
    find_registered,
)
from airflow_provider_snowflake_batch.jobs.models import RegistryModel
from airflow_provider_snowflake_batch.jobs.specs import InputSpec
from tests.packed_custom_model import METHOD, SIGNATURE

MODEL = "LOCAL.PUBLIC.REGISTERED_FILES"
STAGE = "@REGISTERED_FILES_PACKAGES"
MANIFEST = {"manifest_version": "1.0", "runtimes": {}, "methods": [METHOD]}
SPECIFICATION = {
    "version": "2023-12-01",
    "model_type": "custom",
    "env": {"snowpark_ml_version": "2.6.0"},
    "signatures": {"predict": SIGNATURE},
}
PACKED = {
    "model.yaml": yaml.safe_dump(SPECIFICATION).encode(),
    "weights.bin": b"\x00\x01" * 100,
    "code/a.py": b"A = 1\n",
    "data/a.py": b"A = 2\n",
}


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    """Two versions that differ in one file; the second is the default, and has an alias."""
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run(f"CREATE OR REPLACE STAGE {STAGE[1:]} ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
        for version, weights in (("v1", b"other"), ("v2", PACKED["weights.bin"])):
            files = {"MANIFEST.yml": yaml.safe_dump(MANIFEST).encode()}
            files |= {f"model/{path}": content for path, content in (PACKED | {"weights.bin": weights}).items()}
            for path, content in files.items():
                opened.write_file(f"{STAGE}/{version}/{path}", content)
        opened.run(f"DROP MODEL IF EXISTS {MODEL}")
        opened.run(f"CREATE MODEL {MODEL} WITH VERSION V1 FROM {STAGE}/v1")
        opened.run(f"ALTER MODEL {MODEL} ADD VERSION V2 FROM {STAGE}/v2")
        opened.run(f"ALTER MODEL {MODEL} VERSION V2 SET ALIAS = CHAMPION")
        opened.run(f"ALTER MODEL {MODEL} SET DEFAULT_VERSION = V2")
        yield opened


def test_the_archive_has_every_file_of_the_version_that_is_meant(hook: SnowflakeBatchHook, tmp_path: Path) -> None:
    found = find_registered(hook, RegistryModel(MODEL))
    assert find_registered(hook, RegistryModel(MODEL, version="champion")) == found
    assert find_registered(hook, RegistryModel(MODEL, version="v2")) == found
    archive = fetch_registered(hook, found, tmp_path)
    assert archive.name == found.name == f"model-{found.digest[:12]}.zip"
    with zipfile.ZipFile(archive) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == PACKED
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != archive], "the copies are removed"


def test_other_files_have_another_name(hook: SnowflakeBatchHook) -> None:
    first, second = (find_registered(hook, RegistryModel(MODEL, version=version)) for version in ("V1", "V2"))
    assert first.files == second.files
    assert first.name != second.name
    check_registered(hook, RegistryModel(MODEL, version="V1", function="predict"), InputSpec(params={"factor": 3.0}))


@pytest.mark.parametrize(("version", "meant"), [(None, "V2"), ("champion", "V2"), ("FIRST", "V1"), ("v1", "V1")])
def test_what_is_checked_is_the_version_whose_files_are_copied(
    hook: SnowflakeBatchHook, version: str | None, meant: str
) -> None:
    model = RegistryModel(MODEL, version=version)
    checked = check_registered(hook, model, InputSpec())
    assert checked == RegistryModel(MODEL, version=meant)
    before = find_registered(hook, model)
    hook.run(f"ALTER MODEL {MODEL} SET DEFAULT_VERSION = V1")
    assert find_registered(hook, checked) == before


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        (RegistryModel("NO_SUCH_MODEL"), {}, r"model\.name: NO_SUCH_MODEL does not exist, or this role has no USAGE"),
        (
            RegistryModel(MODEL, version="v9"),
            {},
            rf"model\.version: model {MODEL} has no version or alias V9; it has CHAMPION, .*V1, V2",
        ),
        (
            RegistryModel(MODEL, function="explain"),
            {},
            r"model\.function: the model has no function 'explain'; it has 'predict'",
        ),
        (RegistryModel(MODEL), {"factr": 1.0}, r"input_spec\.params: the model's function has no parameter 'factr'"),
        (RegistryModel(MODEL), {"factor": "much"}, r"input_spec\.params: parameter factor must be DOUBLE"),
    ],
    ids=["no model", "no version", "no function", "no parameter", "wrong value"],
)
def test_what_the_registry_does_not_have(
    hook: SnowflakeBatchHook, model: RegistryModel, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(JobInputError, match=message):
        check_registered(hook, model, InputSpec(params=params))


def test_a_function_of_whole_partitions_needs_their_column(hook: SnowflakeBatchHook) -> None:
    """The worker refuses it as well, but only when the job has its nodes."""
    specification = SPECIFICATION | {"function_properties": {"predict": {"PARTITIONED": True}}}
    method = METHOD | {"type": "TABLE_FUNCTION", "outputs": [{"name": "Y", "type": "FLOAT"}]}
    manifest = MANIFEST | {"methods": [method]}
    hook.write_file(f"{STAGE}/v3/MANIFEST.yml", yaml.safe_dump(manifest).encode())
    hook.write_file(f"{STAGE}/v3/model/model.yaml", yaml.safe_dump(specification).encode())
    hook.run(f"ALTER MODEL {MODEL} ADD VERSION V3 FROM {STAGE}/v3")
    model = RegistryModel(MODEL, version="V3")
    message = rf"^input_spec\.partition_column: is needed: the function 'predict' of version V3 of {MODEL} works"
    with pytest.raises(JobInputError, match=message):
        check_registered(hook, model, InputSpec())
    assert check_registered(hook, model, InputSpec(partition_column="STORE")) == model


def answering(monkeypatch: pytest.MonkeyPatch, hook: SnowflakeBatchHook, beginning: str, rows: Any) -> None:
    """Let the account answer statements that begin like this in its own way; all others are answered for real."""
    ask = hook.rows

    def answer(sql: str, **options: Any) -> Any:
        return rows if sql.startswith(beginning) else ask(sql, **options)

    monkeypatch.setattr(hook, "rows", answer)


@pytest.mark.parametrize("listed", [[], [{"name": "versions/V2/MANIFEST.yml", "size": 3, "md5": "0a"}]])
def test_a_role_that_may_not_read_the_files(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch, listed: list[dict[str, Any]]
) -> None:
    answering(monkeypatch, hook, "LIST", listed)
    with pytest.raises(JobInputError, match=r"the files of version V2 of .* needs OWNERSHIP or READ on the model"):
        check_registered(hook, RegistryModel(MODEL), InputSpec())


def test_a_default_version_that_is_not_told(hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, hook, "SHOW VERSIONS", [{"name": "V1", "aliases": "[]", "is_default_version": "false"}])
    with pytest.raises(
        JobInputError, match=rf"model\.version: the registry does not tell the default version of {MODEL}"
    ):
        find_registered(hook, RegistryModel(MODEL))


def test_a_file_that_is_listed_and_does_not_come(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = find_registered(hook, RegistryModel(MODEL))
    answering(monkeypatch, hook, "GET", [])
    with pytest.raises(JobInputError, match=r"code/a\.py is listed, but GET has brought no such file"):
        fetch_registered(hook, found, tmp_path)
