"""What a check has found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Verdict(str, Enum):
    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "unknown"

    @property
    def sign(self) -> str:
        return {"ok": "✓", "wrong": "✗", "unknown": "?"}[self.value]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    :param check: what was looked at: ``compute pool``.
    :param text: what is so, or what is wrong.
    :param fix: what mends it, line by line: SQL that ends with a semicolon, or a shell command.
    """

    check: str
    verdict: Verdict
    text: str
    fix: tuple[str, ...] = ()


def ok(check: str, text: str) -> Finding:
    return Finding(check, Verdict.OK, text)


def wrong(check: str, text: str, *fix: str) -> Finding:
    return Finding(check, Verdict.WRONG, text, fix)


def unknown(check: str, text: str, *fix: str) -> Finding:
    """What could not be looked at, or what may or may not matter."""
    return Finding(check, Verdict.UNKNOWN, text, fix)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing is wrong; what is unknown may be."""
    return not any(finding.verdict is Verdict.WRONG for finding in findings)
