"""A model's code as one archive: what goes in, and what is refused.

Also tests ``hooks/folder_files.py``.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import zipfile
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks import model_code
from airflow_provider_snowflake_batch.hooks.model_code import CodeArchive, pack_code
from airflow_provider_snowflake_batch.jobs.models import PythonModel


def write(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"# {path}\nclass Churn: pass\n")
    return folder


def packed(folder: Path, code: str | list[str], target: str = "my_models.churn:Churn") -> CodeArchive:
    (archive,) = pack_code(PythonModel(target, code=code), str(folder))
    assert archive is not None
    return archive


def members(archive: CodeArchive | None) -> set[str]:
    """The paths that an archive really holds."""
    assert archive is not None
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert opened.testzip() is None
        return set(opened.namelist())


@pytest.mark.parametrize("code", ["dags/my_models", "dags", "dags/my_models/"])
def test_the_package_or_the_folder_that_it_lies_in(tmp_path: Path, code: str) -> None:
    write(tmp_path, "dags/my_models/__init__.py", "dags/my_models/churn.py", "dags/my_models/data/weights.json")
    assert members(packed(tmp_path, code)) == {
        "my_models/__init__.py",
        "my_models/churn.py",
        "my_models/data/weights.json",
    }


def test_a_folder_called_as_the_package_in_it_is_no_package(tmp_path: Path) -> None:
    write(tmp_path, "my_models/my_models/churn.py", "my_models/other.py")
    assert members(packed(tmp_path, "my_models")) == {"my_models/churn.py", "other.py"}


@pytest.mark.parametrize("code", ["churn", ".", "churn/"])
def test_a_package_may_hold_a_module_of_its_own_name(tmp_path: Path, code: str) -> None:
    write(tmp_path, "churn/__init__.py", "churn/churn.py")
    assert members(packed(tmp_path, code, "churn.churn:Churn")) == {"churn/__init__.py", "churn/churn.py"}


def test_a_file_called_as_its_folder_is_a_module_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, "churn/churn.py", "churn/util.py")
    assert members(packed(tmp_path, "churn", "churn:Churn")) == {"churn.py", "util.py"}


def test_one_file(tmp_path: Path) -> None:
    write(tmp_path, "churn.py", "beside.py")
    assert members(packed(tmp_path, "churn.py", "churn:Churn")) == {"churn.py"}


def test_what_is_no_code_is_left_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        "m/churn.py",
        "m/churn.pyc",
        "m/__pycache__/churn.cpython-311.pyc",
        "m/.git/HEAD",
        "m/.env",
        "m/.venv/lib/x.py",
        "m/venv/lib/x.py",
        "m/node_modules/x.js",
    )
    assert members(packed(tmp_path, "m", "m.churn:Churn")) == {"m/churn.py"}


def test_links_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path, "m/churn.py", "shared/util.py")
    (tmp_path / "m" / "shared").symlink_to(tmp_path / "shared")
    (tmp_path / "shared" / "back").symlink_to(tmp_path / "m")
    assert members(packed(tmp_path, "m", "m.churn:Churn")) == {"m/churn.py", "m/shared/util.py"}


def test_a_folder_is_there_under_its_name_and_under_each_link_to_it(tmp_path: Path) -> None:
    write(tmp_path, "m/churn.py", "m/v2/weights.py")
    (tmp_path / "m" / "current").symlink_to(tmp_path / "m" / "v2")
    (tmp_path / "m" / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "m" / "itself").symlink_to(tmp_path / "m" / "itself")
    assert members(packed(tmp_path, "m", "m.churn:Churn")) == {"m/churn.py", "m/v2/weights.py", "m/current/weights.py"}


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "m/churn.py", "m/lib/weights.py")

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", denied)
        with pytest.raises(JobInputError, match=r"^model.code: /.*/m/.* cannot be read: Permission denied"):
            packed(tmp_path, "m", "m.churn:Churn")

    scandir = os.scandir

    def closed(path: str) -> object:
        return denied(Path(path)) if str(path).endswith("lib") else scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(JobInputError, match=r"^model.code: /.*/m/lib cannot be read: Permission denied"):
        packed(tmp_path, "m", "m.churn:Churn")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "m/churn.py")
    Path(os.fsdecode(bytes(tmp_path / "m") + b"/\xff.bin")).write_bytes(b"")
    with pytest.raises(JobInputError, match=r"^model.code: the name of the file 'm/\\udcff.bin' is no text"):
        packed(tmp_path, "m", "m.churn:Churn")


def test_equal_files_give_equal_archives_wherever_they_lie(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1", "m/a.py", "m/churn.py"), write(tmp_path / "2", "m/churn.py", "m/a.py")
    (one / "m" / "a.py").chmod(0o600)
    first, second = packed(one, "m", "m.churn:Churn"), packed(two, "m", "m.churn:Churn")
    assert first == second
    assert first.name.startswith("code-")
    (two / "m" / "a.py").write_text("another")
    assert packed(two, "m", "m.churn:Churn").name != first.name


def test_the_archive_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "packed_for_import/__init__.py", "packed_for_import/churn.py")
    path = tmp_path / "code.zip"
    path.write_bytes(packed(tmp_path, "packed_for_import", "packed_for_import.churn:Churn").content)
    monkeypatch.syspath_prepend(path)
    assert importlib.import_module("packed_for_import.churn").Churn
    assert sys.modules["packed_for_import.churn"].__file__.startswith(str(path))


@pytest.mark.parametrize("ending", [".zip", ".whl"])
def test_an_archive_goes_as_it_is(tmp_path: Path, ending: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("my_models/churn.py", "class Churn: pass")
    (tmp_path / f"m{ending}").write_bytes(content.getvalue())
    found = packed(tmp_path, f"m{ending}")
    assert found.content == content.getvalue()
    assert found.name.endswith(ending)


def wheel(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("my_models-1.dist-info/WHEEL", *names):
            archive.writestr(name, "")


@pytest.mark.parametrize("place", ["purelib", "platlib"])
def test_a_wheel_has_what_an_installer_makes_of_it(tmp_path: Path, place: str) -> None:
    wheel(tmp_path / "m.whl", f"my_models-1.data/{place}/my_models/churn.py", "my_models-1.data/scripts/other.py")
    assert packed(tmp_path, "m.whl").content == (tmp_path / "m.whl").read_bytes()
    with pytest.raises(JobInputError, match=r"^model.code: there is no module other in m.whl"):
        packed(tmp_path, "m.whl", "other:Churn")


def test_the_module_may_be_in_a_wheel_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    wheel(tmp_path / "wheels" / "m.whl", "my_models/churn.py")
    wheel(tmp_path / "wheels" / "n.whl", "other.py")
    assert members(packed(tmp_path, "wheels")) == {"m.whl", "n.whl"}
    (tmp_path / "wheels" / "o.whl").write_bytes(b"no archive")
    with pytest.raises(JobInputError, match=r"^model.code: .*/o.whl is no zip archive"):
        packed(tmp_path, "wheels")


def test_several_places_of_which_one_has_the_module(tmp_path: Path) -> None:
    write(tmp_path, "churn.py", "lib/util.py")
    archives = pack_code(PythonModel("churn:Churn", code=["lib", "churn.py"]), str(tmp_path))
    assert [members(archive) for archive in archives] == [{"util.py"}, {"churn.py"}]


def test_what_lies_on_a_stage_is_not_looked_into(tmp_path: Path) -> None:
    write(tmp_path, "lib/util.py")
    on_stage, beside = pack_code(PythonModel("churn:Churn", code=["@db.s.st/m", "lib"]), str(tmp_path))
    assert on_stage is None
    assert beside is not None
    assert pack_code(PythonModel("churn:Churn"), None) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("nowhere", "there is no file or folder /.*/nowhere"),
        ("notes.txt", r"/.*/notes.txt is no folder, Python file, zip archive or wheel"),
        ("bad.zip", "/.*/bad.zip is no zip archive"),
        ("m", "there is no module my_models.churn in m, which has b.py, c.py. Give the package's folder"),
        ("empty", "there is no module my_models.churn in empty, which has no Python file"),
    ],
)
def test_what_has_no_such_module_is_refused(tmp_path: Path, code: str, message: str) -> None:
    write(tmp_path, "m/b.py", "m/c.py", "notes.txt", "bad.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(JobInputError, match=f"^model.code: {message}"):
        packed(tmp_path, code)


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "my_models/churn.py", "my_models/weights.bin", "m.zip")
    monkeypatch.setattr(model_code, "MOST_BYTES", 20)
    for code in ("my_models", "m.zip"):
        with pytest.raises(JobInputError, match="model.code: .* has more than 0 MiB. Put weights .* on a stage"):
            packed(tmp_path, code)
