"""Run batch inference on Snowflake as one task."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf

from airflow_provider_snowflake_batch.exceptions import (
    JobInputError,
    JobLostError,
    SnowflakeBatchError,
    failing_for_good,
)
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.job import JOB_NAME_PREFIX, InferenceJob, generate_job_name
from airflow_provider_snowflake_batch.jobs.sources import parse_source, plain_source
from airflow_provider_snowflake_batch.jobs.specs import (
    InferenceEngineOptions,
    InputSpec,
    JobSpec,
    OutputSpec,
    Spec,
    is_template,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.hooks.results import JobResult
    from airflow_provider_snowflake_batch.jobs.sources import Source
    from airflow_provider_snowflake_batch.jobs.status import JobInfo

JOB_CARD_KEY = "snowflake_batch_job"


class RunBatchOperator(BaseOperator):
    """Score rows with a model of the Snowflake Model Registry, as a batch inference job.

    The task checks what can be checked, submits one ``EXECUTE INFERENCE JOB SERVICE`` statement, waits for the job
    (without a worker slot if ``deferrable``), and succeeds only when the output directory holds ``_SUCCESS``. When the
    job fails, the task fails with the model's own error. When the task is killed, the job is cancelled.

    .. code-block:: python

        RunBatchOperator(
            task_id="score",
            model_name="my_db.my_schema.digits",
            version_name="v1",
            X="SELECT * FROM my_db.my_schema.images WHERE day = '{{ ds }}'",
            compute_pool="my_pool",
            output_spec=OutputSpec(stage_location="@my_db.my_schema.results/digits/"),
            job_spec=JobSpec(replicas=2, max_batch_rows=2048),
            deferrable=True,
        )

    The result (XCom ``return_value``) is a small dict: ``job_name``, ``status``, ``output_location``, ``rows``,
    ``files``, ``seconds``, ``attempt``, ``warnings``. Results lie under ``<stage_location>/<job name>/``.

    :param model_name: the model, ``[database.][schema.]model``.
    :param version_name: its version or alias; default: the model's default version.
    :param function_name: the model's method, in the model's own spelling; needed if it has several.
    :param X: the input rows: a query, a table's name, a stage location of Parquet files (``@…``), one of
        ``Query``, ``Table``, ``StageParquet``, or a dict with one of ``query``, ``table``, ``stage_location``.
    :param compute_pool: where the job runs.
    :param input_spec: parameters and column handling; an ``InputSpec`` or a dict of its fields.
    :param output_spec: output location and save mode; an ``OutputSpec`` or a dict of its fields.
    :param job_spec: name, size and run-time settings; a ``JobSpec`` or a dict of its fields.
    :param inference_engine_options: engine and its arguments, for example ``{"engine": InferenceEngine.VLLM}``.
    :param wait_for_completion: False ends the task once Snowflake has accepted the job.
    :param deferrable: wait in the triggerer instead of a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: most seconds between two looks at the job; the first ones come faster.
    :param cancel_on_kill: cancel the job when the task is killed.
    :param snowflake_conn_id: the Airflow connection, of the stock type ``snowflake``.
    :param warehouse: instead of the connection's; it compiles the input query and serves nothing else.
    :param database: instead of the connection's.
    :param schema: instead of the connection's.
    :param role: instead of the connection's.
    :raises InvalidJobError: when the Dag is parsed, if a value that is not templated is malformed.

    .. seealso::
        https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs
    """

    template_fields: Sequence[str] = (
        "model_name",
        "version_name",
        "function_name",
        "X",
        "compute_pool",
        "input_spec",
        "output_spec",
        "job_spec",
        "inference_engine_options",
        "snowflake_conn_id",
        "warehouse",
        "database",
        "schema",
        "role",
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "X": "sql",
        "input_spec": "json",
        "output_spec": "json",
        "job_spec": "json",
        "inference_engine_options": "json",
    }
    ui_color = "#29b5e8"
    ui_fgcolor = "#ffffff"

    def __init__(
        self,
        *,
        model_name: str,
        X: str | Source | Mapping[str, Any],
        compute_pool: str,
        output_spec: OutputSpec | Mapping[str, Any],
        version_name: str | None = None,
        function_name: str | None = None,
        input_spec: InputSpec | Mapping[str, Any] | None = None,
        job_spec: JobSpec | Mapping[str, Any] | None = None,
        inference_engine_options: InferenceEngineOptions | Mapping[str, Any] | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 10,
        cancel_on_kill: bool = True,
        snowflake_conn_id: str = "snowflake_default",
        warehouse: str | None = None,
        database: str | None = None,
        schema: str | None = None,
        role: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.version_name = version_name
        self.function_name = function_name
        self.X = plain_source(X)
        self.compute_pool = compute_pool
        # Plain dicts: Airflow renders the templates inside them and shows them on the task's page.
        self.input_spec = _plain(input_spec)
        self.output_spec = _plain(output_spec)
        self.job_spec = _plain(job_spec)
        self.inference_engine_options = _plain(inference_engine_options)
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.cancel_on_kill = cancel_on_kill
        self.snowflake_conn_id = snowflake_conn_id
        self.warehouse = warehouse
        self.database = database
        self.schema = schema
        self.role = role
        self._submitted: tuple[str, str | None] | None = None
        self._check_untemplated()

    @cached_property
    def hook(self) -> SnowflakeBatchHook:
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        return SnowflakeBatchHook(
            self.snowflake_conn_id,
            warehouse=self.warehouse or JobSpec.of(self.job_spec).warehouse,
            database=self.database,
            schema=self.schema,
            role=self.role,
        )

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow_provider_snowflake_batch.hooks.preflight import check_inference_job
        from airflow_provider_snowflake_batch.hooks.results import JobResult

        with failing_for_good():
            job = self._parse_job(context)
        with self.hook as hook:
            with failing_for_good():
                job = job.qualify(*hook.namespace)
            check_inference_job(hook, job)
            submitted_at = time.time()
            # Known before it is sent: a kill that comes in between must find it.
            self._submitted = (str(job.name), None)
            query_id = hook.submit(job)
            self._submitted = (str(job.name), query_id)
            result = JobResult(
                job_name=str(job.name),
                status="SUBMITTED",
                output_location=str(job.output_directory),
                attempt=context["ti"].try_number,
            )
            self.log.info("Job %s writes to %s", result.job_name, result.output_location)
            context["ti"].xcom_push(key=JOB_CARD_KEY, value={**result.to_dict(), "submitted_at": submitted_at})
            if not self.wait_for_completion:
                return self._accepted(hook, job, query_id, result)
            if self.deferrable:
                info = hook.poll(job.name, query_id)
                if info is None or not info.status.is_terminal:
                    self._defer(result, query_id, submitted_at)
            else:
                info = hook.wait(
                    job.name,
                    query_id=query_id,
                    poll_interval=self.poll_interval,
                    on_change=lambda seen: self.log.info("Job %s is %s", seen.name, seen.reported_status),
                )
            return self._finish(hook, info, result, submitted_at)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Continue after the trigger has seen the job end."""
        from airflow_provider_snowflake_batch.hooks.results import JobResult

        match event["status"]:
            case "refused":
                raise JobInputError(event["message"])
            case "lost":
                raise JobLostError(event["message"])
            case "error":
                raise SnowflakeBatchError(
                    f"Snowflake could not be asked about job {event['job_name']}: {event['message']}. "
                    "The job itself was left alone and may still run."
                )
        with self.hook as hook:
            result = JobResult(
                job_name=event["job_name"],
                status=event["status"],
                output_location=event["output_location"],
                attempt=context["ti"].try_number,
            )
            return self._finish(hook, hook.status(result.job_name), result, event["submitted_at"])

    def on_kill(self) -> None:
        """Cancel the job, unless ``cancel_on_kill`` is off. Its logs and its history stay in Snowflake."""
        if self._submitted is None or not self.cancel_on_kill:
            return
        job_name, query_id = self._submitted
        self.log.info("The task was killed: cancelling job %s", job_name)
        with self.hook.twin() as hook:
            hook.kill(job_name, query_id)

    def _parse_job(self, context: Context) -> InferenceJob:
        """The job that the rendered fields describe, under a name that is new for each try."""
        settings = JobSpec.of(self.job_spec)
        ti = context["ti"]
        prefix = settings.job_name_prefix or JOB_NAME_PREFIX
        return InferenceJob.parse(
            name=settings.job_name or generate_job_name(ti.dag_id, ti.task_id, prefix=prefix),
            **{name: getattr(self, name) for name in _JOB_FIELDS},
        )

    def _accepted(
        self, hook: SnowflakeBatchHook, job: InferenceJob, query_id: str, result: JobResult
    ) -> dict[str, Any]:
        info = hook.poll(job.name, query_id)
        while info is None:
            self.log.info("Snowflake is still preparing job %s (it builds the image the first time)", job.name)
            time.sleep(self.poll_interval)
            info = hook.poll(job.name, query_id)
        result.status = info.reported_status
        self.log.info("Job %s is %s; not waiting for it.", info.name, info.reported_status)
        return result.to_dict()

    def _defer(self, result: JobResult, query_id: str, submitted_at: float) -> NoReturn:
        from airflow_provider_snowflake_batch.triggers.batch_inference import BatchJobTrigger

        self.defer(
            trigger=BatchJobTrigger(
                job_name=result.job_name,
                query_id=query_id,
                output_location=result.output_location,
                submitted_at=submitted_at,
                cancel_on_kill=self.cancel_on_kill,
                poll_interval=self.poll_interval,
                snowflake_conn_id=self.snowflake_conn_id,
                warehouse=self.warehouse,
                database=self.database,
                schema=self.schema,
                role=self.role,
            ),
            method_name="execute_complete",
        )

    def _finish(
        self, hook: SnowflakeBatchHook, info: JobInfo, result: JobResult, submitted_at: float
    ) -> dict[str, Any]:
        from airflow_provider_snowflake_batch.hooks.results import collect_result, failure_of, read_last_words, tail

        result.status = info.reported_status
        result.seconds = round(time.time() - submitted_at, 3)
        containers, logs = read_last_words(hook, info.name)
        for label, text in logs.items():
            self.log.info("End of the log of %s:\n%s", label, tail(text))
        if not info.status.is_successful:
            raise failure_of(info, containers, logs)
        collect_result(hook, result, StagePath.parse(result.output_location, field="output_location"))
        rows = "" if result.rows is None else f"{result.rows} rows in "
        self.log.info(
            "Job %s is done: %s%s file(s), %.1f s, %s",
            info.name,
            rows,
            result.files,
            result.seconds,
            result.output_location,
        )
        for warning in result.warnings:
            self.log.warning(warning)
        return result.to_dict()

    def _check_untemplated(self) -> None:
        """Refuse at parse time what rendering cannot mend."""
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if value is not None and _is_plain(value) and not is_template(value):
                check(value)
        if isinstance(self.X, str) and self.X.endswith(tuple(self.template_ext)):
            return
        if _is_plain(self.X) and not _has_template(self.X):
            parse_source(self.X)


_JOB_FIELDS = (
    "model_name",
    "version_name",
    "function_name",
    "X",
    "compute_pool",
    "input_spec",
    "output_spec",
    "job_spec",
    "inference_engine_options",
)
_CHECKS: dict[str, Callable[[Any], object]] = {
    "model_name": lambda value: QualifiedName.parse(value, field="model_name"),
    "version_name": lambda value: Identifier.parse(value, field="version_name"),
    "compute_pool": lambda value: Identifier.parse(value, field="compute_pool"),
    "input_spec": InputSpec.of,
    "output_spec": OutputSpec.of,
    "job_spec": JobSpec.of,
    "inference_engine_options": InferenceEngineOptions.of,
}


def _plain(spec: Any) -> Any:
    return spec.to_dict() if isinstance(spec, Spec) else spec


def _is_plain(value: Any) -> bool:
    """Whether this is a value, rather than something like another task's output that becomes one later."""
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (str, int, float, bool, Enum))


def _has_template(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_template(item) for item in value.values())
    return is_template(value)
