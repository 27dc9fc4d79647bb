"""Run batch inference on Snowflake as one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk.configuration import conf

from airflow_provider_snowflake_batch.exceptions import failing_for_good
from airflow_provider_snowflake_batch.jobs.connection import CONNECTION_FIELDS, ConnectionSettings
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.job import JOB_NAME_PREFIX, generate_job_name
from airflow_provider_snowflake_batch.jobs.kinds import parse_job
from airflow_provider_snowflake_batch.jobs.sources import plain_source
from airflow_provider_snowflake_batch.jobs.spec_fields import plain_value
from airflow_provider_snowflake_batch.jobs.specs import InferenceEngineOptions, InputSpec, JobSpec, OutputSpec
from airflow_provider_snowflake_batch.links.job_card import JobCardLink
from airflow_provider_snowflake_batch.links.snowsight import OutputStageLink, SnowsightJobLink
from airflow_provider_snowflake_batch.operators.arguments import check_arguments, check_waiting
from airflow_provider_snowflake_batch.operators.query_file import QueryFileOperator

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context, XComArg

    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.jobs.models import ModelSpec
    from airflow_provider_snowflake_batch.jobs.sources import Source
    from airflow_provider_snowflake_batch.operators.job_run import JobRun


# What is given of these is never to become None, as where another task has returned nothing.
_NEVER_NONE = ("model", "model_name", "version_name", "function_name", "X", "compute_pool")
# The arguments that describe the job; each may hold templates.
_JOB_FIELDS = (
    *_NEVER_NONE,
    "input_spec",
    "output_spec",
    "job_spec",
    "inference_engine_options",
)


class RunBatchOperator(QueryFileOperator):
    """Score rows with a model of the Snowflake Model Registry, or with a Python class of your own, as a batch job.

    The task checks what can be checked, submits one ``EXECUTE INFERENCE JOB SERVICE`` statement (with ``model``:
    ``EXECUTE JOB SERVICE``, see docs/worker-runtime.md), waits for the job (without a worker slot if ``deferrable``),
    and succeeds only when the output directory holds ``_SUCCESS``. When the job fails, the task fails with the model's
    own error. When the task is killed, the job is cancelled.

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

        RunBatchOperator(
            task_id="score_with_a_class",
            model=PythonModel("my_models.churn:Churn", code="my_models", init={"threshold": 0.5}),
            X="SELECT * FROM my_db.my_schema.customers",
            compute_pool="my_pool",
            output_spec=OutputSpec(stage_location="@my_db.my_schema.results/churn/"),
            job_spec=JobSpec(replicas=4, on_error="quarantine"),
        )

    The result (XCom ``return_value``) is a small dict: ``job_name``, ``status``, ``output_location``, ``rows``,
    ``files``, ``seconds``, ``attempt``, ``warnings``, ``model``, ``version``. Each key is an XCom of its own as well,
    for ``score.output["output_location"]``. Results lie under ``<stage_location>/<job name>/``.

    A member of an enum, ours or one of snowflake-ml-python's, may stand wherever its value may.

    :param model_name: the model in the registry, ``[database.][schema.]model``. Exactly one of this and ``model``.
    :param version_name: its version or alias; default: the model's default version.
    :param function_name: the model's method, in the model's own spelling; needed if it has several.
    :param model: a model that this package's worker runs: a ``PythonModel``, another class of ``jobs.models``, or a
        dict of its fields. ``version_name``, ``function_name`` and ``inference_engine_options`` are for ``model_name``
        only.
    :param X: the input rows: a query, a table's name, a stage location of Parquet files (``@…``), a list of full stage
        paths (``@db.schema.stage/dir/file``), a dict as below, or another task's output that is one of these, such as
        the result of another ``RunBatchOperator``, whose rows are then the input.

        ===================================================== ==========================================================
        ``{"query": …}``, ``{"table": …}``                    the same, without guessing
        ``{"stage_location": …}``                             Parquet files; with ``pattern``, ``select`` (a list of
                                                              columns, or a dict from column to new name), ``filter`` (a
                                                              condition on the files' columns) and ``file_format``
        ``{"paths": […]}``                                    a row for each file, its path in ``column_name`` (default
                                                              FILE_PATH)
        ``{"list_stage_files": …}``                           the same for all files under a stage location, with
                                                              ``pattern`` and ``column_name``
        ===================================================== ==========================================================

        The classes of :mod:`~airflow_provider_snowflake_batch.jobs.sources` say the same.
    :param compute_pool: where the job runs.
    :param input_spec: parameters and column handling; an ``InputSpec`` or a dict of its fields.
    :param output_spec: output location and save mode; an ``OutputSpec`` or a dict of its fields.
    :param job_spec: name, size and run-time settings; a ``JobSpec`` or a dict of its fields.
    :param inference_engine_options: engine and its arguments, for example ``{"engine": InferenceEngine.VLLM}``.
    :param wait_for_completion: False ends the task once Snowflake has accepted the job.
    :param deferrable: wait in the triggerer instead of a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: most seconds between two looks at the job; the first ones come faster.
    :param timeout: seconds from submission by which the job must have ended; it is cancelled then. Airflow's
        ``execution_timeout`` holds as well, also while the task is deferred. Default: none.
    :param pending_timeout: seconds for which the job may be PENDING. They do not count while Snowflake still builds the
        image that the job needs. Snowflake sets no limit of its own, not even when an image cannot be pulled. Default:
        none.
    :param stream_logs: write what the job's containers write into the task's log while the job runs. It costs one
        statement for each container every few seconds.
    :param durable: remember the job across tries, so that a retry after a crash goes on with it instead of starting a
        second one. Before Airflow 3.3 the job is found again by its name, unless ``job_name`` fixes that.
    :param cancel_on_kill: cancel the job when the task is killed.
    :param on_finish: ``"drop"`` drops the job, with its logs and its history, once it has succeeded and its results are
        collected; ``"keep"`` leaves that to Snowflake, which drops ended jobs after 30 days. A job that did not succeed
        is always kept.
    :param example_rows: how many rows of the results the tab *Batch job* shows, 10 at most; 0, the default, for none.
        They are read once, from one file, when the job is done, which takes a warehouse. Whoever may read the task's
        XComs sees them, and Airflow's database keeps them as long as the run. If they cannot be read, the tab says why.
    :param kwargs: ``snowflake_conn_id``, ``warehouse``, ``database``, ``schema`` and ``role`` as in
        :class:`~airflow_provider_snowflake_batch.operators.base.SnowflakeBatchOperator`, and what every operator takes.
        The warehouse (``job_spec``'s, if none is given here) only compiles the input query; with ``model`` it also
        unloads the rows.
    :raises InvalidJobError: when the Dag is parsed, if a value that is not templated is malformed.

    .. seealso::
        https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs
    """

    template_fields: Sequence[str] = (*_JOB_FIELDS, *CONNECTION_FIELDS)
    operator_extra_links = (JobCardLink(), SnowsightJobLink(), OutputStageLink())
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "X": "sql",
        "model": "json",
        "input_spec": "json",
        "output_spec": "json",
        "job_spec": "json",
        "inference_engine_options": "json",
    }

    model: ModelSpec | Mapping[str, Any] | None
    model_name: str | None
    version_name: str | None
    function_name: str | None
    compute_pool: str
    input_spec: InputSpec | Mapping[str, Any] | None
    output_spec: OutputSpec | Mapping[str, Any]
    job_spec: JobSpec | Mapping[str, Any] | None
    inference_engine_options: InferenceEngineOptions | Mapping[str, Any] | None
    wait_for_completion: bool
    deferrable: bool
    poll_interval: float
    timeout: float | None
    pending_timeout: float | None
    stream_logs: bool
    durable: bool
    cancel_on_kill: bool
    on_finish: Literal["keep", "drop"]
    example_rows: int
    _given: tuple[str, ...]
    _run: JobRun | None = None

    def __init__(
        self,
        *,
        model_name: str | None = None,
        model: ModelSpec | Mapping[str, Any] | None = None,
        X: str | Source | Mapping[str, Any] | Sequence[str] | XComArg,
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
        timeout: float | None = None,
        pending_timeout: float | None = None,
        stream_logs: bool = True,
        durable: bool = True,
        cancel_on_kill: bool = True,
        on_finish: Literal["keep", "drop"] = "keep",
        example_rows: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        job = {
            "model": model,
            "model_name": model_name,
            "version_name": version_name,
            "function_name": function_name,
            "X": plain_source(X),
            "compute_pool": compute_pool,
            "input_spec": input_spec,
            "output_spec": output_spec,
            "job_spec": job_spec,
            "inference_engine_options": inference_engine_options,
        }
        waiting: dict[str, Any] = {
            "wait_for_completion": wait_for_completion,
            "poll_interval": poll_interval,
            "timeout": timeout,
            "pending_timeout": pending_timeout,
            "on_finish": on_finish,
            "example_rows": example_rows,
        }
        self._keep(
            **job,
            **waiting,
            deferrable=deferrable,
            stream_logs=stream_logs,
            durable=durable,
            cancel_on_kill=cancel_on_kill,
            _given=tuple(name for name in _NEVER_NONE if job[name] is not None),
        )
        # Plain dicts from here on: Airflow renders the templates inside them and shows them on the task's page.
        with self._checking():
            check_waiting(**waiting)
            check_arguments({name: getattr(self, name) for name in _JOB_FIELDS}, file_endings=tuple(self.template_ext))

    @property
    def connection(self) -> ConnectionSettings:
        """The connection arguments, with the job's warehouse if the task has none."""
        settings = super().connection
        return settings if settings.warehouse else replace(settings, warehouse=JobSpec.of(self.job_spec).warehouse)

    def execute(self, context: Context) -> dict[str, Any]:
        return self._new_run(context).begin(lambda: self._parse_job(context))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Continue after the trigger has seen the job end, or miss a deadline."""
        return self._new_run(context).resume(event, lambda: self._parse_job(context))

    def on_kill(self) -> None:
        """Cancel the job, unless ``cancel_on_kill`` is off or another try of the task goes on with it.

        The job's logs and its history stay in Snowflake.
        """
        if self._run is not None:
            self._run.canceller.on_kill()

    def _new_run(self, context: Context) -> JobRun:
        from airflow_provider_snowflake_batch.operators.job_run import JobRun

        self._run = JobRun(self, context)
        return self._run

    def _parse_job(self, context: Context) -> BatchJob:
        """The job that the rendered fields describe, under a name of its own."""
        with failing_for_good():
            for name in self._given:
                # A template that gives None is the text "None", unless the Dag renders native objects.
                if getattr(self, name) in ("None", None):
                    raise InvalidJobError(name, "it has become None: did the task that it is read from return it?")
            settings = JobSpec.of(self.job_spec)
            ti = context["ti"]
            prefix = settings.job_name_prefix or JOB_NAME_PREFIX
            return parse_job(
                name=settings.job_name or generate_job_name(ti.dag_id, ti.task_id, prefix=prefix),
                **self._job_fields(),
            )

    def _job_fields(self) -> dict[str, Any]:
        dag = self.get_dag()
        folder = str(Path(dag.fileloc).parent) if dag is not None and dag.fileloc else None
        # Another task's output may hold enums again, if a function of the Dag's author has mapped it.
        return {"code_folder": folder} | {name: plain_value(getattr(self, name), name) for name in _JOB_FIELDS}

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """What the job reads and writes. OpenLineage's listener calls this, and the others, if it is installed."""
        from airflow_provider_snowflake_batch.lineage.tasks import batch_job

        told = self._run.card if self._run is not None else None
        card = told.card if told is not None else None
        return batch_job(
            self.hook,
            parse_job(name=card.job_name if card else JOB_NAME_PREFIX, **self._job_fields()),
            card=card,
            query_id=told.query_id if told is not None else None,
            result=self._run.result if self._run is not None else None,
        )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        return self.get_openlineage_facets_on_start()

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        return self.get_openlineage_facets_on_start()
