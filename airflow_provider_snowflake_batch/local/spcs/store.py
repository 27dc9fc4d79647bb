"""Jobs, containers, compute pools, image repositories and secrets in the control database.

Each record is one row: a key that statements look up and the whole record as JSON, so that a new field needs no
migration.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.spcs.records import ComputePool, Container, Job, Secret

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spcs_jobs (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL, full_name TEXT NOT NULL, active INTEGER NOT NULL,
    created_on REAL NOT NULL, deleted_on REAL, record TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS spcs_jobs_name ON spcs_jobs (full_name) WHERE deleted_on IS NULL;
CREATE INDEX IF NOT EXISTS spcs_jobs_active ON spcs_jobs (active) WHERE active;
CREATE INDEX IF NOT EXISTS spcs_jobs_number ON spcs_jobs (number);
CREATE INDEX IF NOT EXISTS spcs_jobs_pool ON spcs_jobs (
    json_extract(record, '$.compute_pool'), json_extract(record, '$.completed_on'));
CREATE TABLE IF NOT EXISTS spcs_containers (
    job_id TEXT NOT NULL, instance INTEGER NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL,
    record TEXT NOT NULL, PRIMARY KEY (job_id, instance, name));
CREATE TABLE IF NOT EXISTS spcs_compute_pools (name TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS spcs_image_repositories (full_name TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS spcs_secrets (full_name TEXT PRIMARY KEY, record TEXT NOT NULL);
"""


class Store:
    """:param connect: opens a connection to the control database; called once per thread."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._local = threading.local()
        self._db.executescript(_SCHEMA)

    @property
    def _db(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def next_number(self) -> int:
        return int(self._db.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM spcs_jobs").fetchone()[0])

    def add_job(self, job: Job, containers: list[Container]) -> None:
        """:raises sqlite3.IntegrityError: if a job of this name exists."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("INSERT INTO spcs_jobs VALUES (?, ?, ?, ?, ?, ?, ?)", self._job_row(job))
            for position, container in enumerate(containers):
                self._db.execute(
                    "INSERT INTO spcs_containers VALUES (?, ?, ?, ?, ?)",
                    (job.id, container.instance, container.name, position, json.dumps(asdict(container))),
                )
            self._db.execute("COMMIT")
        except BaseException:
            # A full disk has rolled it back already.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def save_job(self, job: Job) -> None:
        identity, *_, active, _created, deleted, record = self._job_row(job)
        self._db.execute(
            "UPDATE spcs_jobs SET active = ?, deleted_on = ?, record = ? WHERE id = ?",
            (active, deleted, record, identity),
        )

    @staticmethod
    def _job_row(job: Job) -> tuple[Any, ...]:
        active = int(job.deleted_on is None and not job.settled)
        record = json.dumps({**asdict(job), "status": job.status.value})
        return job.id, job.number, job.full_name, active, job.created_on, job.deleted_on, record

    def save_container(self, container: Container) -> None:
        self._db.execute(
            "UPDATE spcs_containers SET record = ? WHERE job_id = ? AND instance = ? AND name = ?",
            (json.dumps(asdict(container)), container.job_id, container.instance, container.name),
        )

    def find_job(self, full_name: str) -> Job | None:
        rows = self._jobs("full_name = ? AND deleted_on IS NULL", (full_name,))
        return rows[0] if rows else None

    def job_by_id(self, identity: str) -> Job | None:
        rows = self._jobs("id = ?", (identity,))
        return rows[0] if rows else None

    def active_jobs(self) -> list[Job]:
        """Jobs that have not ended, or have processes left that still do."""
        return self._jobs("active")

    def existing_jobs(self) -> list[Job]:
        """Jobs that were not dropped, by full name."""
        return sorted(self._jobs("deleted_on IS NULL"), key=lambda job: job.full_name)

    def all_jobs(self) -> list[Job]:
        """Dropped jobs too, newest first."""
        return sorted(self._jobs("1"), key=lambda job: job.number, reverse=True)

    def _jobs(self, condition: str, values: tuple[Any, ...] = ()) -> list[Job]:
        rows = self._db.execute(f"SELECT record FROM spcs_jobs WHERE {condition} ORDER BY number", values)
        jobs = []
        for (record,) in rows.fetchall():
            fields = json.loads(record)
            jobs.append(Job(**{**fields, "status": JobStatus(fields["status"])}))
        return jobs

    def containers(self, job_id: str) -> list[Container]:
        rows = self._db.execute(
            "SELECT record FROM spcs_containers WHERE job_id = ? ORDER BY instance, position", (job_id,)
        )
        return [Container(**json.loads(record)) for (record,) in rows.fetchall()]

    def containers_of(self, jobs: Iterable[Job]) -> dict[str, list[Container]]:
        """The containers of each of some jobs, by the job's id; of however many, in one statement."""
        found: dict[str, list[Container]] = {job.id: [] for job in jobs}
        rows = self._db.execute(
            "SELECT record FROM spcs_containers WHERE job_id IN (SELECT value FROM json_each(?)) "
            "ORDER BY job_id, instance, position",
            (json.dumps(list(found)),),
        )
        for (record,) in rows:
            container = Container(**json.loads(record))
            found[container.job_id].append(container)
        return found

    def last_use(self, pool: str) -> float | None:
        """When the last job of a compute pool has ended, seconds since the epoch: now, if one has not; None without."""
        there = "FROM spcs_jobs WHERE json_extract(record, '$.compute_pool') = ?"
        ended = "json_extract(record, '$.completed_on')"
        (busy,) = self._db.execute(f"SELECT EXISTS (SELECT 1 {there} AND {ended} IS NULL)", (pool,)).fetchone()
        (last,) = self._db.execute(f"SELECT MAX({ended}) {there}", (pool,)).fetchone()
        return time.time() if busy else last

    def forget_job(self, identity: str) -> None:
        self._db.execute("DELETE FROM spcs_containers WHERE job_id = ?", (identity,))
        self._db.execute("DELETE FROM spcs_jobs WHERE id = ?", (identity,))

    def pools(self) -> list[ComputePool]:
        rows = self._db.execute("SELECT record FROM spcs_compute_pools ORDER BY name")
        return [ComputePool(**json.loads(record)) for (record,) in rows.fetchall()]

    def find_pool(self, name: str) -> ComputePool | None:
        row = self._db.execute("SELECT record FROM spcs_compute_pools WHERE name = ?", (name,)).fetchone()
        return None if row is None else ComputePool(**json.loads(row[0]))

    def add_pool(self, pool: ComputePool) -> None:
        """:raises sqlite3.IntegrityError: if a pool of this name exists."""
        self._db.execute("INSERT INTO spcs_compute_pools VALUES (?, ?)", (pool.name, json.dumps(asdict(pool))))

    def save_pool(self, pool: ComputePool) -> None:
        self._db.execute(
            "UPDATE spcs_compute_pools SET record = ? WHERE name = ?", (json.dumps(asdict(pool)), pool.name)
        )

    def drop_pool(self, name: str) -> None:
        self._db.execute("DELETE FROM spcs_compute_pools WHERE name = ?", (name,))

    def image_repositories(self) -> dict[str, dict[str, Any]]:
        rows = self._db.execute("SELECT full_name, record FROM spcs_image_repositories ORDER BY full_name")
        return {full_name: json.loads(record) for full_name, record in rows.fetchall()}

    def add_image_repository(self, full_name: str, record: dict[str, Any]) -> None:
        """:raises sqlite3.IntegrityError: if a repository of this name exists."""
        self._db.execute("INSERT INTO spcs_image_repositories VALUES (?, ?)", (full_name, json.dumps(record)))

    def drop_image_repository(self, full_name: str) -> None:
        self._db.execute("DELETE FROM spcs_image_repositories WHERE full_name = ?", (full_name,))

    def secrets(self) -> list[Secret]:
        return [Secret(**json.loads(record)) for (record,) in self._db.execute("SELECT record FROM spcs_secrets")]

    def find_secret(self, full_name: str) -> Secret | None:
        row = self._db.execute("SELECT record FROM spcs_secrets WHERE full_name = ?", (full_name,)).fetchone()
        return None if row is None else Secret(**json.loads(row[0]))

    def save_secret(self, secret: Secret) -> None:
        """Another of the same name is replaced."""
        record = json.dumps(asdict(secret))
        self._db.execute("INSERT OR REPLACE INTO spcs_secrets VALUES (?, ?)", (secret.full_name, record))

    def drop_secret(self, full_name: str) -> None:
        self._db.execute("DELETE FROM spcs_secrets WHERE full_name = ?", (full_name,))
