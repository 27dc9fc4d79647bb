"""Rows of a query as Parquet files of a stage: how values of each type are written, so that none changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, StagePath
from airflow_provider_snowflake_batch.jobs.text_forms import FORMS

UNLOAD_FILE = "_unload.json"
_VERSION = 1

_AS_IT_IS = frozenset({"FIXED", "REAL", "TEXT", "DATE", "BOOLEAN", "BINARY"})


@dataclass(frozen=True, slots=True)
class RowColumn:
    """A column of a query's result.

    :param kind: the type as the driver calls it, for example ``FIXED``.
    :param precision: of a number: its digits.
    :param scale: of a number or a time: digits after the point.
    """

    name: str
    kind: str
    precision: int | None = None
    scale: int | None = None

    @property
    def becomes_text(self) -> bool:
        """Whether the files hold the column as text, although it is none."""
        return self.kind in FORMS

    @property
    def type(self) -> str:
        """The type as SQL writes it."""
        if self.kind == "FIXED":
            return f"NUMBER({self.precision or 38},{self.scale or 0})"
        if self.kind.startswith("TIME") and self.scale is not None:
            return f"{self.kind}({self.scale})"
        return {"REAL": "FLOAT", "TEXT": "VARCHAR"}.get(self.kind, self.kind)

    def unloaded(self) -> str:
        """The column in the SELECT that is unloaded.

        :raises InvalidJobError: for a type of which it is not known what would become of it.
        """
        name = Identifier(self.name).quoted()
        if self.kind in _AS_IT_IS:
            return name
        form = FORMS.get(self.kind)
        if form is None:
            raise InvalidJobError(
                "X",
                f"the column {self.name} has the type {self.kind}, which Parquet files cannot hold unchanged: select a "
                "text or a number of it, for example ST_ASWKT(…) of a GEOGRAPHY.",
            )
        return f"{form.written.format(name)} AS {name}"


@dataclass(frozen=True, slots=True)
class StagedRows:
    """The rows of a job on its stage.

    :param directory: where their files lie. :param columns: their names, and the SQL types that they had.
    """

    directory: StagePath
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class UnloadedFile:
    """:param name: in the directory. :param size: bytes."""

    name: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Unload:
    """What an unload has written: its list, without which its files do not count.

    :param fingerprint: of the job.
    :param columns: name and SQL type of each column of the query, from which the files' types may differ.
    """

    fingerprint: str
    files: tuple[UnloadedFile, ...]
    columns: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    def to_json(self) -> str:
        document = {
            "version": _VERSION,
            "fingerprint": self.fingerprint,
            "rows": self.rows,
            "files": [asdict(file) for file in self.files],
            "columns": [{"name": name, "type": kind} for name, kind in self.columns],
        }
        return json.dumps(document, indent=1, ensure_ascii=False)

    @classmethod
    def parse(cls, content: bytes) -> Unload | None:
        """The list as it was written, by this version or another; None for what is none."""
        try:
            document: Any = json.loads(content)
            if document["version"] != _VERSION:
                return None
            return cls(
                str(document["fingerprint"]),
                tuple(
                    UnloadedFile(str(file["name"]), int(file["rows"]), int(file["size"])) for file in document["files"]
                ),
                tuple((str(column["name"]), str(column["type"])) for column in document["columns"]),
            )
        except (ValueError, KeyError, TypeError):
            return None


def unloaded_columns(columns: Sequence[RowColumn]) -> list[str]:
    """The SELECT list of an unload.

    :raises InvalidJobError: if a column cannot be unloaded, or there is none.
    """
    if not columns:
        raise InvalidJobError("X", "it has no column.")
    return [column.unloaded() for column in columns]
