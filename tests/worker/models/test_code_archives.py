"""A model's code in a zip file or wheel."""

from __future__ import annotations

import os
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.worker.batches import Batch

MODULE = """
import json, os, sys
from pathlib import Path

class Scaled:
    def __init__(self, note=None):
        self.factor = json.loads((Path(__file__).parent / "factor.json").read_text())
        if note:
            Path(note).write_text(__file__)

    def predict(self, rows):
        return rows[["ID"]].assign(Y=rows["X"] * self.factor)[["Y"]]
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def pack(path: Path, members: dict[str, str], date: int = 1990) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (date, 1, 1, 0, 0, 0)), content)
    return path


def package(factor: int = 2) -> dict[str, str]:
    return {"my_models/__init__.py": "", "my_models/scaled.py": MODULE, "my_models/factor.json": str(factor)}


def job(batch: Batch, archive: Path | str = "code/code.zip", **changes: Any) -> None:
    init = changes.pop("init", {})
    model = {"kind": "python", "target": "my_models.scaled:Scaled", "python_path": [str(archive)], "init": init}
    batch.job(model, inference={"num_workers": 1}, **changes)


def test_code_in_a_zip_file_is_used_as_if_it_were_a_folder(batch: Batch, temporary: Path, tmp_path: Path) -> None:
    batch.ids(10)
    archive = pack(batch.root / "code" / "code.zip", package())
    archive.chmod(0o444)
    job(batch, init={"note": str(tmp_path / "note")})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["Y"].to_pylist() == [6.0 * number for number in range(10)]
    # It was imported from local temporary space, of which nothing is left, and nothing was written beside the archive.
    assert (tmp_path / "note").read_text().startswith(str(temporary))
    assert list(temporary.iterdir()) == []
    assert [path.name for path in archive.parent.iterdir()] == ["code.zip"]


def test_a_wheel_is_laid_out_as_an_installer_does(batch: Batch) -> None:
    batch.ids(3)
    wheel = {
        "my_models/__init__.py": "",
        "my_models-1.dist-info/WHEEL": "Wheel-Version: 1.0\n",
        "my_models-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: my_models\nVersion: 1\n",
        "my_models-1.data/platlib/my_models/scaled.py": MODULE,
        "my_models-1.data/purelib/my_models/factor.json": "5",
        "my_models-1.data/scripts/tool": "not for importing",
    }
    job(batch, pack(batch.root / "code" / "my_models-1-py3-none-any.whl", wheel))

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["Y"].to_pylist() == [0.0, 15.0, 30.0]


def test_the_wheels_of_a_folder_are_unpacked(batch: Batch) -> None:
    batch.ids(3)
    mark = {"x-1.dist-info/WHEEL": "Wheel-Version: 1.0\n"}
    pack(batch.root / "wheels" / "a-1-py3-none-any.whl", {**mark, "x-1.data/purelib/factors.py": ""})
    files = {
        "my_models/__init__.py": "",
        "my_models/scaled.py": f"import factors\n{MODULE}",
        "my_models/factor.json": "5",
    }
    pack(batch.root / "wheels" / "b-1-py3-none-any.whl", {**mark, **files})
    other = {name: content.replace("rows", "nothing") for name, content in files.items()}
    pack(batch.root / "wheels" / "b-1-cp27-none-any.whl", {**mark, **other})
    job(batch, "wheels")

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["Y"].to_pylist() == [0.0, 15.0, 30.0]


def test_equal_content_is_the_same_model_and_other_content_another(batch: Batch) -> None:
    batch.ids(10)
    archive = batch.root / "code" / "code.zip"
    pack(archive, package())
    job(batch)
    assert batch.run().code == 0
    files = sorted(path.name for path in batch.output.glob("*.parquet"))

    # The same files, packed on another day in another order, and as a folder.
    pack(archive, dict(reversed(package().items())), date=2001)
    assert batch.run().code == 0
    folder = batch.root / "folder"
    for name, content in package().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    job(batch, "folder")
    assert batch.run().code == 0
    assert sorted(path.name for path in batch.output.glob("*.parquet")) == files

    pack(archive, package(factor=3))
    job(batch)
    outcome = batch.run()
    assert outcome.code == 2
    assert "finished result of another input or model" in outcome.last


def test_a_pycache_in_the_archive_is_left_out(batch: Batch) -> None:
    batch.ids(3)
    members = {"my_models/__pycache__/scaled.cpython-311.pyc": "stale", **package()}
    job(batch, pack(batch.root / "code" / "code.zip", members))
    assert batch.run().code == 0


def _not_an_archive(path: Path) -> None:
    path.write_text("class Scaled: ...")


def _cut_off(path: Path) -> None:
    pack(path, package())
    path.write_bytes(path.read_bytes()[:-40])


def _damaged(path: Path) -> None:
    pack(path, {"my_models/scaled.py": MODULE * 20})
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)


def _escaping(path: Path) -> None:
    pack(path, {"../outside.py": "", **package()})


def _absolute(path: Path) -> None:
    pack(path, {"/outside.py": "", **package()})


def _with_a_link(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("my_models")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc")


def _twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("my_models/scaled.py", MODULE)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("my_models/scaled.py", "other = 1")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_not_an_archive, "is neither a directory nor a whole zip file or wheel"),
        (_cut_off, "is neither a directory nor a whole zip file or wheel"),
        (_damaged, "is a damaged zip file"),
        (_escaping, "holds a file outside of itself, '../outside.py'"),
        (_absolute, "holds a file outside of itself, '/outside.py'"),
        (_with_a_link, "holds a link, 'my_models'"),
        (_twice, "cannot be unpacked"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(batch: Batch, temporary: Path, make: Any, message: str) -> None:
    batch.ids(3)
    (batch.root / "code").mkdir()
    make(batch.root / "code" / "code.zip")
    job(batch)

    outcome = batch.run()

    assert outcome.code == 2, outcome.stderr
    assert f"model.python_path: {batch.root / 'code' / 'code.zip'}" in outcome.last
    assert message in outcome.last
    assert not batch.output.exists()
    assert list(temporary.iterdir()) == []


def test_a_killed_worker_leaves_no_copy(batch: Batch, temporary: Path, tmp_path: Path) -> None:
    batch.ids(3)
    slow = MODULE.replace(
        "    def predict(self, rows):\n", "    def predict(self, rows):\n        import time; time.sleep(60)\n"
    )
    job(batch, pack(batch.root / "code" / "code.zip", {**package(), "my_models/scaled.py": slow}),
        init={"note": str(tmp_path / "note")})  # fmt: skip
    process = batch.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "note").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)

    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    while list(temporary.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
