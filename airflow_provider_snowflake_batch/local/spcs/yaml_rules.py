"""Rules that YAML documents are checked against; every breach is Snowflake's error 395018 naming the place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from airflow_provider_snowflake_batch.local.errors import invalid_specification, not_supported

Rule = Callable[[Any, str], Any]


def load(text: str) -> Any:
    """:raises SnowflakeError: 395018 if the text is not YAML."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise invalid_specification(f"not valid YAML{where}: {getattr(exc, 'problem', None) or exc}.") from exc


def mapping(fields: Mapping[str, Rule], *, required: tuple[str, ...] = ()) -> Rule:
    """A mapping with these keys only."""

    def check(value: Any, place: str) -> dict[str, Any]:
        where = place or "specification"
        if not isinstance(value, dict):
            raise invalid_specification(f"'{where}' must be a mapping.")
        for key in value:
            if key not in fields:
                raise invalid_specification(f"unknown option '{key}' for '{where}'.")
        for key in required:
            if value.get(key) is None:
                raise invalid_specification(f"missing required option '{key}' for '{where}'.")
        dotted = f"{place}." if place else ""
        return {key: fields[key](item, f"{dotted}{key}") for key, item in value.items() if item is not None}

    return check


def free_mapping(rule: Rule) -> Rule:
    """A mapping whose keys the user chooses."""

    def check(value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid_specification(f"'{place}' must be a mapping.")
        return {str(key): rule(item, f"{place}.{key}") for key, item in value.items()}

    return check


def sequence(rule: Rule, *, at_least: int = 0, at_most: int | None = None) -> Rule:
    def check(value: Any, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise invalid_specification(f"'{place}' must be a list.")
        if len(value) < at_least:
            raise invalid_specification(f"'{place}' must have at least {at_least} item(s).")
        if at_most is not None and len(value) > at_most:
            raise invalid_specification(f"'{place}' has {len(value)} items, the limit is {at_most}.")
        return [rule(item, f"{place}[{index}]") for index, item in enumerate(value)]

    return check


def anything(value: Any, place: str) -> Any:
    return value


def text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise invalid_specification(f"invalid value {value!r} for '{place}', expected a string.")
    return value


def scalar(value: Any, place: str) -> str:
    """A string, or a number or boolean as YAML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise invalid_specification(f"invalid value {value!r} for '{place}', expected a string.")
    return str(value)


def matching(pattern: str, expectation: str) -> Rule:
    def check(value: Any, place: str) -> str:
        if not re.fullmatch(pattern, text(value, place)):
            raise invalid_specification(f"invalid value '{value}' for '{place}', expected {expectation}.")
        return str(value)

    return check


def boolean(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise invalid_specification(f"invalid value {value!r} for '{place}', expected true or false.")
    return value


def integer(minimum: int, maximum: int | None = None) -> Rule:
    def check(value: Any, place: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid_specification(f"invalid value {value!r} for '{place}', expected an integer.")
        if value < minimum or (maximum is not None and value > maximum):
            limits = f"at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
            raise invalid_specification(f"invalid value {value} for '{place}', expected {limits}.")
        return value

    return check


def choice(*allowed: str, ignore_case: bool = False) -> Rule:
    def check(value: Any, place: str) -> str:
        given = text(value, place)
        for item in allowed:
            if given == item or (ignore_case and given.upper() == item.upper()):
                return item
        raise invalid_specification(f"invalid value '{given}' for '{place}', expected one of {', '.join(allowed)}.")

    return check


def refused(what: str) -> Rule:
    """Something a real account understands and this server does not: said, not ignored."""

    def check(value: Any, place: str) -> Any:
        raise not_supported(f"{what} ('{place}' in a service specification)")

    return check


_UNITS = {"M": 10**6, "G": 10**9, "Mi": 2**20, "Gi": 2**30, "MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}


def cpu(value: Any, place: str) -> float:
    """vCPUs from ``1.5``, ``"2"`` or ``"500m"``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", str(value)) if not isinstance(value, bool) else None
    if match is None:
        raise invalid_specification(f"invalid value '{value}' for '{place}', expected a number of vCPUs.")
    return float(match[1]) / (1000 if match[2] else 1)


def memory(value: Any, place: str) -> float:
    """Bytes from a number with the unit M, Mi, G or Gi."""
    return _bytes(value, place, ("M", "Mi", "G", "Gi"))


def inference_memory(value: Any, place: str) -> float:
    """Bytes from a number with a unit as the inference specification allows them, for example ``8GiB``."""
    return _bytes(value, place, tuple(_UNITS))


def _bytes(value: Any, place: str, units: tuple[str, ...]) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", str(value))
    if match is None or match[2] not in units:
        expected = f"a number with a unit ({', '.join(units)})"
        raise invalid_specification(f"invalid value '{value}' for '{place}', expected {expected}.")
    return float(match[1]) * _UNITS[match[2]]


def gpu(value: Any, place: str) -> float:
    if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value)):
        raise invalid_specification(f"invalid value '{value}' for '{place}', expected a number of GPUs.")
    return float(value)
