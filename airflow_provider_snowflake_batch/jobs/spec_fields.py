"""What the blocks of a job's description are made of: reading from a dict, writing to one, and checks of fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from functools import cache
from typing import Any, ClassVar, Self, TypeVar

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError

_E = TypeVar("_E", bound=Enum)

# Values of exactly these types are plain. A member of an enum may be a text as well, but its type is the enum.
SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None)})


def is_template(value: Any) -> bool:
    """Whether a text still holds a Jinja expression, so that it can be checked only after rendering."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def is_flat(value: Any) -> bool:
    """Whether this is a dict with nothing but plain texts, numbers, truth values and None in it, as most blocks are."""
    return type(value) is dict and SCALARS.issuperset(map(type, (*value, *value.values())))


def plain_value(value: Any, field: str = "arguments") -> Any:
    """A value as JSON and templates know it: an enum's member is its value, wherever it stands, also as a key.

    Airflow renders a member that is a text as ``SaveMode.OVERWRITE``. A specification, ours or one of
    snowflake-ml-python's (pydantic models), becomes a dict of its fields, and a number of NumPy's, which that package
    takes as well, one of Python's. What holds none of these is returned itself, the same object: Airflow tells by that
    which values another task has returned, and renders no template in those.

    :param field: where the value stands, for errors.
    :raises InvalidJobError: two keys of a dict would become one; a key or a member of a set would be a list or a dict;
        a value holds itself.
    """
    if type(value) in SCALARS or is_flat(value):
        return value
    try:
        return _plain(value)
    except RecursionError:
        raise InvalidJobError(field, "a value holds itself, or is nested too deeply.") from None
    except _NoPlainValue as error:
        raise InvalidJobError(field, str(error)) from None


class _NoPlainValue(Exception):
    """Says in words why there is none."""


def _plain(value: Any) -> Any:
    if type(value) in SCALARS or is_flat(value):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Spec):
        return value.to_dict()
    if callable(getattr(type(value), "model_dump", None)):
        return _plain(value.model_dump(exclude_unset=True))
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        given = list(value)
        members = [_plain(item) for item in given]
        if all(ours is theirs for ours, theirs in zip(members, given, strict=True)):
            return value
        if isinstance(value, (list, tuple)):
            return members if isinstance(value, list) else tuple(members)
        for item, plain in zip(given, members, strict=True):
            _hold_hashable(plain, item, "a member of a set")
        return set(members)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 and value.dtype.kind in "biufU":
        # Not a time: one of nanoseconds would be a whole number.
        return value.item()
    return value


def _plain_mapping(value: Mapping[Any, Any]) -> dict[Any, Any]:
    items = [(_plain(key), _plain(item)) for key, item in value.items()]
    unchanged = all(key is k and item is i for (key, item), (k, i) in zip(items, value.items(), strict=True))
    if unchanged and type(value) is dict:
        return value
    plain: dict[Any, Any] = {}
    for given, (key, item) in zip(value, items, strict=True):
        _hold_hashable(key, given, "a key")
        if key in plain:
            raise _NoPlainValue(f"two keys of a dict would be {key!r}: a member of an enum is its value.")
        plain[key] = item
    return plain


def _hold_hashable(plain: Any, given: Any, what: str) -> None:
    try:
        hash(plain)
    except TypeError:
        raise _NoPlainValue(f"{given!r} is {plain!r}, a {type(plain).__name__}, which cannot be {what}.") from None


def check_json(field: str, value: Any) -> None:
    """Hold that a value comes out of JSON as it went in; a tuple counts as a list, an enum's member as its value.

    :raises InvalidJobError: if it does not.
    """
    plain = plain_value(value, field)
    try:
        json.dumps(_json_value(plain), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJobError(field, f"every value must be JSON: {error}.") from None
    _check_keys(field, plain)


def _check_keys(field: str, value: Any) -> None:
    """JSON's keys are texts. Python's JSON writes a number as a text there without a word, so it is refused."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidJobError(field, f"the key {key!r} is no text, which it would become in JSON: write it so.")
            _check_keys(field, item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_keys(field, item)


class Spec:
    """Base of the blocks: reading from a dict, writing to one."""

    label: ClassVar[str]

    @classmethod
    def of(cls, value: Self | Mapping[str, Any] | None) -> Self:
        """The block from itself, from a dict of its fields, or from None (all defaults).

        :raises InvalidJobError: on an unknown or missing field, or a value of the wrong kind.
        """
        if isinstance(value, cls):
            return value
        given: Mapping[str, Any] = plain_value(value, cls.label) if value is not None else {}
        if not isinstance(given, Mapping) or isinstance(value, Spec):
            raise InvalidJobError(
                cls.label, f"expected {cls.__name__}(…) or a dict of its fields, got {type(value).__name__}."
            )
        known = _defaults(cls)  # type: ignore[arg-type]
        for name in given:
            if name not in known:
                raise InvalidJobError(cls.label, f"unknown field {name!r}; the fields are {', '.join(known)}.")
        try:
            return cls(**given)
        except TypeError as error:
            missing = re.findall(r"'(\w+)'", str(error))
            raise InvalidJobError(cls.label, f"the field {' and '.join(missing)} is missing.") from None

    def to_dict(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as plain JSON values."""
        return {name: _json_value(getattr(self, name)) for name in self.given_fields()}

    def given_fields(self) -> list[str]:
        """The fields that differ from their defaults."""
        given: list[str] = []
        for name, default in _defaults(type(self)).items():  # type: ignore[arg-type]
            value = getattr(self, name)
            if value is not None and value is not default and value != default:
                given.append(name)
        return given


@cache
def _defaults(cls: type[Spec]) -> dict[str, Any]:
    """The fields of a block, and what each is if it is not given."""
    return {item.name: item.default for item in fields(cls)}  # type: ignore[arg-type]


def _json_value(value: Any) -> Any:
    """A new value that shares nothing with the given one; lists for tuples."""
    value = plain_value(value)
    if isinstance(value, Mapping):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    return value


def rebuild(cls: type[Spec], given: dict[str, Any]) -> Spec:
    return cls.of(given)


def set_field(spec: Spec, name: str, value: Any) -> None:
    object.__setattr__(spec, name, value)


def member(label: str, value: Any, kind: type[_E]) -> _E | str:
    if isinstance(value, kind):
        return value
    if is_template(value):
        return str(value)
    # A member may also be one of snowflake-ml-python's own enums, or what a template makes of it: `Class.NAME`.
    text = str(plain_value(value, label))
    wanted = text.removeprefix(f"{kind.__name__}.").lower()
    for member in kind:
        if wanted == member.value:
            return member
    raise InvalidJobError(label, f"{text!r} is not one of {', '.join(member.name for member in kind)}.")


def enum_field(spec: Spec, name: str, kind: type[Enum]) -> None:
    set_field(spec, name, member(f"{spec.label}.{name}", getattr(spec, name), kind))


def text_field(spec: Spec, name: str) -> str | None:
    value = getattr(spec, name)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise InvalidJobError(f"{spec.label}.{name}", f"expected a text, got {value!r}.")
    return value


def quantity_field(spec: Spec, name: str, pattern: re.Pattern[str], wanted: str) -> None:
    value = getattr(spec, name)
    if value is None or is_template(value):
        return
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not pattern.fullmatch(text.strip()) or not re.search("[1-9]", text):
        raise InvalidJobError(f"{spec.label}.{name}", f"expected {wanted}, got {value!r}.")
    set_field(spec, name, text.strip())


def positive_integer_field(spec: Spec, name: str) -> None:
    value = getattr(spec, name)
    if value is None or is_template(value):
        return
    if isinstance(value, str) and re.fullmatch(r"\d+", value.strip()):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidJobError(f"{spec.label}.{name}", f"expected an integer of 1 or more, got {value!r}.")
    set_field(spec, name, value)


def boolean(label: str, value: Any) -> bool:
    if str(value).strip().lower() in ("true", "false"):
        return str(value).strip().lower() == "true"
    raise InvalidJobError(label, f"expected True or False, got {value!r}.")
