"""The worker as one file."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import airflow_provider_snowflake_batch
from airflow_provider_snowflake_batch.worker.archive import build_archive, without_docstrings
from tests.worker.batches import LONGEST_WAIT, Batch


def _run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-E", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LONGEST_WAIT, check=False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_archive().write(tmp_path_factory.mktemp("archive"))


def test_equal_sources_give_equal_bytes_under_a_name_of_their_own() -> None:
    first, second = build_archive(), build_archive()

    assert first.content == second.content
    assert first.name == second.name
    assert first.digest[:12] in first.name


def test_it_is_small_and_holds_the_worker_alone(archive: Path) -> None:
    assert archive.stat().st_size < 1_000_000
    with zipfile.ZipFile(archive) as opened:
        rooms = {name.split("/")[1] for name in opened.namelist() if "/" in name}
    assert rooms == {"__init__.py", "contract", "worker"}


def _statements(source: bytes) -> list[tuple[str, int, int, str]]:
    """What a program does, and where, but for statements that are a constant alone."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            # Of those with a body, their names, arguments and so on.
            parts = [one for one in ast.iter_child_nodes(node) if not isinstance(one, ast.stmt)]
            name = getattr(node, "name", "")
            told = name + "".join(ast.dump(one, include_attributes=True) for one in parts)
            found.append((type(node).__name__, node.lineno, node.col_offset, told))
    return found


@pytest.mark.parametrize("room", ["contract", "worker"])
def test_what_is_packed_does_the_same_in_the_same_lines(archive: Path, room: str) -> None:
    package = Path(airflow_provider_snowflake_batch.__file__).parent
    with zipfile.ZipFile(archive) as opened:
        packed = {name: opened.read(name) for name in opened.namelist()}
    for path in (package / room).rglob("*.py"):
        found = packed[f"{package.name}/{path.relative_to(package).as_posix()}"]

        assert _statements(found) == _statements(path.read_bytes()), path
        assert ast.get_docstring(ast.parse(found)) is None
        compile(found, str(path), "exec")


@pytest.mark.parametrize(
    ("source", "packed"),
    [
        ('"""About."""\nA = 1\n"""About é."""\nB = """é\n"""\n', '\nA = 1\n\nB = """é\n"""\n'),
        (
            'class A(Exception):\n    """Of\n    two lines.\n    """  # why\n\n\nA()\n',
            "class A(Exception):\n    ...\n\n  # why\n\n\nA()\n",
        ),
        ('def f():\n    """One."""\n    return "é"\n', 'def f():\n\n    return "é"\n'),
        ('def f(): "One."\n', "def f(): ...\n"),
        ('"""é"""; y = 2\n', "...; y = 2\n"),
        ('x = 1; "é"; y = 2\n', "x = 1; ...; y = 2\n"),
        ("# No text.\n", "# No text.\n"),
    ],
)
def test_docstrings_alone_are_left_out(source: str, packed: str) -> None:
    found = without_docstrings(source.encode())

    assert found == packed.encode()
    assert without_docstrings(found) == found
    compile(found, "found", "exec")


def test_it_runs_a_job_in_all_its_processes_from_the_archive(archive: Path, batch: Batch) -> None:
    batch.ids(1000, files=4)
    job = batch.job("WhereFrom", inference={"num_workers": 2})

    done = _run(archive, job, cwd=batch.root)

    assert done.returncode == 0, done.stderr
    assert set(batch.result()["WORKER"].to_pylist()) == {str(archive)}
    assert batch.succeeded()
    assert _run(archive, "verify", batch.output, cwd=batch.root).stdout == "1 files, 1000 rows: as the manifest says\n"


def test_an_archive_writes_itself(archive: Path, tmp_path: Path) -> None:
    done = _run(archive, "archive", tmp_path / "copy.pyz", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy.pyz").read_bytes() == archive.read_bytes()


def test_what_cannot_be_written_is_said_in_words(archive: Path, tmp_path: Path) -> None:
    done = _run(archive, "archive", tmp_path / "missing" / "worker.pyz", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("Refused: cannot write")
    assert "No such file or directory" in done.stderr
