"""The workflows for GitHub and the compose file, as far as they can be read without either."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_snowflake_batch.standalone import __main__ as standalone

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(path)["jobs"]
    return found


def commands() -> Iterator[str]:
    """What the steps of all workflows run, and the script `.ci/run`."""
    for path in WORKFLOWS:
        for job in jobs(path).values():
            yield from (step["run"] for step in job["steps"] if "run" in step)
    yield (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_is_whole(path: Path) -> None:
    # YAML 1.1 reads the key `on` as true.
    assert read(path)[True]
    assert read(path)["permissions"] == {"contents": "read"}
    for name, job in jobs(path).items():
        assert job["runs-on"] == "ubuntu-latest", name
        assert 0 < job["timeout-minutes"] <= 120, name
        needed = [job["needs"]] if isinstance(job.get("needs", []), str) else job.get("needs", [])
        assert set(needed) <= set(jobs(path)), name
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), name
            assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@[\w./-]+", step["uses"]), step


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_expressions_are_of_contexts_that_there_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for expression in re.findall(r"\$\{\{(.*?)\}\}", text):
        context, _, name = expression.strip().partition(".")
        assert context in ("github", "matrix"), expression
        if context == "matrix":
            assert any(name in job.get("strategy", {}).get("matrix", {}) for job in jobs(path).values()), expression


def test_what_is_run_is_bash_and_names_targets_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*)(?: [a-z][\w-]*)*:(?!=)", MAKEFILE, re.MULTILINE))
    targets |= set(re.findall(r"\b(test-[\w-]+)", MAKEFILE))
    called = set()
    for command in commands():
        checked = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        called |= set(re.findall(r"^\s*(?:if )?make ([a-z][\w-]*)", command, re.MULTILINE))
    assert {"lint", "docs", "dist", "test-fast", "test-lowest", "test-highest", "test-all", "test"} <= called
    assert called <= targets


def test_every_python_of_the_metadata_is_tested() -> None:
    named = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)}
    assert set(jobs(ROOT / ".github" / "workflows" / "ci.yml")["unit-tests"]["strategy"]["matrix"]["python"]) == named


def test_a_release_needs_no_password() -> None:
    release = jobs(ROOT / ".github" / "workflows" / "release.yml")
    assert release["publish"]["permissions"] == {"id-token": "write"}
    assert [name for name, job in release.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    sent = {step["with"]["name"] for step in release["build"]["steps"] if "upload-artifact" in step.get("uses", "")}
    fetched = [step for step in release["publish"]["steps"] if "download-artifact" in step["uses"]]
    assert [step["with"]["name"] for step in fetched] == ["dist"]
    assert sent == {"dist", "sbom"}


@pytest.fixture
def service() -> dict[str, Any]:
    """The compose file's only one."""
    compose = read(ROOT / "docker" / "compose.yaml")
    ((_, service),) = compose["services"].items()
    mounted = {volume.partition(":")[0] for volume in service["volumes"]} - {".."}
    assert mounted == set(compose["volumes"])
    return dict(service)


def test_the_container_runs_a_command_that_there_is(service: dict[str, Any]) -> None:
    shell, option, script = service["command"]
    assert (shell, option) == ("sh", "-c")
    checked = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    install, start = (shlex.split(part) for part in script.split("&&"))
    extra = re.fullmatch(r"\.\[(\w+)\]", install[-1])
    assert extra is not None
    assert extra[1] in PROJECT["optional-dependencies"]
    assert (ROOT / install[install.index("-c") + 1]).is_file()
    assert start[:4] == ["exec", "python", "-m", "airflow_provider_snowflake_batch.standalone"]
    wanted = standalone._parser().parse_args(start[4:])
    assert wanted.command == "run"
    assert [(ROOT / folder).is_dir() for folder in wanted.dags_folder] == [True]
    assert str(wanted.directory) in {volume.split(":")[1] for volume in service["volumes"]}
    assert service["ports"] == [f"127.0.0.1:{wanted.port}:{wanted.port}"]


def test_the_container_has_a_python_that_the_package_admits(service: dict[str, Any]) -> None:
    version = re.fullmatch(r"python:(3\.\d+)-slim", service["image"])
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["classifiers"]
