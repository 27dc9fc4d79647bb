"""What each client is tried with: one list for the tests and for the table in docs/clients.md.

A feature is a function that uses a client as its users do and compares values; it needs nothing but that client. So
the same functions run in every environment in which the client is installed, in whatever version.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import tempfile
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REFUSAL = "not supported by the local Snowflake"
WORKS = "works"
REFUSED = "refused"
FAILS = "FAILS"
ABSENT = "not in this version"


@dataclass(frozen=True)
class Local:
    """A running local Snowflake as one feature meets it.

    :param state_dir: the server's.
    :param protocol: ``http`` or ``https``.
    :param schema: of the feature's own, in the database ``LOCAL``; dropped afterwards.
    :param folder: empty, for files.
    """

    state_dir: Path
    protocol: str
    schema: str
    folder: Path

    @property
    def airflow_connection(self) -> dict[str, Any]:
        """As the server prints it, with the schema."""
        connection: dict[str, Any] = json.loads((self.state_dir / "connection.json").read_text())
        return connection | {"schema": self.schema}

    @property
    def options(self) -> dict[str, Any]:
        """For ``snowflake.connector.connect`` and Snowpark's ``Session.builder.configs``."""
        connection = self.airflow_connection
        return {
            "user": connection["login"],
            "password": connection["password"],
            "schema": self.schema,
            **connection["extra"],
            "protocol": self.protocol,
            "login_timeout": 20,
            # Otherwise each login looks for a cloud platform on the network first.
            "platform_detection_timeout_seconds": 0,
        }

    @contextlib.contextmanager
    def connect(self, **options: Any) -> Iterator[Any]:
        import snowflake.connector

        connection = snowflake.connector.connect(**{**self.options, **options})
        try:
            yield connection
        finally:
            connection.close()


@dataclass(frozen=True)
class Feature:
    """
    :param name: what the table calls it.
    :param check: raises when the feature does not do what it should.
    :param refused: whether the server is to refuse it, in the words of :data:`REFUSAL`.
    :param absent: versions of the client, as the beginnings of their numbers, that have no such feature.
    """

    client: Client
    name: str
    check: Callable[[Local], None]
    refused: bool = False
    absent: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.client.module}.{self.check.__name__}"

    def run(self, local: Local) -> str:
        """Try it; the outcome is what the table says.

        :raises AssertionError: when it is refused and should not be, or the reverse, or gives wrong values.
        """
        if any(self.client.version.startswith(beginning) for beginning in self.absent):
            return ABSENT
        try:
            self.check(local)
        except Exception as error:
            if self.refused and REFUSAL in " ".join(str(error).split()):
                return REFUSED
            raise
        assert not self.refused, "it is expected to be refused, but was not"
        return WORKS


@dataclass
class Client:
    """
    :param title: the heading of its table.
    :param distribution: the package whose version the table names.
    :param module: the file of its features.
    :param requires: modules without which it cannot be tried in an environment.
    :param protocols: what it is tried over.
    :param slow: whether its tests belong to the slow ones.
    """

    title: str
    distribution: str
    module: str
    requires: tuple[str, ...]
    protocols: tuple[str, ...] = ("http", "https")
    slow: bool = False
    features: list[Feature] = field(default_factory=list)

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.distribution)

    @property
    def is_installed(self) -> bool:
        for module in self.requires:
            try:
                if importlib.util.find_spec(module) is None:
                    return False
            except ModuleNotFoundError:
                return False
        return True

    def works(self, name: str, *, absent: tuple[str, ...] = ()) -> Callable[[Callable[[Local], None]], Any]:
        return self._add(name, refused=False, absent=absent)

    def refused(self, name: str, *, absent: tuple[str, ...] = ()) -> Callable[[Callable[[Local], None]], Any]:
        return self._add(name, refused=True, absent=absent)

    def _add(self, name: str, **options: Any) -> Callable[[Callable[[Local], None]], Any]:
        def register(check: Callable[[Local], None]) -> Callable[[Local], None]:
            self.features.append(Feature(self, name, check, **options))
            return check

        return register


class Raised:
    """What :func:`raising` caught."""

    error: Any = None


@contextlib.contextmanager
def raising(kind: type[BaseException]) -> Iterator[Raised]:
    """Like ``pytest.raises``, for environments without pytest."""
    raised = Raised()
    try:
        yield raised
    except kind as error:
        raised.error = error
    else:
        raise AssertionError(f"no {kind.__name__}")


MODULES = ("connector", "snowpark", "registry", "airflow", "sqlalchemy", "cli")


def clients() -> list[Client]:
    """Every client, in the table's order, installed or not."""
    return [importlib.import_module(f"tests.local.clients.{name}_features").CLIENT for name in MODULES]


@contextlib.contextmanager
def place(state_dir: Path, protocol: str) -> Iterator[Local]:
    """A schema and a folder for one feature."""
    import snowflake.connector

    schema = f"F_{uuid.uuid4().hex[:12].upper()}"
    with tempfile.TemporaryDirectory(prefix="feature-") as folder:
        local = Local(state_dir, protocol, schema, Path(folder))
        with snowflake.connector.connect(**{**local.options, "protocol": "http", "schema": "PUBLIC"}) as connection:
            connection.cursor().execute(f"CREATE SCHEMA {schema}")
            try:
                yield local
            finally:
                connection.cursor().execute(f"DROP SCHEMA IF EXISTS {schema}")


def outcome(feature: Feature, state_dir: Path, protocol: str) -> tuple[str, str]:
    """What the table says of a feature, and the traceback where that is neither "works" nor "refused"."""
    try:
        with place(state_dir, protocol) as local:
            return feature.run(local), ""
    except Exception:
        return FAILS, traceback.format_exc()
