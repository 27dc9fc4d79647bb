"""What the pages cost an API server, over the history of a large Airflow: processor time for each request.

Ten times as many task instances as job cards are written into a database of their own, SQLite or the given one. Then
each kind of request is made through Airflow's whole API application, with another word, filter or order each. Processor
time is that of this process, which is client and server in one, and of PostgreSQL's own processes where those
run on the same machine. Ends with 1 if a request takes longer than the goal. At the sizes that are goals, the figures
are kept in ``benchmarks/results``.

    python -m benchmarks.pages --cards 10000
    python -m benchmarks.pages --cards 100000 --database postgresql+psycopg2://airflow@localhost/empty

PostgreSQL needs its drivers (``pip install psycopg2-binary asyncpg``), and an empty database, which is filled, or one
that this has filled before.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.report import machine, median, save
from benchmarks.scratch import scratch

GOAL_MS = 60
GOAL_ROWS = 1_000
SIZES = (10_000, 100_000)
"""Cards at which the goals are to be met."""

# The parameters of each, and at which endpoint, if that is not the one of the list.
REQUESTS: dict[str, dict[str, Any]] = {
    "first page": {},
    "next page": {"after": "older"},
    "a page of 100": {"limit": 100},
    "state: active": {"group": "active"},
    "state: done": {"group": "done"},
    "state: failed": {"group": "failed"},
    "state: failed, next page": {"group": "failed", "after": "older"},
    "one Dag": {"dag_id": "dag_007"},
    "one run": {"dag_id": "dag_007", "run_id": "scheduled__7"},
    "text: a model, many found": {"text": "model_7"},
    "text: an error, failed": {"text": "memoryerror", "group": "failed"},
    "text: three words": {"text": "dag_01 region 2"},
    "text: nothing found": {"text": "no such thing"},
    "text: one letter": {"text": "z"},
    "text: a letter of all": {"text": "e"},
    "text: a word of most": {"text": "done"},
    "overview": {"path": "overview"},
    "overview of one Dag": {"path": "overview", "dag_id": "dag_007"},
    "one run, together": {"path": "run", "dag_id": "dag_007", "run_id": "scheduled__7"},
    **{
        f"by {sort}{', reversed' if reverse else ''}": {"sort": sort, "reverse": reverse}
        for sort in ("newest", "status", "task", "model", "pool", "submitted", "duration")
        for reverse in (False, True)
    },
    "by duration, next page": {"sort": "duration", "after": "older"},
    "by model, text": {"sort": "model", "text": "pool_3"},
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=10_000, help="job cards; ten times as many task instances")
    parser.add_argument("--database", metavar="URL", help="as in [database] sql_alchemy_conn; SQLite if left out")
    parser.add_argument("--repeats", type=int, default=9, help="of each request; the median counts")
    parser.add_argument("--step", choices=["fill", "measure"], help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.step == "fill":
        return _fill(options.cards)
    if options.step == "measure":
        return _measure(options.cards, options.repeats)
    with scratch("pages") as folder:
        settings = os.environ | _settings(folder, options.database)
        given = ["--cards", str(options.cards), "--repeats", str(options.repeats)]
        for step in ("fill", "measure"):
            command = [sys.executable, "-m", "benchmarks.pages", "--step", step, *given]
            done = subprocess.run(command, env=settings, check=False)
            if done.returncode:
                return done.returncode
    return 0


def _settings(folder: Path, database: str | None) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database or f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "viewer:viewer",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }


def _fill(cards: int) -> int:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, stdout=subprocess.DEVNULL)
    from airflow import settings
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import func, select

    from benchmarks.pages_history import fill

    with settings.engine.connect() as connection:
        there = connection.execute(select(func.count()).select_from(TaskInstance.__table__)).scalar_one()
    if there not in (0, 10 * cards):
        print(f"The database holds {there} task instances already", file=sys.stderr)
        return 2
    if not there:
        begun = time.monotonic()
        fill(cards)
        print(f"filled in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return 0


def _measure(cards: int, repeats: int) -> int:
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from starlette.testclient import TestClient

    from airflow_provider_snowflake_batch.monitoring import follow

    # Every request looks at the tasks that run. What a thread does every few seconds is measured by itself.
    follow.LOOK_EVERY, follow.SHORTEST_PAUSE = 0, 1e9
    application = create_app(apps="core")
    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="viewer", role="viewer"))
    clock = ProcessorTime()
    with TestClient(application, headers={"Authorization": f"Bearer {token}"}) as client:
        client.get("/snowflake-batch/static/0/batch_jobs.js")
        first = clock.of(lambda: _asked(client, {}))
        print(f"{cards:,} cards, {10 * cards:,} task instances, {clock.database}; goal {GOAL_MS} ms")
        print(f"{'request':<40}{'ms of processor time':>22}")
        print(f"{'the first of a process, builds the index':<40}{first:>22.0f}")
        figures = {name: _figure(client, clock, asked, repeats) for name, asked in REQUESTS.items()}
        figures["first page, unchanged"] = _unchanged(client, clock, repeats)
        touched = _touched(lambda: _asked(client, {})) if clock.database == "postgresql" else None
    comparing = {
        name: median(clock.of(lambda whole=whole: _compare(whole)) for _ in range(3))
        for name, whole in (("comparing, in the background", False), ("comparing one by one, every 10 minutes", True))
    }
    for name, figure in comparing.items():
        print(f"{name:<40}{figure:>22.0f}")
    late = [name for name, figure in figures.items() if figure > GOAL_MS]
    for name, figure in figures.items():
        print(f"{name:<40}{figure:>22.1f}{'   too long' if name in late else ''}")
    print(f"{len(late)} of {len(figures)} miss the goal; {json.dumps(machine())}")
    if touched is not None:
        print(f"rows that the database touches for the first page: {touched:,.0f}; goal {GOAL_ROWS:,}")
    if cards in SIZES:
        _save(cards, clock.database, figures, touched, {"the first of a process, builds the index": first} | comparing)
    return 1 if late or (touched or 0) > GOAL_ROWS else 0


def _save(
    cards: int, database: str, figures: dict[str, float], touched: float | None, beside: dict[str, float]
) -> None:
    """:param beside: milliseconds that no goal is of."""
    saved = {"goal / ms of the slowest request": GOAL_MS / max(figures.values())}
    if touched is not None:
        saved["goal / rows read for the first page"] = GOAL_ROWS / max(touched, 1)
    goals = dict.fromkeys(saved, 1.0)
    saved |= {f"{name}, ms": figure for name, figure in (figures | beside).items()}
    if touched is not None:
        saved["rows read for the first page"] = touched
    server = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[database]
    what = f"{len(figures)} requests of the pages, {cards:,} cards among {10 * cards:,} task instances, {server}"
    save(f"pages_{database}_{cards}", f"{what}, processor time", saved, goals)


def _compare(whole: bool) -> None:
    from airflow.utils.session import create_session

    from airflow_provider_snowflake_batch.monitoring import follow

    if whole:
        follow.WHOLE_EVERY = 0
    with create_session() as session:
        follow.FOLLOWER.compare(session)


def _touched(call: Any) -> float:
    """Rows that PostgreSQL reads for the statements of a call, as EXPLAIN ANALYZE counts them."""
    from airflow import settings
    from sqlalchemy import event

    plans = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            with connection.connection.cursor() as other:
                other.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
                plans.append(other.fetchone()[0][0]["Plan"])

    event.listen(settings.engine, "before_cursor_execute", explain)
    try:
        call()
    finally:
        event.remove(settings.engine, "before_cursor_execute", explain)
    return sum(map(_rows_of, plans))


def _rows_of(plan: dict[str, Any]) -> float:
    below = sum(map(_rows_of, plan.get("Plans", [])))
    if "Scan" not in plan["Node Type"]:
        return below
    read = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return below + float(read * plan["Actual Loops"])


def _figure(client: Any, clock: ProcessorTime, asked: dict[str, Any], repeats: int) -> float:
    if "after" in asked:
        first = {name: value for name, value in asked.items() if name != "after"}
        asked = {**first, "after": _asked(client, first)[asked["after"]]}
    _asked(client, asked)
    return median(clock.of(lambda: _asked(client, asked)) for _ in range(repeats))


def _unchanged(client: Any, clock: ProcessorTime, repeats: int) -> float:
    """Of a page that is told that it has the answer already."""
    path = "/snowflake-batch/jobs"
    headers = {"If-None-Match": client.get(path).headers["ETag"]}

    def ask() -> None:
        if (status := client.get(path, headers=headers).status_code) != 304:
            raise RuntimeError(status)

    return median(clock.of(ask) for _ in range(repeats))


def _asked(client: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    asked = {name: value for name, value in parameters.items() if name != "path"}
    answer = client.get(f"/snowflake-batch/{parameters.get('path', 'jobs')}", params=asked)
    if answer.status_code != 200:
        raise RuntimeError(answer.text)
    told: dict[str, Any] = answer.json()
    return told


class ProcessorTime:
    """That of this process, and of a PostgreSQL server's processes for its connections."""

    def __init__(self) -> None:
        from airflow import settings

        self.database = settings.engine.dialect.name
        self._watch = (
            settings.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if self.database == "postgresql"
            else None
        )

    def of(self, call: Any) -> float:
        """Milliseconds."""
        before, begun = self._server(), time.process_time()
        call()
        own = time.process_time() - begun
        after = self._server()
        # A process that has begun in between, or has ended, counts for what is known of it.
        return 1_000 * (own + sum(max(0, spent - before.get(pid, 0)) for pid, spent in after.items()))

    def _server(self) -> dict[int, float]:
        return dict(self._spent()) if self._watch is not None else {}

    def _spent(self) -> Iterator[tuple[int, float]]:
        from sqlalchemy import text

        assert self._watch is not None
        mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        for pid in self._watch.execute(text(mine)).scalars():
            try:
                nanoseconds = Path(f"/proc/{pid}/schedstat").read_text().split()[0]
            except OSError:
                continue
            yield pid, int(nanoseconds) / 1e9


if __name__ == "__main__":
    sys.exit(main())
