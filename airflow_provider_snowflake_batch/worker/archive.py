"""The worker as one file: a Python zip archive that runs where this package is not installed.

``python -m airflow_provider_snowflake_batch.worker archive PATH`` writes it, ``python PATH JOB.json`` runs it. It needs
Python 3.10 or newer, pyarrow, pandas, NumPy, PyYAML and the model's own libraries: what Snowflake's container runtime
brings. Members are stored uncompressed, in order, with one date, so that equal sources give equal bytes on every
machine: the digest in the file's name tells two versions apart, and one that is on a stage need not be sent again.
Docstrings, which nothing reads there, are left out; all else stays in its line, so tracebacks tell the same lines.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import airflow_provider_snowflake_batch
from airflow_provider_snowflake_batch.contract.zip_archive import zip_archive

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ENDING = ".pyz"
_PACKAGE = airflow_provider_snowflake_batch.__name__
_MAIN = f"""\
import sys

if sys.version_info < (3, 10):
    sys.exit("the batch inference worker needs Python 3.10 or newer, but this is " + sys.version.split()[0])

from {_PACKAGE}.worker.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class WorkerArchive:
    """A worker archive.

    :param content: the file's bytes.
    """

    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def name(self) -> str:
        """A file name that differs for each content."""
        return f"batch-worker-{airflow_provider_snowflake_batch.__version__}-{self.digest[:12]}{ENDING}"

    def write(self, path: Path) -> Path:
        """Write the archive.

        :param path: the file, or an existing folder, in which it gets its own name.
        :return: the file.
        """
        target = path / self.name if path.is_dir() else path
        target.write_bytes(self.content)
        return target


def build_archive() -> WorkerArchive:
    """The archive of the worker that is installed here."""
    package = resources.files(_PACKAGE)
    members = {"__main__.py": _MAIN.encode(), f"{_PACKAGE}/__init__.py": (package / "__init__.py").read_bytes()}
    for room in ("contract", "worker"):
        _add_sources(members, package / room, f"{_PACKAGE}/{room}")
    return WorkerArchive(zip_archive(members))


def _add_sources(members: dict[str, bytes], folder: Traversable, name: str) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            _add_sources(members, entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            members[f"{name}/{entry.name}"] = without_docstrings(entry.read_bytes())


def without_docstrings(source: bytes) -> bytes:
    """Python source without the texts that are statements of their own. Every other statement stays where it is.

    :param source: in UTF-8, with line feeds alone.
    """
    lines = source.split(b"\n")
    for statement, alone in _texts(ast.parse(source)):
        first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
        before, after = lines[first][: statement.col_offset], lines[last][statement.end_col_offset :]
        shares_line = before.strip() or not re.fullmatch(rb"\s*(#.*)?", after)
        lines[first : last + 1] = [before + (b"..." if alone or shares_line else b"")] + [b""] * (last - first)
        lines[last] = (lines[last] + after).rstrip()
        lines[first] = lines[first].rstrip()
    return b"\n".join(lines)


def _texts(tree: ast.Module) -> Iterator[tuple[ast.Expr, bool]]:
    """Its statements that are texts, the last of a line first, and whether one has to be replaced: no body is empty."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            texts = [one for one in node.body if isinstance(one, ast.Expr) and _is_text(one.value)]
            found += [(text, len(texts) == len(node.body)) for text in texts]
    return iter(sorted(found, key=lambda one: (-one[0].lineno, -one[0].col_offset)))


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
