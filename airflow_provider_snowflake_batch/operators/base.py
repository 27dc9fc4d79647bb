"""What all operators and sensors of this provider share: which session they use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, cached_property
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.definitions.asset import AssetNameRef, AssetUriRef

from airflow_provider_snowflake_batch.exceptions import failing_for_good
from airflow_provider_snowflake_batch.jobs.connection import CONNECTION_FIELDS, ConnectionSettings
from airflow_provider_snowflake_batch.jobs.json_values import json_value
from airflow_provider_snowflake_batch.jobs.spec_fields import SCALARS, is_flat, plain_value

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook


class SnowflakeBatchOperator(BaseOperator):
    """Base of the operators and sensors.

    :param snowflake_conn_id: the Airflow connection, of the stock type ``snowflake``.
    :param warehouse: instead of the connection's.
    :param database: instead of the connection's.
    :param schema: instead of the connection's.
    :param role: instead of the connection's.
    """

    template_fields: Sequence[str] = CONNECTION_FIELDS
    ui_color = "#29b5e8"
    ui_fgcolor = "#ffffff"
    snowflake_conn_id: str
    warehouse: str | None
    database: str | None
    schema: str | None
    role: str | None

    def __init__(
        self,
        *,
        snowflake_conn_id: str = "snowflake_default",
        warehouse: str | None = None,
        database: str | None = None,
        schema: str | None = None,
        role: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(
            snowflake_conn_id=snowflake_conn_id, warehouse=warehouse, database=database, schema=schema, role=role
        )

    def _keep(self, **arguments: Any) -> None:
        """Have arguments as attributes of their names.

        Airflow looks for a converter of each attribute that is assigned to, and for more that may follow: a fifth of
        the time that making an operator takes, and nothing to be found for what is this package's own.
        """
        if _are_plain_attributes(type(self), tuple(arguments)):
            self.__dict__.update(arguments)
            return
        for name, value in arguments.items():
            setattr(self, name, value)

    def _checking(self) -> AbstractContextManager[None]:
        """The block in which an operator checks its arguments when it is made; templated fields become plain values.

        An operator is made when the Dag is parsed, but that of a mapped task when the task runs. There a wrong value
        fails the task without a retry, since no retry changes it.
        """
        checking = failing_for_good if getattr(self, "_BaseOperator__from_mapped", False) else nullcontext
        with checking():
            for name in self.template_fields:
                given = getattr(self, name, None)
                if type(given) not in SCALARS and (plain := plain_value(given, name)) is not given:
                    setattr(self, name, plain)
        return checking()

    def _set_xcomargs_dependencies(self) -> None:
        # Airflow looks into every templated field for what another task returns. Texts, numbers and flat dicts, which
        # most tasks have alone, hold none.
        if not all(type(one) in SCALARS or is_flat(one) for one in self._templated()):
            super()._set_xcomargs_dependencies()

    def _templated(self) -> Iterator[Any]:
        return (getattr(self, name, None) for name in self.template_fields)

    @property
    def connection(self) -> ConnectionSettings:
        """The connection arguments, as Airflow has rendered them."""
        return ConnectionSettings.of(self)

    @cached_property
    def hook(self) -> SnowflakeBatchHook:
        """The hook, made when the task runs: it loads the driver."""
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        return SnowflakeBatchHook(**self.connection.arguments())


@cache
def _are_plain_attributes(operator: type[BaseOperator], names: tuple[str, ...]) -> bool:
    """Whether assigning to such an attribute of a new operator does no more than to keep the value.

    A class that is derived from ours may have properties of these names, or converters.
    """
    if operator.__setattr__ is not BaseOperator.__setattr__:
        return False
    return not any(
        hasattr(operator, f"_convert_{name}") or hasattr(getattr_static(operator, name, None), "__set__")
        for name in names
    )


def describe_outlets(operator: BaseOperator, context: Context, extra: Mapping[str, Any]) -> None:
    """Put what a task has made into the events of its outlets. Airflow creates them when the task succeeds.

    :param extra: plain values; what a Dag's author has put there stays.
    """
    events = context.get("outlet_events")
    if events is None:
        return
    for outlet in operator.outlets:
        # An alias is no asset.
        if isinstance(outlet, (Asset, AssetNameRef, AssetUriRef)):
            event = events[outlet]
            event.extra = {**json_value(extra), **event.extra}
