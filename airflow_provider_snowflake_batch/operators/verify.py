"""Verify a job's results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.exceptions import failing_for_good
from airflow_provider_snowflake_batch.jobs.connection import CONNECTION_FIELDS
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.spec_fields import is_template
from airflow_provider_snowflake_batch.links.snowsight import OutputStageLink, store_links
from airflow_provider_snowflake_batch.operators.base import SnowflakeBatchOperator, describe_outlets

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class VerifyBatchResultsOperator(SnowflakeBatchOperator):
    """Fail unless a finished job's results are all there, and as many rows as they should be.

    With a manifest, as the worker of this package writes it, the directory's list is compared with it: files that are
    missing, of another size or too many. Nothing but the manifest is downloaded. Without one, as after a job of a
    registered model on an account, a warehouse counts the rows of all files, which reads them. The result (XCom
    ``return_value``) is a dict with ``output_location``, ``rows``, ``quarantined_rows``, ``files``, ``bytes``,
    ``has_manifest`` and ``contents``; each key is an XCom of its own as well.

    .. code-block:: python

        VerifyBatchResultsOperator(
            task_id="verify",
            stage_location=score.output["output_location"],
            min_rows=1_000,
        )

    :param stage_location: the job's output directory, ``@database.schema.stage/…/<job name>/``.
    :param contents: also fetch every file, one after the other, into temporary space: its checksum, its rows and the
        names of its columns are compared with the manifest, or, without one, its footer is read.
    :param expected_rows: how many rows there must be; rows put aside as bad are not among them. None, also by a
        template or another task's output, for any number.
    :param min_rows: how many rows there must be at least.
    :param require_manifest: fail if there is no manifest.
    :raises InvalidJobError: when the Dag is parsed, if a value that is not templated is malformed.
    :raises ResultsError: when the task runs, with everything that is wrong.
    """

    template_fields: Sequence[str] = ("stage_location", "expected_rows", "min_rows", *CONNECTION_FIELDS)
    operator_extra_links = (OutputStageLink(),)
    stage_location: str
    contents: bool
    expected_rows: int | str | None
    min_rows: int | str | None
    require_manifest: bool

    def __init__(
        self,
        *,
        stage_location: str | XComArg,
        contents: bool = False,
        expected_rows: int | str | XComArg | None = None,
        min_rows: int | str | XComArg | None = None,
        require_manifest: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self._keep(
            stage_location=stage_location,
            contents=contents,
            expected_rows=expected_rows,
            min_rows=min_rows,
            require_manifest=require_manifest,
        )
        with self._checking():
            if isinstance(self.stage_location, str) and not is_template(self.stage_location):
                StagePath.parse(self.stage_location, field="stage_location")
            for name in ("expected_rows", "min_rows"):
                given = getattr(self, name)
                if isinstance(given, (int, float)) or (isinstance(given, str) and not is_template(given)):
                    _rows(name, given)

    def execute(self, context: Context) -> dict[str, Any]:
        with self.hook as hook, failing_for_good():
            directory = hook.qualify_location(self.stage_location).directory()
            store_links(context, hook, location=directory)
            found = hook.verify_results(
                directory,
                contents=self.contents,
                expected_rows=_rows("expected_rows", self.expected_rows),
                min_rows=_rows("min_rows", self.min_rows),
                require_manifest=self.require_manifest,
            )
        self.log.info("%d rows in %d file(s) of %s are as they should be", found.rows, found.files, directory)
        describe_outlets(self, context, found.to_dict())
        return found.to_dict()


def _rows(field: str, given: Any) -> int | None:
    """A number of rows. A template gives it as text, and gives ``None`` for no number.

    :raises InvalidJobError: if it is none.
    """
    if given is None or given in ("", "None"):
        return None
    text = str(given).strip()
    if isinstance(given, bool) or not (text.isascii() and text.isdigit()):
        raise InvalidJobError(field, f"{given!r} is no number of rows.")
    return int(text)
