"""Load a job's results into a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.exceptions import failing_for_good
from airflow_provider_snowflake_batch.jobs.connection import CONNECTION_FIELDS
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.spec_fields import is_template
from airflow_provider_snowflake_batch.links.snowsight import OutputStageLink, SnowsightTableLink, store_links
from airflow_provider_snowflake_batch.operators.base import SnowflakeBatchOperator, describe_outlets
from airflow_provider_snowflake_batch.operators.metrics import count_loaded
from airflow_provider_snowflake_batch.operators.spans import add_load_span

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, XComArg

    from airflow_provider_snowflake_batch.hooks.loading import LoadResult

_MODES = ("append", "overwrite")


class LoadBatchResultsOperator(SnowflakeBatchOperator):
    """Copy the Parquet files of a finished batch inference job into a table, all or nothing.

    Only an output directory with ``_SUCCESS`` is read. A table that does not exist is created. If the directory has a
    manifest, as the worker of this package writes it, as many rows must arrive as it says, or nothing changes. The
    result (XCom ``return_value``) is a dict with ``table``, ``rows`` and ``files``; each key is an XCom of its own as
    well.

    .. code-block:: python

        LoadBatchResultsOperator(
            task_id="load",
            stage_location="{{ ti.xcom_pull('score')['output_location'] }}",
            table="my_db.my_schema.scores",
            mode="append",
        )

    :param stage_location: the job's output directory, ``@database.schema.stage/…/<job name>/``.
    :param table: the table, ``[database.][schema.]table``.
    :param mode: ``append`` adds the rows, once however often the task runs; ``overwrite`` replaces all rows of the
        table, in one transaction.
    :raises InvalidJobError: when the Dag is parsed, if a value that is not templated is malformed.

    .. seealso::
        https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
    """

    template_fields: Sequence[str] = ("stage_location", "table", "mode", *CONNECTION_FIELDS)
    operator_extra_links = (OutputStageLink(), SnowsightTableLink())

    stage_location: str
    table: str
    mode: str

    def __init__(
        self, *, stage_location: str | XComArg, table: str | XComArg, mode: str | XComArg = "append", **kwargs: Any
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self._keep(stage_location=stage_location, table=table, mode=mode)
        self._loaded: LoadResult | None = None
        with self._checking():
            if isinstance(self.stage_location, str) and not is_template(self.stage_location):
                StagePath.parse(self.stage_location, field="stage_location")
            if isinstance(self.table, str) and not is_template(self.table):
                QualifiedName.parse(self.table, field="table")
            if isinstance(self.mode, str) and not is_template(self.mode):
                _check_mode(self.mode)

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_snowflake_batch.hooks.loading import LoadMode, load_results

        with self.hook as hook, failing_for_good():
            _check_mode(self.mode)
            directory = hook.qualify_location(self.stage_location).directory()
            table = hook.qualify_name(self.table, field="table", allow_quoted=True)
            store_links(context, hook, location=directory, table=table)
            told = {"stage_location": str(directory), "table": str(table), "mode": self.mode}
            begun = time.time()
            try:
                self._loaded = result = load_results(hook, directory, table, LoadMode(self.mode))
            # Also a task's timeout, which is no Exception.
            except BaseException as error:
                add_load_span(begun, told, failure=error)
                raise
        add_load_span(begun, told, result)
        count_loaded(context, result.rows, max(time.time() - begun, 0.0))
        if result.files:
            self.log.info("Loaded %d rows of %d file(s) into %s", result.rows, result.files, result.table)
        else:
            self.log.info(
                "Nothing to load into %s: it has every Parquet file under %s already, or there is none",
                result.table, self.stage_location,
            )  # fmt: skip
        describe_outlets(self, context, {**result.to_dict(), "output_location": str(directory)})
        return result.to_dict()

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """What is read and written. OpenLineage's listener calls this, and the other one, if it is installed."""
        from airflow_provider_snowflake_batch.lineage.tasks import load

        return load(self.hook, self.stage_location, self.table, self._loaded)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        return self.get_openlineage_facets_on_start()


def _check_mode(mode: str) -> None:
    if mode not in _MODES:
        raise InvalidJobError("mode", f"{mode!r} is not one of {', '.join(_MODES)}.")
