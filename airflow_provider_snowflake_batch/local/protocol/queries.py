"""Queries: submitted, run in threads, awaited, found again by id or request id, cancelled, forgotten."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    statement_cancelled,
    statement_timed_out,
)
from airflow_provider_snowflake_batch.local.parsing import Token, tokenize, without_secrets
from airflow_provider_snowflake_batch.local.shortages import OUT_OF_RESOURCES, check_room
from airflow_provider_snowflake_batch.local.snowflake_names import refuse_script
from airflow_provider_snowflake_batch.local.sql import binds
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.sql.engine_errors import snowflake_error
from airflow_provider_snowflake_batch.local.statements import CURRENT, Result, Statement, Statements

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session

log = logging.getLogger(__name__)

RESULT_LIFETIME = 3600
"""Seconds that a finished query can be asked for its result."""
FETCHED_BYTES = 64 * 1024 * 1024
"""Bytes of results kept once they were fetched, for RESULT_SCAN; the oldest go first."""
RESULT_BYTES = 512 * 1024 * 1024
"""Bytes of results kept in all."""
_LARGE_BYTES = 4 * 1024 * 1024
KEPT_QUERIES = 2000
_MULTI_STATEMENT = 0xA000
# What frees room, DROP, DELETE or REMOVE, is let through.
_WRITES = re.compile(r"\s*(?:ALTER\s+TABLE|CALL|COPY|CREATE|EXECUTE|INSERT|MERGE|PUT|UPDATE)\b", re.IGNORECASE)
_DESCRIBED = re.compile(r"\s*(?:SHOW|DESC|DESCRIBE|LIST|LS|SELECT|WITH)\b", re.IGNORECASE)


@dataclass(eq=False)
class Query:
    """One statement on its way.

    :param request_id: the client's id of the request; the same id again means the same query.
    """

    session: Session
    text: str
    request_id: str | None
    describe_only: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    submitted: float = field(default_factory=time.time)
    finished: float | None = None
    result: Result | None = None
    error: SnowflakeError | None = None
    answered: bool = False
    unfetched: set[int] = field(default_factory=set)
    """The chunks of a large result that the client has not downloaded yet, by their first row."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    children: list[Query] = field(default_factory=list)
    """The statements of a multi-statement request, in order."""
    future: Future[None] | None = None
    running: bool = False
    result_bytes: int | None = None

    @property
    def status(self) -> str:
        if self.finished is None:
            return "RUNNING" if self.running else "QUEUED"
        if self.error is None:
            return "SUCCESS"
        return "ABORTED" if self.error.errno in (604, 630) else "FAILED_WITH_ERROR"

    @property
    def fetched(self) -> bool:
        return self.answered and not self.unfetched

    @property
    def size(self) -> int:
        if self.result is None:
            return 0
        # Of all queries that are kept it is asked again and again.
        if self.result_bytes is None:
            table, columns, rows = self.result.table, self.result.columns, self.result.rows
            self.result_bytes = 64 * len(columns) * (len(rows) + 1) if table is None else int(table.nbytes)
        return self.result_bytes


class Queries:
    """All queries of the server.

    :param statements: those that functions answer.
    :param engine: answers all others.
    :param folder: where room must be left for statements that write.
    """

    def __init__(self, statements: Statements, engine: Engine, folder: Path, threads: int = 256) -> None:
        self._statements = statements
        self._engine = engine
        self._folder = folder
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="query")
        self._lock = threading.Lock()
        self._by_id: OrderedDict[str, Query] = OrderedDict()
        self._by_request: dict[tuple[int, str], Query] = {}

    def submit(
        self,
        session: Session,
        text: str,
        *,
        request_id: str | None = None,
        bindings: Mapping[str, Any] | None = None,
        describe_only: bool = False,
        parameters: Mapping[str, Any] | None = None,
    ) -> Query:
        """Begin a query, or find the one that this request id began before."""
        with self._lock:
            if request_id and (known := self._by_request.get((session.id, request_id))):
                return known
            query = Query(session, text, request_id, describe_only)
            self._by_id[query.id] = query
            if request_id:
                self._by_request[(session.id, request_id)] = query
        if len(self._by_id) % 64 == 0:
            self._forget_old()
        query.future = self._pool.submit(self._run, query, bindings or {}, dict(parameters or {}))
        return query

    async def wait(self, query: Query, seconds: float) -> bool:
        """Whether the query has finished within this many seconds."""
        assert query.future is not None
        if query.finished is not None:
            return True
        done, _ = await asyncio.wait([asyncio.wrap_future(query.future)], timeout=seconds)
        return bool(done)

    def find(self, query_id: str) -> Query | None:
        return self._by_id.get(query_id)

    def find_request(self, session: Session, request_id: str) -> Query | None:
        return self._by_request.get((session.id, request_id))

    def cancel(self, query: Query, error: SnowflakeError | None = None) -> None:
        """Stop a query; it ends with error 604 unless another is given."""
        if query.finished is not None:
            return
        query.error = error or statement_cancelled()
        query.cancelled.set()
        threading.Thread(target=self._interrupt, args=(query,), name="cancel", daemon=True).start()

    def _interrupt(self, query: Query) -> None:
        while query.finished is None:
            for running in (query, *query.children):
                self._engine.interrupt(query.session, running.id)
            time.sleep(0.05)

    def running(self, session: Session) -> list[Query]:
        return [query for query in list(self._by_id.values()) if query.session is session and query.finished is None]

    def forget_session(self, session: Session) -> None:
        for query in self.running(session):
            self.cancel(query)
        with self._lock:
            for query in [query for query in self._by_id.values() if query.session is session]:
                if query.request_id:
                    self._by_request.pop((session.id, query.request_id), None)
                if query.fetched:
                    # Its status outlives the session, as in Snowflake: whoever has its id may ask how it went.
                    query.result = None

    def close(self) -> None:
        for query in list(self._by_id.values()):
            self.cancel(query)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # Running

    def _run(self, query: Query, bindings: Mapping[str, Any], parameters: dict[str, Any]) -> None:
        timer = None
        try:
            timer = self._timeout(query, parameters)
            refuse_script(query.text)
            statements = split(query.text)
            desired = int(
                parameters.get("MULTI_STATEMENT_COUNT", query.session.parameters.get("MULTI_STATEMENT_COUNT", 1))
            )
            if (len(statements) > 1 and desired == 1) or (desired > 1 and desired != len(statements)):
                raise SnowflakeError(
                    f"Actual statement count {len(statements)} did not match the desired statement count {desired}.",
                    errno=8,
                    sqlstate="0A000",
                )
            if len(statements) > 1 or desired > 1:
                self._run_each(query, statements, bindings)
            else:
                query.result = self._answer(query, query.text, bindings)
        except BaseException as error:
            translated = snowflake_error(error, query.text)
            if translated.sqlstate == OUT_OF_RESOURCES:
                log.error("Query %s failed: %s", query.id, error)
            elif translated.errno == 603:
                log.exception("Query %s failed: %s", query.id, without_secrets(query.text))
            query.error = query.error or translated
        finally:
            if query.cancelled.is_set():
                query.result = None
                query.error = query.error or statement_cancelled()
            query.running = False
            query.finished = time.time()
            if query.size > _LARGE_BYTES:
                self._forget_old()
            if timer is not None:
                timer.cancel()

    def _run_each(self, query: Query, statements: list[str], bindings: Mapping[str, Any]) -> None:
        """Run the statements of one request; each has its own id and result."""
        if bindings:
            raise SnowflakeError(
                "Bind variables are not supported for multi-statement queries.", errno=9, sqlstate="0A000"
            )
        for text in statements:
            child = Query(query.session, text, None, cancelled=query.cancelled)
            query.children.append(child)
            with self._lock:
                self._by_id[child.id] = child
            try:
                child.result = self._answer(child, text, {})
            except BaseException as error:
                child.error = snowflake_error(error, text)
                raise child.error from error
            finally:
                child.finished = time.time()
        answer = Result.message("Multiple statements executed successfully.")
        query.result = replace(answer, statement_type=_MULTI_STATEMENT)

    def _answer(self, query: Query, text: str, bindings: Mapping[str, Any]) -> Result:
        session = query.session
        query.running = True
        statement = Statement(text, session, query.id, cancelled=query.cancelled)
        statement.check_cancelled()
        CURRENT.set(statement)
        if _WRITES.match(text) and not query.describe_only:
            check_room(self._folder)
        try:
            if binds.is_batch(bindings):
                return self._engine.execute_batch(statement, binds.batch_columns(bindings))
            if query.describe_only and not bindings:
                bindings = _Nulls()
            statement.text = binds.write_in(text, bindings, session.variables)
            return self.answer(statement, query.describe_only)
        finally:
            session.last_query_ids = [*session.last_query_ids[-99:], query.id]

    def answer(self, statement: Statement, describe_only: bool = False) -> Result:
        """Give the statement to the handler that claims it, or to the SQL engine."""
        found = self._statements.find(statement.text)
        if found is None:
            return self._engine.execute(statement, describe_only=describe_only)
        if describe_only and not _DESCRIBED.match(statement.text):
            return Result.message("")
        handler, cursor = found
        return handler(statement, cursor)

    def _timeout(self, query: Query, parameters: Mapping[str, Any]) -> threading.Timer | None:
        name = "STATEMENT_TIMEOUT_IN_SECONDS"
        seconds = int(parameters.get(name, query.session.parameters.get(name, 0)) or 0)
        if not seconds:
            return None
        timer = threading.Timer(seconds, self.cancel, (query, statement_timed_out(seconds)))
        timer.daemon = True
        timer.start()
        return timer

    # Forgetting

    def _forget_old(self) -> None:
        limit = time.time() - RESULT_LIFETIME
        with self._lock:
            kept_bytes = 0
            for number, query in enumerate(reversed(list(self._by_id.values()))):
                if query.finished is None:
                    continue
                kept_bytes += query.size
                if query.finished < limit or number > KEPT_QUERIES:
                    self._drop(query)
                elif kept_bytes > (FETCHED_BYTES if query.fetched else RESULT_BYTES) and number > 0:
                    query.result = None

    def _drop(self, query: Query) -> None:
        self._by_id.pop(query.id, None)
        if query.request_id:
            self._by_request.pop((query.session.id, query.request_id), None)


class _Nulls(dict[str, Any]):
    """Bind variables of a statement that is only described: none is known, each is NULL."""

    def __bool__(self) -> bool:
        return True

    def get(self, key: str, default: Any = None) -> Any:
        return {"type": "ANY", "value": None}


def split(text: str) -> list[str]:
    """The statements of a text, divided at the semicolons that are none of a literal's or a comment's."""
    if ";" not in text:
        return [text]
    pieces: list[str] = []
    start = 0
    has_tokens = False
    tokens: list[Token] = tokenize(text)
    for token in tokens:
        if token.kind == "symbol" and token.text == ";":
            if has_tokens:
                pieces.append(text[start : token.start])
            start, has_tokens = token.end, False
        else:
            has_tokens = True
    if has_tokens:
        pieces.append(text[start:])
    return pieces or [text]
