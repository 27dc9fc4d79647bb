"""The files of a job's model: hashed once, and held to stay what they are while the model is used."""

from __future__ import annotations

import time

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.worker import models
from airflow_provider_snowflake_batch.worker.errors import OutputError
from airflow_provider_snowflake_batch.worker.input.content import files_digest, files_seen
from airflow_provider_snowflake_batch.worker.output.kept_tasks import in_background

IN_USE = "the model's files were replaced while it was in use; run again"
# The pause after a look is so many times as long as the look.
LOOKS_APART = 20


class ModelFiles:
    """The files of a job's model as they are on this machine. They are hashed from now on, in the background.

    :raises Refused: the model does not exist, or cannot be listed.
    """

    def __init__(self, job: Job) -> None:
        self._files = models.model_files(job)
        # Seen now, before any process loads them.
        self._seen = files_seen(self._files)
        self._digest = in_background(self._hash)

    def _hash(self) -> str:
        """Hash of the files, which a process is loading meanwhile.

        :raises OutputError: they were replaced at this moment, so that it is not known which ones were loaded.
        """
        digest = files_digest(self._files)
        if files_seen(self._files) != self._seen:
            raise OutputError("the model's files were replaced while it was loaded; run again")
        return digest

    def digest(self) -> str:
        """Their hash; waits until it is known.

        :raises OSError: a file cannot be read.
        :raises OutputError: files were replaced while they were hashed.
        """
        return self._digest.result()

    def check_unchanged(self) -> None:
        """Hold that they are still those that were hashed.

        :raises OutputError: they are not. An attempt that was stalled for a while, and thought dead, finds out here,
            before it scores with other weights than its records tell of.
        """
        if files_seen(self._files) != self._seen and files_digest(self._files) != self.digest():
            raise OutputError(IN_USE)


class WatchedFiles:
    """The files of a model in the process that uses it, which may read them at any time: when it has been loaded, with
    its first batch, or with each.

    :param job: whose model it is. What is there now is what it is held to; the model is to be loaded after this.
    :raises Refused: the model does not exist, or cannot be listed.
    """

    def __init__(self, job: Job) -> None:
        self._files = models.model_files(job)
        self._seen = files_seen(self._files)
        self._looked, self._seconds = time.monotonic(), 0.0

    def check(self, digest: str) -> None:
        """Hold that what has been scored up to now was scored with the files that were hashed.

        Looks take at most a twentieth of the time. So where there are very many files, or a look at one takes long, not
        every call looks.

        :param digest: their hash.
        :raises OutputError: they are others now.
        """
        begun = time.monotonic()
        if begun - self._looked < self._seconds * LOOKS_APART:
            return
        now = files_seen(self._files)
        if now != self._seen:
            if files_digest(self._files) != digest:
                raise OutputError(IN_USE)
            self._seen = now
        self._looked = time.monotonic()
        self._seconds = self._looked - begun


def unreadable(error: OSError) -> str:
    """A file of the model or of the input cannot be read, in words."""
    where = error.filename or "a file of the model or the input"
    return f"{where} cannot be read: {error.strerror or error}"
