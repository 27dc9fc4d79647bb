"""Words that stand in specifications, in the worker's job file and in statements."""

from __future__ import annotations

from enum import Enum


class SaveMode(str, Enum):
    """What to do when the job's output directory already has files."""

    ERROR = "error"
    OVERWRITE = "overwrite"


class FileEncoding(str, Enum):
    """How the model gets a file's content."""

    RAW_BYTES = "raw_bytes"
    BASE64 = "base64"
    BASE64_DATA_URL = "base64_data_url"


class OnError(str, Enum):
    """What happens to a row that the model cannot score."""

    FAIL = "fail"
    QUARANTINE = "quarantine"


class Sharing(str, Enum):
    """How several replicas share a batch."""

    RAY = "ray"
    """Replicas that have room get the next task, over a Ray cluster of the replicas."""
    STATIC = "static"
    """Replica *i* of *n* does every *n*-th task."""
