"""The fields of a job file's objects: every field must be known, and be of the type it is read as."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# More than any number of rows or processes, and small enough that sums of such numbers fit into 64 bits.
MOST = 2**53
_LEADING_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}(?=/|$)", re.ASCII)
_NAMES: dict[type[Any], str] = {str: "a string", int: "a whole number", dict: "an object", list: "a list"}


class JobFileError(ValueError):
    """A job file is malformed, or asks for something that cannot be done."""

    def __init__(self, message: str) -> None:
        super().__init__(f"JOB.json: {message}")


@dataclass(frozen=True)
class Places:
    """Where the paths of a job file begin.

    The writer of the file knows the mount points of an account's containers, but not the folders in their place where a
    job is a plain process. So a path may begin with ``${NAME}``, a variable that the container's specification sets.

    :param folder: where relative paths start.
    :param environment: the variables.
    """

    folder: Path
    environment: Mapping[str, str]

    def path(self, text: str, where: str) -> Path:
        """The path that a text of a job file stands for.

        :param where: the text's place in the document.
        :raises JobFileError: its variable is not set, or is empty, which would be the root of the file system.
        """
        match = _LEADING_VARIABLE.match(text)
        if match is None:
            return self.folder / text
        found = self.environment.get(match[1])
        if not found:
            raise JobFileError(
                f"{where} begins with ${{{match[1]}}}, but the environment variable {match[1]} is "
                f"{'not set' if found is None else 'empty'}; the container's specification sets it to where it is "
                "mounted"
            )
        return self.folder / (found + text[match.end() :])


class Fields:
    """One JSON object being read.

    :param where: its place in the document; empty for the document itself.
    :param places: where paths begin.
    :raises JobFileError: it is no object.
    """

    def __init__(self, value: Any, where: str, places: Places) -> None:
        if not isinstance(value, dict):
            raise JobFileError(f"{where or 'the document'} must be an object, not {_kind(value)}")
        self._value: dict[str, Any] = value
        self._where, self._places = where, places
        self._seen: set[str] = set()

    def at(self, name: str) -> str:
        """A field's place in the document."""
        return f"{self._where}.{name}" if self._where else name

    def get(self, name: str, kind: type[Any], default: Any = None, *, required: bool = False) -> Any:
        """A field's value; null counts as missing.

        :param kind: str, int, dict or list. A text must not be empty, and must be one that a path or a name can be.
        :raises JobFileError: it is of another type, or missing and required.
        """
        self._seen.add(name)
        value = self._value.get(name)
        if value is None:
            if required:
                raise JobFileError(f"{self.at(name)} is missing")
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise JobFileError(f"{self.at(name)} must be {_NAMES[kind]}, not {_kind(value)}")
        if kind is str and not value:
            raise JobFileError(f"{self.at(name)} is empty")
        if kind is str:
            check_text(value, self.at(name))
        return value

    def texts(self, name: str, what: str) -> list[str]:
        """A list of texts, empty if it is missing.

        :param what: what the texts are, for the error.
        :raises JobFileError: it is no list of texts.
        """
        value = self.get(name, list, [])
        if not all(isinstance(one, str) for one in value):
            raise JobFileError(f"{self.at(name)} must be a list of {what}")
        for one in value:
            check_text(one, self.at(name))
        return list(value)

    def count(self, name: str) -> int | None:
        """A whole number from 1.

        :raises JobFileError: it is another one, or larger than any number of rows.
        """
        value = self.get(name, int)
        if value is not None and value < 1:
            raise JobFileError(f"{self.at(name)} must be at least 1, not {str(value)[:40]}")
        if value is not None and value > MOST:
            raise JobFileError(f"{self.at(name)} must be at most {MOST}, not {str(value)[:40]}")
        return value  # type: ignore[no-any-return]

    def path(self, name: str) -> Path:
        """A required path.

        :raises JobFileError: it is missing, or no text, or its variable is not set.
        """
        return self._places.path(self.get(name, str, required=True), self.at(name))

    def paths(self, name: str, what: str) -> tuple[Path, ...]:
        """A list of paths, empty if it is missing.

        :param what: what the paths are of, for the error.
        :raises JobFileError: it is no list of texts, or the variable of one is not set.
        """
        return tuple(self._places.path(text, self.at(name)) for text in self.texts(name, what))

    def fields(self, name: str, *, required: bool = False) -> Fields:
        """A field that is an object itself; one without fields if it is missing.

        :raises JobFileError: it is no object, or missing and required.
        """
        return Fields(self.get(name, dict, {}, required=required), self.at(name), self._places)

    def mounts(self, name: str) -> dict[str, Path]:
        """An object of stages and the folders where they are mounted.

        :raises JobFileError: one of them is no folder's name.
        """
        value = self.get(name, dict, {})
        for stage, mount in value.items():
            check_text(stage, "the name of a stage")
            if not isinstance(mount, str) or not mount:
                raise JobFileError(f"{name}.{stage} must be the folder where the stage is mounted")
            check_text(mount, f"{name}.{stage}")
        return {stage.lstrip("@"): self._places.path(mount, f"{name}.{stage}") for stage, mount in value.items()}

    def items(self) -> Iterator[tuple[str, Fields]]:
        """The members of an object whose names are free, each an object itself.

        :raises JobFileError: one is no object, or has a name that can be none.
        """
        for name, value in self._value.items():
            check_text(name, f"a column's name in {self._where}")
            yield name, Fields(value, self.at(name), self._places)

    def done(self) -> None:
        """Hold that every field of the object has been read.

        :raises JobFileError: there is a field that no reader has asked for.
        """
        unknown = sorted(set(self._value) - self._seen)
        if unknown:
            known = ", ".join(sorted(self._seen))
            raise JobFileError(f"unknown field {self.at(unknown[0])!r}; known here: {known}")


def check_text(value: str, where: str) -> None:
    """Hold that a text can be a path or a name: no system has one with NUL or half a character in it.

    :raises JobFileError: it cannot.
    """
    if "\0" in value:
        raise JobFileError(f"{where} holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise JobFileError(f"{where} holds half of a surrogate pair, which is no character") from None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return _NAMES.get(type(value), type(value).__name__)
