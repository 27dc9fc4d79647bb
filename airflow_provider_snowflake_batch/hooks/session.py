"""One Snowflake session, kept open: logging in, statements that are repeated, names that are completed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

import tenacity
from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.masking import masked
from airflow_provider_snowflake_batch.jobs import account_statements
from airflow_provider_snowflake_batch.jobs.errors import error_text, is_cancelled, is_session_gone, is_transient
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

_T = TypeVar("_T")

# Options of the driver that the stock hook does not hand on; each may stand in the connection's extra.
_FORWARDED_EXTRAS = ("protocol", "login_timeout", "network_timeout", "platform_detection_timeout_seconds")
# What tells a wrong connection from a wrong account: of each the name, and of none the secret.
_SHOWN_OF_A_LOGIN = ("account", "host", "port", "user", "role")
# Seconds for which the hook for signal handlers repeats a statement: Airflow soon kills a task that it has told to end.
_TWIN_SECONDS = 20


class SnowflakeSessionHook(SnowflakeHook):
    """Keeps one session open for all statements, and logs in anew when the session has expired.

    See :class:`~airflow_provider_snowflake_batch.hooks.batch_inference.SnowflakeBatchHook` for its parameters.

    :param driver_timeouts: seconds for ``login_timeout`` and ``network_timeout`` of the driver where the connection has
        none.
    """

    def __init__(
        self,
        snowflake_conn_id: str = "snowflake_default",
        *,
        transient_timeout: float = 300,
        driver_timeouts: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(snowflake_conn_id=snowflake_conn_id, **kwargs)
        self.transient_timeout = transient_timeout
        self._driver_timeouts = dict(driver_timeouts or {})
        self._connection: SnowflakeConnection | None = None
        self._lock = threading.RLock()
        self._parameters: dict[str, Any] | None = None
        self._namespace: tuple[str | None, str | None] | None = None
        self._may_ask_airflow = True

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        try:
            found: Connection = super().get_connection(conn_id)
            return found
        except AirflowNotFoundException as error:
            # Airflow says the same when a secrets backend has failed: another try may find the connection.
            raise AirflowNotFoundException(
                f"There is no Airflow connection {conn_id}, or the secrets backend that has it did not answer: add one "
                f"of type snowflake, as `airflow snowflake-batch doctor --conn-id {conn_id}` shows, or name another, "
                "in a Dag with snowflake_conn_id, at a terminal with --conn-id."
            ) from error

    @property
    def _get_static_conn_params(self) -> dict[str, Any]:
        if self._parameters is None:
            self._parameters = self._read_parameters()
        return self._parameters

    def _read_parameters(self) -> dict[str, Any]:
        # The stock hook caches the parameters of the connection.
        self.__dict__.pop("_get_static_conn_params", None)
        parameters: dict[str, Any] = self._driver_timeouts | dict(super()._get_static_conn_params)
        extra = self.get_connection(self.get_conn_id()).extra_dejson
        for name in _FORWARDED_EXTRAS:
            if extra.get(name) not in (None, ""):
                parameters[name] = extra[name] if name == "protocol" else self._seconds(name, extra[name])
        return parameters

    def _read_connection_again(self) -> None:
        """A triggerer's session may live for days, in which a password is changed or a host is moved."""
        try:
            self._parameters = self._read_parameters()
        except Exception as error:
            self.log.info("The connection %s cannot be read again: %s", self.get_conn_id(), error)

    def _seconds(self, name: str, value: Any) -> int:
        try:
            return int(value)
        except (TypeError, ValueError):
            raise JobInputError(
                f"Connection {self.get_conn_id()}: the extra {name} must be a whole number of seconds, got {value!r}."
            ) from None

    def _conn_params_to_sqlalchemy_uri(self, conn_params: dict[str, Any]) -> str:
        # SQLAlchemy's dialect takes the forwarded extras as connect_args, but not in the URI.
        in_uri = {name: value for name, value in conn_params.items() if name not in _FORWARDED_EXTRAS}
        return str(super()._conn_params_to_sqlalchemy_uri(in_uri))

    def get_sqlalchemy_engine(self, engine_kwargs: dict[str, Any] | None = None) -> Any:
        parameters = self._get_static_conn_params
        forwarded = {name: parameters[name] for name in _FORWARDED_EXTRAS if name in parameters}
        kwargs = dict(engine_kwargs or {})
        kwargs["connect_args"] = forwarded | kwargs.get("connect_args", {})
        return super().get_sqlalchemy_engine(kwargs)  # type: ignore[no-untyped-call]

    def get_conn(self) -> SnowflakeConnection:
        # At each login the driver writes two lines into the task's log that tell nothing about the job. A level that
        # somebody has set is left alone.
        announcer = logging.getLogger("snowflake.connector.connection")
        if announcer.level == logging.NOTSET:
            announcer.setLevel(logging.WARNING)
        try:
            return super().get_conn()
        except Exception as error:
            self._name_the_connection(error)
            raise

    def _name_the_connection(self, error: Exception) -> None:
        """The driver's errors of a login say neither which connection it was nor, some of them, which host."""
        if isinstance(getattr(error, "msg", None), str):
            parameters = self._get_static_conn_params
            shown = ", ".join(f"{name} {parameters[name]}" for name in _SHOWN_OF_A_LOGIN if parameters.get(name))
            # The class and its numbers say whether another try may help.
            whose = f"This is the login of the Airflow connection {self.get_conn_id()} ({shown})."
            error.msg = f"{error.msg.rstrip(' .')}. {whose}"  # type: ignore[attr-defined]

    def test_connection(self) -> tuple[bool, str]:  # type: ignore[override]  # The stock one has no types.
        """Log in once and ask who one is, as Airflow's *Test connection* does; that button asks the stock hook.

        :returns: whether it succeeded, and a sentence: as whom, with which role and warehouse, or what was wrong.
        """
        try:
            with self.repeating_for(0):
                (row,) = self.rows(account_statements.current_session())
        except Exception as error:
            return False, masked(error_text(error))
        finally:
            self.close()
        lacking = [name for name in ("role", "warehouse") if not row[name]]
        having = [f"{name} {row[name]}" for name in ("role", "warehouse", "database", "schema") if row[name]]
        told = f"Logged in to {row['account']} as {row['user']}, with {', '.join(having) or 'nothing else'}."
        return True, masked(told + (f" The session has no {' and no '.join(lacking)}." if lacking else ""))

    def close(self) -> None:
        """Log out. The next statement logs in again."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception:
                self.log.debug("Closing the Snowflake session failed", exc_info=True)

    def log_in(self) -> None:
        """Begin the session now, not with the first statement. If that fails, only the first statement tells it."""
        with suppress(Exception), self._cursor():
            pass

    def _abandon(self) -> None:
        """Forget the session without logging out: that would end a statement still at work, which submits a job."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            # The driver's connect option server_session_keep_alive sets this.
            connection._server_session_keep_alive = True  # type: ignore[attr-defined]
            with suppress(Exception):
                connection.close(retry=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _cursor(self) -> Iterator[SnowflakeCursor]:
        with self._lock:
            if self._connection is None or self._connection.is_closed():
                self._connection = self.get_conn()
            with closing(self._connection.cursor()) as cursor:
                yield cursor

    def on_session(self, action: Callable[[SnowflakeCursor], _T]) -> _T:
        """Do something with a cursor of the kept-open session, and do all of it again while only the network fails.

        :param action: what may be done twice without harm. After a failure it gets a cursor of a new session, so a
            transaction belongs into one action as a whole.
        """

        def reconnect(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            self.log.warning("Snowflake could not be reached (attempt %d): %s", state.attempt_number, error)
            # A broken session may be the cause of an unclear error, and a login takes less time than the pause.
            self._abandon()
            if self._may_ask_airflow:
                self._read_connection_again()

        def once() -> _T:
            with self._cursor() as cursor:
                begun = time.monotonic()
                try:
                    return action(cursor)
                except Exception as error:
                    limit = getattr(cursor.connection, "network_timeout", None)
                    if is_cancelled(error) and limit is not None and time.monotonic() - begun >= limit:
                        # The driver's own timer aborts the statement. It says so only if it hears of the abort before
                        # it hears of the statement's end (cursor.py: _TrackedQueryCancellationTimer).
                        raise TimeoutError(f"no answer within the connection's network_timeout, {limit} s") from error
                    raise

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: is_transient(error) or is_session_gone(error)),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=20),
            stop=tenacity.stop_after_delay(self.transient_timeout),
            before_sleep=reconnect,
            reraise=True,
        )(once)

    @contextmanager
    def repeating_for(self, seconds: float) -> Iterator[None]:
        """Within it, statements are repeated for so many seconds instead of ``transient_timeout``; 0 is not at all."""
        before, self.transient_timeout = self.transient_timeout, seconds
        try:
            yield
        finally:
            self.transient_timeout = before

    def twin(self) -> Self:
        """Another hook with a session of its own that need not ask Airflow for the connection again.

        For signal handlers and kill hooks: this hook's session may be in the middle of a statement.
        """
        other = type(self)(
            self.get_conn_id(),
            transient_timeout=min(self.transient_timeout, _TWIN_SECONDS),
        )
        other._parameters = self._get_static_conn_params
        other._may_ask_airflow = False
        return other

    def rows(self, sql: str, *, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run one statement that may be repeated without harm; a dict for each row, keys in lower case.

        :param parameters: session parameters that hold for this statement.
        """
        return self.made_of_rows(sql, lambda row: row, parameters=parameters)

    def made_of_rows(
        self, sql: str, make: Callable[[dict[str, Any]], _T], *, parameters: Mapping[str, Any] | None = None
    ) -> list[_T]:
        """As :meth:`rows`, but what is made of each; of very many rows no more than one is there as a dict."""
        options: dict[str, Any] = {"_statement_params": dict(parameters)} if parameters else {}

        def fetch(cursor: SnowflakeCursor) -> list[_T]:
            cursor.execute(sql, **options)
            names = [column.name.lower() for column in cursor.description]
            return [make(dict(zip(names, row, strict=True))) for row in cursor]

        return self.on_session(fetch)

    def columns(self, query: str) -> list[str]:
        """The column names of a query's result. Snowflake compiles the query, but does not run it."""

        def describe(cursor: SnowflakeCursor) -> list[str]:
            return [column.name for column in cursor.describe(query)]

        return self.on_session(describe)

    @property
    def namespace(self) -> tuple[str | None, str | None]:
        """The session's database and schema, as Snowflake stores them."""
        if self._namespace is None:
            self._namespace = self.on_session(lambda cursor: (cursor.connection.database, cursor.connection.schema))
        return self._namespace

    @property
    def session_role(self) -> str | None:
        """The session's role, as Snowflake stores it."""
        return self.on_session(lambda cursor: cursor.connection.role)

    def expected_namespace(self) -> tuple[str | None, str | None]:
        """The session's database and schema if they were asked for before, else those that the connection names.

        It does not log in.

        :raises InvalidJobError: if the connection names one that is no identifier.
        """
        if self._namespace is not None:
            return self._namespace

        def stored(field: str) -> str | None:
            value = self._get_static_conn_params.get(field)
            return Identifier.parse(value, field=field).value if value else None

        return stored("database"), stored("schema")

    def expected(self, name: str) -> str | None:
        """What the connection, or the hook's arguments, ask for: ``account``, ``user``, ``role``, ``warehouse``,
        ``database`` or ``schema``, as it is written there. It does not log in.
        """
        value = self._get_static_conn_params.get(name)
        return str(value) if value else None

    def qualify_name(
        self, name: str | QualifiedName, *, field: str = "job_name", allow_quoted: bool = False
    ) -> QualifiedName:
        """A name with the session's database and schema filled in.

        :param allow_quoted: False for jobs, whose names take no quotes.
        :raises JobInputError: if the name is partial and the connection names no database and schema.
        """
        parsed = (
            name
            if isinstance(name, QualifiedName)
            else QualifiedName.parse(name, field=field, allow_quoted=allow_quoted)
        )
        return self._require_qualified(parsed if parsed.is_qualified else parsed.qualify(*self.namespace), field)

    def qualify_location(self, location: str | StagePath, *, field: str = "stage_location") -> StagePath:
        """A stage location with the session's database and schema filled in.

        :raises JobInputError: if the stage's name is partial and the connection names no database and schema.
        """
        parsed = location if isinstance(location, StagePath) else StagePath.parse(location, field=field)
        qualified = parsed if parsed.stage.is_qualified else parsed.qualify(*self.namespace)
        self._require_qualified(qualified.stage, field)
        return qualified

    @staticmethod
    def _require_qualified(name: QualifiedName, field: str) -> QualifiedName:
        if not name.is_qualified:
            raise JobInputError(
                f"{field}: {name} has no database or schema, and the connection has none either. "
                "Write database.schema.name, or set both on the connection or the operator."
            )
        return name
