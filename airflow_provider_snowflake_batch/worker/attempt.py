"""Who is writing: an attempt at a batch, told apart from every other one that may be alive at the same time."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

TOKEN_BYTES = 4


@dataclass(frozen=True)
class Attempt:
    """One replica's attempt.

    :param fingerprint: of the batch: footers of its input, model and parameters.
    :param token: is in the name of every file that this attempt writes, so that no other one can replace it.
    :param found: hash of the manifest that was there when this attempt began and that its batch will replace; another
        manifest is that of an attempt which came first.
    :param job: name of the job that it is part of.
    """

    fingerprint: str
    token: str = field(default_factory=lambda: secrets.token_hex(TOKEN_BYTES))
    found: str | None = None
    job: str | None = None
