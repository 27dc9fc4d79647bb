"""The wheel and the source distribution, built as a release builds them."""

from __future__ import annotations

import email
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import airflow_provider_snowflake_batch as package
from tests.example_dags.quickstart_page import block, run_page

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
NAME = f"airflow_provider_snowflake_batch-{package.__version__}"


def build(folder: Path, **environment: str) -> dict[str, Path]:
    """The files that a build leaves in a folder, by their suffix."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300, env=os.environ | environment)
    return {path.suffix: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("dist"))


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return {name for name in listed.stdout.split("\0") if name}


def test_a_second_build_is_the_same_to_the_byte(built: dict[str, Path], tmp_path: Path) -> None:
    again = build(tmp_path)
    assert {path.name for path in again.values()} == {path.name for path in built.values()}
    for suffix, path in built.items():
        digests = {hashlib.sha256(each.read_bytes()).hexdigest() for each in (path, again[suffix])}
        assert len(digests) == 1, path.name


def test_the_wheel_holds_the_package_and_nothing_else(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as wheel:
        names = set(wheel.namelist())
        metadata = email.message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
        points = wheel.read(f"{NAME}.dist-info/entry_points.txt").decode()
    assert {name for name in names if ".dist-info/" not in name} == tracked("airflow_provider_snowflake_batch")
    assert f"{NAME}.dist-info/licenses/LICENSE" in names
    assert metadata["Name"] == "airflow-provider-snowflake-batch"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {"[apache_airflow_provider]", "[airflow.plugins]", "[pytest11]"} <= set(points.splitlines())


@pytest.mark.timeout(1800)
def test_the_quickstart_runs_with_the_wheel_in_a_fresh_environment(
    built: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip installs what the page's line names: the wheel in the place of the clone, with the extra of the page."""
    create, install = block("bash", "pip install").splitlines()
    assert create == "python3 -m venv .venv"
    # As that line does, also where Python has no ensurepip.
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--seed", "--python", sys.executable, ".venv"], cwd=tmp_path, check=True)
    clone = re.search(r"'\.(\[\w+\])'$", install)
    assert clone is not None
    (tmp_path / "constraints.txt").symlink_to(ROOT / "constraints.txt")
    command = install.replace(clone[0], f"'{built['.whl']}{clone[1]}'")
    done = subprocess.run(
        ["bash", "-euc", command], cwd=tmp_path, capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Nothing of the clone is left in it, nor what only the tests need.
    python = tmp_path / ".venv" / "bin" / "python"
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "freeze"], capture_output=True, text=True, check=True
    )
    installed = {line.partition("==")[0].lower() for line in listed.stdout.splitlines()}
    assert "scikit-learn" in installed
    assert not installed & {"mypy", "pytest", "ruff", "sphinx"}
    # The local Snowflake runs there as well, as the page has it.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("LOCAL_SNOWFLAKE_PYTHON", str(python))
    monkeypatch.chdir(tmp_path)
    run_page(tmp_path)
    # More than a gigabyte, which pytest would keep.
    shutil.rmtree(tmp_path / ".venv")


def description(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as files:
        return email.message_from_bytes(files.read(f"{NAME}.dist-info/METADATA"))


def test_a_release_has_absolute_links_to_files_that_its_tag_has(tmp_path: Path) -> None:
    url = "https://git.example.com/somebody/project"
    page = description(build(tmp_path, PROJECT_URL=f"{url}/")[".whl"])
    assert page.get_all("Project-URL") == [
        f"Documentation, {url}/blob/v{package.__version__}/docs/index.md",
        f"Changelog, {url}/blob/v{package.__version__}/CHANGELOG.md",
        f"Source, {url}",
        f"Issues, {url}/issues",
    ]
    text = page.get_payload()
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    links = re.findall(r"(?<!!)\[[^]]*\]\(([^)]*)\)", text)
    assert len(pictures) >= 2
    assert all(picture.startswith(f"{url}/raw/v{package.__version__}/") for picture in pictures)
    assert all(link.startswith("https://") for link in links)
    for link in [*pictures, *links]:
        if link.startswith(url):
            path = re.sub(r"^/(raw|blob)/[^/]+/", "", link.removeprefix(url)).partition("#")[0]
            assert (ROOT / path).is_file(), link


def test_an_address_that_is_none_ends_the_build(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        build(tmp_path, PROJECT_URL="somebody/project")
    assert b"expected a repository's address" in failed.value.stderr + failed.value.stdout


def test_the_source_distribution_is_enough_to_build_and_test(built: dict[str, Path]) -> None:
    with tarfile.open(built[".gz"]) as source:
        names = {name.removeprefix(f"{NAME}/") for name in source.getnames()}
    needed = tracked("airflow_provider_snowflake_batch", "benchmarks", "constraints", "docs", "example_dags", "tests")
    assert needed | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "constraints.txt"} <= names
    assert not {name for name in names if name.startswith((".git/", ".venv", "findings"))}
