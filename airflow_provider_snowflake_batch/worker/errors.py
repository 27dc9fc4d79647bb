"""What can stop a batch, and the exit code each cause has.

| Exit code | Meaning |
|---|---|
| 0 | done: `_SUCCESS` is written |
| 1 | the model or the data failed; the cause is the last line on stderr |
| 2 | `JOB.json` or the input was refused before anything was written |
| 143 | stopped by SIGTERM or SIGINT; finished tasks keep their records |
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_TERMINATED = 143


class WorkerError(Exception):
    """A cause that ends the batch with a known exit code.

    :param message: what happened and where; line breaks become spaces, since log readers look at the last line.
    :param details: text to show before the message, such as the model's own traceback.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, details: str = "") -> None:
        self.message = " ".join(message.split())
        super().__init__(self.message)
        self.details = details

    def describe(self) -> str:
        """The error as it is shown to a person: details first, the one-line cause last."""
        line = f"{type(self).__name__}: {self.message}"
        return f"{self.details.rstrip()}\n{line}" if self.details else line


class Refused(WorkerError):
    """The job file, its parameters or its input cannot be run as they are."""

    exit_code = EXIT_REFUSED


class ModelError(WorkerError):
    """The model raised while it was loaded or called."""


class DataError(WorkerError):
    """The rows, the files they name, or what the model returned for them cannot be used."""


class TooManyBadRows(WorkerError):
    """More rows failed than ``max_quarantined`` allows."""


class OutputError(WorkerError):
    """The output directory cannot be completed."""


class ModelProcessDied(WorkerError):
    """A model process ended without a word: a crash of native code, or killed for memory."""


class Terminated(WorkerError):
    """The batch was asked to stop (SIGTERM)."""

    exit_code = EXIT_TERMINATED


BY_NAME: dict[str, type[WorkerError]] = {
    kind.__name__: kind
    for kind in (Refused, ModelError, DataError, TooManyBadRows, OutputError, ModelProcessDied, Terminated)
}
