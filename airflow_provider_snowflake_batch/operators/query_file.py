"""``X`` as the name of a file with a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.operators.base import SnowflakeBatchOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from jinja2 import Environment


class QueryFileOperator(SnowflakeBatchOperator):
    """Base of an operator with an argument ``X`` that may name a file with a query, found by its ending.

    Airflow reads a file for every templated text that ends like a file's name. Here only ``X`` itself names one: the
    name of a model or a stage path may end so, too.
    """

    X: Any
    template_ext: Sequence[str] = (".sql",)

    def resolve_template_files(self) -> None:
        self.template_fields = ("X",) if isinstance(self.X, str) else ()
        try:
            super().resolve_template_files()
        finally:
            del self.template_fields

    def render_template(
        self, content: Any, context: Context, jinja_env: Environment | None = None, seen_oids: set[int] | None = None
    ) -> Any:
        if isinstance(content, str) and content is not self.X and content.endswith(tuple(self.template_ext)):
            # An empty comment of Jinja, which renders as nothing: Airflow must not take this text for a file's name.
            content += "{##}"
        return super().render_template(content, context, jinja_env, seen_oids)
