"""What the platform gives every container: environment variables, and a token to log in with.

https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services,
…/spcs-execute-sql
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from airflow_provider_snowflake_batch.contract.cluster import (
    ADDRESS_VARIABLE,
    HOST_VARIABLE,
    PORT_VARIABLE,
    PROTOCOL_VARIABLE,
    SERVICE_VARIABLE,
    TOKEN_FILE_VARIABLE,
)
from airflow_provider_snowflake_batch.local.spcs.records import Container, Job


class Platform:
    """The platform of one server.

    :param account: its name.
    :param secret: tokens are made from it.
    :ivar port: where the server listens, once it does.
    """

    def __init__(self, account: str, secret: str) -> None:
        self._account, self._secret = account, secret
        self.port = 0

    def variables(self, job: Job, container: Container, folder: Path) -> dict[str, str]:
        """The environment variables of a container, whose token is written.

        :param folder: of the container's instance.
        """
        return {
            HOST_VARIABLE: "127.0.0.1",
            PORT_VARIABLE: str(self.port),
            PROTOCOL_VARIABLE: "http",
            TOKEN_FILE_VARIABLE: str(self._write_token(job, folder)),
            "SNOWFLAKE_ACCOUNT": self._account,
            "SNOWFLAKE_DATABASE": job.database,
            "SNOWFLAKE_SCHEMA": job.schema,
            SERVICE_VARIABLE: job.name,
            "SNOWFLAKE_JOB_INDEX": str(container.instance),
            "SNOWFLAKE_JOBS_COUNT": str(job.replicas),
            ADDRESS_VARIABLE: address(container.instance),
        }

    def _write_token(self, job: Job, folder: Path) -> Path:
        """Where a container of an account finds its token in ``/snowflake/session``, there is no such folder here."""
        path = folder / "session" / "token"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(f"{job.id}.{self._signature(job.id)}")
        return path

    def job_of(self, token: str) -> str | None:
        """The id of the job whose token it is; None if it is no token of this server's."""
        job_id, _, signature = token.rpartition(".")
        return job_id if hmac.compare_digest(signature.encode(), self._signature(job_id).encode()) else None

    def _signature(self, job_id: str) -> str:
        return hmac.new(self._secret.encode(), f"container of {job_id}".encode(), hashlib.sha256).hexdigest()


def address(instance: int) -> str:
    """Instead of a network of its own: an address of this machine for each replica of a job.

    The first is not taken for a node's own by everybody.
    """
    return f"127.0.0.{2 + instance % 250}"
