"""The recipes of docs/extending.md, followed as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

PAGE = Path(__file__).parent.parent / "docs/extending.md"
PACKAGE = PAGE.parent.parent / "airflow_provider_snowflake_batch"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def recipe(heading: str) -> dict[str, str]:
    """The code of a recipe by its language."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return dict(_BLOCK.findall(text))


@pytest.fixture
def linear(tmp_path: Path) -> dict[str, str]:
    """The package of the recipe, laid out as by an installer, and a job; the environment that finds the package."""
    code = recipe("A model kind")
    project = tomllib.loads(code["toml"])["project"]
    metadata = tmp_path / f"site/{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "site/linear_models.py").write_text(code["python"])

    (tmp_path / "JOB.json").write_text(code["json"])
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights.json").write_text('{"X": 2.0, "Z": 0.5}')
    (tmp_path / "input").mkdir()
    pq.write_table(pa.table({"ID": [1, 2], "X": [1.0, 2.0], "Z": [2.0, 4.0]}), tmp_path / "input/a.parquet")
    return {**os.environ, "PYTHONPATH": str(tmp_path / "site")}


def run_worker(
    folder: Path, environment: dict[str, str], package: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """:param package: the folder that holds this package, if it is another one than the one that is tested."""
    command = [sys.executable, "-m", "airflow_provider_snowflake_batch.worker", str(folder / "JOB.json")]
    # The driver sets it in this process (snowflake/connector/options.py); a container has none.
    environment = {name: value for name, value in environment.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=environment, cwd=package
    )


def assert_scored(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    rows = ds.dataset(folder / "output", format="parquet").to_table().to_pylist()
    assert [(row["ID"], row["PRICE"]) for row in rows] == [(1, 3.0), (2, 6.0)]


def test_a_model_kind(tmp_path: Path, linear: dict[str, str]) -> None:
    assert_scored(tmp_path, run_worker(tmp_path, linear))


def test_a_model_kind_inside_the_package(tmp_path: Path, linear: dict[str, str]) -> None:
    package = tmp_path / "copy/airflow_provider_snowflake_batch"
    for room in ("contract", "worker"):
        shutil.copytree(PACKAGE / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE / "__init__.py", package)
    code = recipe("A model kind")["python"]
    imports, _, classes = code.partition("\n\n@dataclass")
    source, _, kind = classes.partition("\n\nclass LinearKind")

    sources = package / "contract/model_sources.py"
    table = "\nMODEL_SOURCES:"
    text = sources.read_text()
    assert text.count(table) == text.count("PythonModel, ChatStandIn)") == 1
    text = text.replace(table, f"\n@dataclass{source}\n\n{table}").replace("ChatStandIn)", "ChatStandIn, LinearModel)")
    sources.write_text(text)
    imports += "\nfrom airflow_provider_snowflake_batch.contract.model_sources import LinearModel\n"
    (package / "worker/models/linear.py").write_text(f"{imports}\n\nclass Kind{kind}")

    assert_scored(tmp_path, run_worker(tmp_path, {**os.environ, "PYTHONPATH": ""}, package.parent))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("function", "score", "JOB.json: model.function 'score' is unknown; linear models have predict"),
        ("path", "elsewhere", "elsewhere holds no weights.json"),
        ("shape", 1, "JOB.json: unknown field 'model.shape'; known here: function, kind, output, path"),
        (
            "kind",
            "quadratic",
            "JOB.json: model.kind 'quadratic' is not supported; supported: registry, python, chat_stand_in",
        ),
    ],
)
def test_a_model_kind_checks_its_part_of_the_job_file(
    tmp_path: Path, linear: dict[str, str], field: str, value: object, message: str
) -> None:
    document = json.loads((tmp_path / "JOB.json").read_text())
    document["model"][field] = value
    (tmp_path / "JOB.json").write_text(json.dumps(document))

    done = run_worker(tmp_path, linear)

    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "output").exists()


def apply_diff(path: Path, diff: str) -> None:
    """Make the changes of a diff without line numbers."""
    text = path.read_text()
    for hunk in diff.rstrip("\n").split("\n@@\n"):
        lines = hunk.split("\n")
        before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
        after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
        assert text.count(before) == 1, f"{path.name} has {text.count(before)} places like this:\n{before}"
        text = text.replace(before, after)
    path.write_text(text)


@pytest.mark.parametrize("heading", ["An option of the operator", "A source of rows"])
def test_a_change_of_the_package(tmp_path: Path, heading: str) -> None:
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = _BLOCK.findall(text)
    files = re.findall(r"`(jobs/\w+\.py)`:\n", text)
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    changes = [code for language, code in blocks if language == "diff"]
    for file, change in zip(files, changes, strict=True):
        apply_diff(tmp_path / PACKAGE.name / file, change)
    (code,) = (code for language, code in blocks if language == "python")
    (tmp_path / "test_change.py").write_text(code)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_change.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
