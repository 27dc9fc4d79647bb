"""What can stop a batch, and the exit code each cause has.

| Exit code | Meaning |
|---|---|
| 0 | done: `_SUCCESS` is written |
| 1 | the model or the data failed; the cause is the last line on stderr |
| 2 | `JOB.json` or the input was refused before anything was written |
| 3 | another attempt has finished the batch, or another batch has taken the directory; what it wrote is untouched |
| 143 | stopped by SIGTERM or SIGINT; finished tasks keep their records |
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_SUPERSEDED = 3
EXIT_TERMINATED = 143

# An error may quote the model's input. Log readers show one line, of which the beginning and the end matter most.
MESSAGE_CHARACTERS = 4000
DETAILS_CHARACTERS = 64_000


def shortened(text: str, most: int) -> str:
    """A text with its middle left out if it is longer than that."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} … ({len(text) - 2 * half} characters left out) … {text[-half:]}"


class WorkerError(Exception):
    """A cause that ends the batch with a known exit code.

    :param message: what happened and where; line breaks become spaces, since log readers look at the last line.
    :param details: text to show before the message, such as the model's own traceback.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, details: str = "") -> None:
        self.message = " ".join(shortened(message, MESSAGE_CHARACTERS).split())
        super().__init__(self.message)
        self.details = shortened(details, DETAILS_CHARACTERS)

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


class Superseded(WorkerError):
    """Another attempt came first: what it wrote counts, and this one has left it alone."""

    exit_code = EXIT_SUPERSEDED


class ModelProcessDied(WorkerError):
    """A model process ended without a word: a crash of native code, or killed for memory."""


class ClusterError(WorkerError):
    """The replicas do not find each other, or cannot work together."""


class Terminated(WorkerError):
    """The batch was asked to stop (SIGTERM)."""

    exit_code = EXIT_TERMINATED


BY_NAME: dict[str, type[WorkerError]] = {
    kind.__name__: kind
    for kind in (
        WorkerError,
        Refused,
        ModelError,
        DataError,
        TooManyBadRows,
        OutputError,
        Superseded,
        ModelProcessDied,
        ClusterError,
        Terminated,
    )
}
