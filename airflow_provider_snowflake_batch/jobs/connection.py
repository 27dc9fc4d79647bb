"""Which Snowflake session is asked for: the connection arguments of operators, sensors and triggers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """An Airflow connection, and what is to be used instead of its own values. Triggers with equal settings share a
    session.

    :param snowflake_conn_id: the Airflow connection, of the stock type ``snowflake``.
    :param warehouse: instead of the connection's.
    :param database: instead of the connection's.
    :param schema: instead of the connection's.
    :param role: instead of the connection's.
    """

    snowflake_conn_id: str = "snowflake_default"
    warehouse: str | None = None
    database: str | None = None
    schema: str | None = None
    role: str | None = None

    @classmethod
    def of(cls, holder: object) -> Self:
        """The settings that an operator or sensor holds as attributes, which Airflow has rendered."""
        return cls(**{name: getattr(holder, name) for name in CONNECTION_FIELDS})

    def arguments(self) -> dict[str, Any]:
        """The settings as keyword arguments. Triggers are stored with them, so their names stay as they are."""
        return asdict(self)


CONNECTION_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(ConnectionSettings))
