"""Run batch inference on Snowflake as one task."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout

from airflow_provider_snowflake_batch.exceptions import (
    JobCancelledError,
    JobInputError,
    JobLostError,
    JobSubmissionError,
    JobTimeoutError,
    SnowflakeBatchError,
    SnowflakeUnreachableError,
    failing_for_good,
)
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines, Missed
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.job import JOB_NAME_PREFIX, generate_job_name, parse_job
from airflow_provider_snowflake_batch.jobs.sources import (
    StageListing,
    StagePaths,
    parse_source,
    plain_source,
)
from airflow_provider_snowflake_batch.jobs.specs import (
    InferenceEngineOptions,
    InputSpec,
    JobSpec,
    OutputSpec,
    plain_value,
)
from airflow_provider_snowflake_batch.jobs.waiting_mark import WAITS_KEY, waiting_mark
from airflow_provider_snowflake_batch.links.job_card import JobCardLink
from airflow_provider_snowflake_batch.links.snowsight import OutputStageLink, SnowsightJobLink, store_links
from airflow_provider_snowflake_batch.operators.arguments import check_arguments
from airflow_provider_snowflake_batch.operators.base import (
    CONNECTION_FIELDS,
    SnowflakeBatchOperator,
    check_seconds,
    describe_outlets,
)
from airflow_provider_snowflake_batch.operators.earlier_job import CancelledBehindUs, EarlierJob, look
from airflow_provider_snowflake_batch.operators.ended_job import EndedJob, result_so_far
from airflow_provider_snowflake_batch.operators.job_card import TaskCard
from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords
from airflow_provider_snowflake_batch.operators.named_jobs import find_records
from airflow_provider_snowflake_batch.operators.newer_try import Question, was_replaced

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context
    from jinja2 import Environment

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.hooks.results import JobResult
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.jobs.sources import Source
    from airflow_provider_snowflake_batch.jobs.status import JobInfo


# The arguments that describe the job; each may hold templates.
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
# Airflow gives a task five seconds to end. Its signal handler waits this long for Airflow's answer, and then lets the
# interrupted code go on.
_HANDLER_SECONDS = 1.0
# Then the answer may take so long; what remains is for cancelling the job.
_ANSWER_SECONDS = 3.5


class RunBatchOperator(SnowflakeBatchOperator):
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
    ``files``, ``seconds``, ``attempt``, ``warnings``, ``model``, ``version``. Each key is an XCom of its own as well,
    for ``score.output["output_location"]``. Results lie under ``<stage_location>/<job name>/``.

    A member of an enum, ours or one of snowflake-ml-python's, may stand wherever its value may.

    :param model_name: the model, ``[database.][schema.]model``.
    :param version_name: its version or alias; default: the model's default version.
    :param function_name: the model's method, in the model's own spelling; needed if it has several.
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
    :param kwargs: ``snowflake_conn_id``, ``warehouse``, ``database``, ``schema`` and ``role`` as in
        :class:`~airflow_provider_snowflake_batch.operators.base.SnowflakeBatchOperator`, and what every operator takes.
        The warehouse (``job_spec``'s, if none is given here) only compiles the input query.
    :raises InvalidJobError: when the Dag is parsed, if a value that is not templated is malformed.

    .. seealso::
        https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs
    """

    template_fields: Sequence[str] = (*_JOB_FIELDS, *CONNECTION_FIELDS)
    template_ext: Sequence[str] = (".sql",)
    operator_extra_links = (JobCardLink(), SnowsightJobLink(), OutputStageLink())
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "X": "sql",
        "input_spec": "json",
        "output_spec": "json",
        "job_spec": "json",
        "inference_engine_options": "json",
    }

    def __init__(
        self,
        *,
        model_name: str,
        X: str | Source | Mapping[str, Any] | Sequence[str],
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.model_name = model_name
        self.version_name = version_name
        self.function_name = function_name
        self.X = plain_source(X)
        self.compute_pool = compute_pool
        self.input_spec = input_spec
        self.output_spec = output_spec
        self.job_spec = job_spec
        self.inference_engine_options = inference_engine_options
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.pending_timeout = pending_timeout
        self.stream_logs = stream_logs
        self.durable = durable
        self.cancel_on_kill = cancel_on_kill
        self.on_finish = on_finish
        names = ("model_name", "version_name", "function_name", "X", "compute_pool")
        self._given = tuple(name for name in names if getattr(self, name) is not None)
        self._submitted: JobRecord | None = None
        self._card: TaskCard | None = None
        self._result_of_job: JobResult | None = None
        self._instance: Any = None
        self._killed = self._replaced = False
        self._ending: threading.Thread | None = None
        # Plain dicts from here on: Airflow renders the templates inside them and shows them on the task's page.
        with self._checking():
            self._check()

    def _check(self) -> None:
        check_seconds("poll_interval", self.poll_interval)
        check_seconds("timeout", self.timeout, optional=True)
        check_seconds("pending_timeout", self.pending_timeout, optional=True)
        if self.on_finish not in ("keep", "drop"):
            raise InvalidJobError("on_finish", f"expected 'keep' or 'drop', got {self.on_finish!r}.")
        if self.on_finish == "drop" and not self.wait_for_completion:
            raise InvalidJobError(
                "on_finish", "'drop' needs wait_for_completion=True: a job that nobody waits for cannot be dropped."
            )
        check_arguments({name: getattr(self, name) for name in _JOB_FIELDS}, file_endings=tuple(self.template_ext))

    def resolve_template_files(self) -> None:
        """Read the file that X names, if it does. Other texts may end like a file's name: of a model, a stage path."""
        self.template_fields = ("X",) if isinstance(self.X, str) else ()
        try:
            super().resolve_template_files()
        finally:
            del self.template_fields

    def render_template(
        self, content: Any, context: Context, jinja_env: Environment | None = None, seen_oids: set[int] | None = None
    ) -> Any:
        """As every operator does, but only X itself is taken for a file's name."""
        if isinstance(content, str) and content is not self.X and content.endswith(tuple(self.template_ext)):
            # An empty comment, which is nothing once it is rendered.
            content += "{##}"
        return super().render_template(content, context, jinja_env, seen_oids)

    def execute(self, context: Context) -> dict[str, Any]:
        try:
            return self._begin(context)
        except CancelledBehindUs as error:
            return self._begin_again(context, error)
        finally:
            self._killed_meanwhile()

    def _begin_again(self, context: Context, error: CancelledBehindUs) -> dict[str, Any]:
        if self._killed_meanwhile():
            raise JobCancelledError(str(error)) from None
        return self._begin(context)

    def _begin(self, context: Context) -> dict[str, Any]:
        with failing_for_good():
            job = self._parse_job(context)
        self.warehouse = self.warehouse or JobSpec.of(self.job_spec).warehouse
        with self.hook as hook, self._discarding_input(hook):
            with failing_for_good():
                job = job.qualify(*hook.namespace)
            records = find_records(context, hook, job, durable=self.durable, waits=self.wait_for_completion)
            self._instance = context["ti"] if records.has_store else None
            earlier = EarlierJob(hook, records, lambda again: self._submit(hook, records, again))
            record = earlier.go_on_or_clear_away(job) or self._submit(hook, records, job)
            self._submitted = record
            store_links(context, hook, job=record.name, location=job.output.location)
            JobCardLink().store_for(context)
            deadlines = self._deadlines(context, record)
            with TaskCard.begin(context, job, record) as card, records.to_be_sent_again():
                self._card = card
                if not self.wait_for_completion:
                    return self._accept(context, hook, record, deadlines, card)
                if self.deferrable:
                    info = look(hook, record)
                    if info is None or not info.status.is_terminal:
                        self._defer(context, record, deadlines)
                    streamed = False
                else:
                    info = self._wait(hook, record, deadlines, card)
                    streamed = self.stream_logs
                return self._finish(context, hook, info, record, card, streamed=streamed)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Continue after the trigger has seen the job end, or miss a deadline."""
        record = JobRecord(
            job_name=event["job_name"],
            output_location=event["output_location"],
            submitted_at=event["submitted_at"],
            query_id=event["query_id"],
        )
        try:
            with TaskCard.resume(context, record, str(self.compute_pool)) as card:
                self._card = card
                return self._resume(context, event, record, card)
        except CancelledBehindUs as error:
            return self._begin_again(context, error)
        finally:
            self._killed_meanwhile()

    def _resume(self, context: Context, event: dict[str, Any], record: JobRecord, card: TaskCard) -> dict[str, Any]:
        from airflow_provider_snowflake_batch.hooks.pending import missed_deadline

        if event["status"] == "error":
            raise self._unreachable(record, event["message"])
        with self.hook as hook, self._discarding_input(hook, record):
            match event["status"]:
                case "refused":
                    raise JobInputError(event["message"])
                case "not_submitted":
                    with JobRecords.of(context, durable=self.durable).to_be_sent_again():
                        raise JobSubmissionError(event["message"])
                case "lost":
                    raise JobLostError(event["message"])
            info = look(hook, record)
            # A job may have ended after all while this task waited for a worker slot.
            if info is None or not info.status.is_terminal:
                if event["status"] not in {missed.value for missed in Missed}:
                    self.log.warning("Job %s was seen %s, but has not ended.", record.job_name, event["status"])
                    self._defer(context, record, self._deadlines(context, record))
                self._submitted = record
                self._give_up(hook, record, missed_deadline(hook, record.name, Missed(event["status"])))
            return self._finish(context, hook, info, record, card, streamed=self.stream_logs)

    def on_kill(self) -> None:
        """Cancel the job, unless ``cancel_on_kill`` is off or another try of the task goes on with it.

        The job's logs and its history stay in Snowflake.
        """
        job = self._submitted
        if job is None or not self.cancel_on_kill:
            return
        # Airflow calls this for a missed execution_timeout, too, while it handles that exception.
        if self._instance is None or isinstance(sys.exception(), AirflowTaskTimeout):
            with self.hook.twin() as hook:
                self._cancel(hook, job)
            return
        question = Question(self._instance)
        self._ending = threading.Thread(target=self._end, args=(job, question), name="end-the-task", daemon=True)
        self._ending.start()
        if question.ended(within=_HANDLER_SECONDS):
            self._ending.join()
        # Otherwise the interrupted code is most likely asking Airflow itself, and has to come to an end with that.

    def _end(self, job: JobRecord, question: Question) -> None:
        with self.hook.twin() as hook:
            try:
                hook.log_in()
                goes_on = question.goes_on(within=_ANSWER_SECONDS)
                if self._replaced if goes_on is None else goes_on:
                    self.log.info("This try ends, but not the task: job %s is left to the next try.", job.job_name)
                else:
                    self._cancel(hook, job)
            except Exception as error:
                self.log.error("Job %s could not be cancelled and may still run: %s", job.job_name, error)

    def _cancel(self, hook: SnowflakeBatchHook, job: JobRecord) -> None:
        self.log.info("The task was killed: cancelling job %s", job.job_name)
        # Airflow lets the interrupted code go on for some seconds: it may just be sending the statement.
        self._killed = True
        hook.kill(job.name, job.query_id)

    def _killed_meanwhile(self) -> bool:
        """Whether the job was cancelled for a signal; one that is still being looked into is waited for."""
        if self._ending is not None:
            self._ending.join(_ANSWER_SECONDS)
        return self._killed

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """What the job reads and writes. OpenLineage's listener calls this, and the others, if it is installed."""
        from airflow_provider_snowflake_batch.lineage.tasks import batch_job

        card = self._card.card if self._card is not None else None
        return batch_job(
            self.hook,
            parse_job(name=card.job_name if card else JOB_NAME_PREFIX, **self._job_fields()),
            card=card,
            query_id=self._card.query_id if self._card is not None else None,
            result=self._result_of_job,
        )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        return self.get_openlineage_facets_on_start()

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        return self.get_openlineage_facets_on_start()

    def _parse_job(self, context: Context) -> BatchJob:
        """The job that the rendered fields describe, under a name of its own."""
        for name in self._given:
            # Text unless the Dag renders native objects, or the value is another task's output.
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
        # What another task returned may hold enums again, where it was mapped with a function of the Dag's author.
        return {name: plain_value(getattr(self, name)) for name in _JOB_FIELDS}

    def _submit(self, hook: SnowflakeBatchHook, records: JobRecords, job: BatchJob) -> JobRecord:
        from airflow_provider_snowflake_batch.hooks.preflight import check_job

        job = records.name(job)
        found = check_job(hook, records.same_version(job))
        model = found.model_function
        record = JobRecord(
            str(job.name),
            str(job.output_directory),
            time.time(),
            # Of what the task asks for: a default version that has changed since makes no other job of it.
            job.fingerprint(),
            version=str(model.version) if model.version is not None else None,
            function=model.function,
            sizing=dict(job.sizing),
        )
        # Written, and known to on_kill, before the statement is sent: whatever happens in between must find the job.
        self._submitted = record = records.begin(record)
        record = record.sent(hook.submit(found))
        try:
            records.save(record)
        except Exception as error:
            # The job has its name, and that is recorded.
            self._replaced = was_replaced(error)
            self.log.warning("The query id of job %s could not be recorded: %s", record.job_name, error)
        if self._killed_meanwhile():
            hook.kill(record.name, record.query_id)
            raise JobCancelledError(f"Job {record.job_name} was cancelled, since the task was killed.")
        self.log.info("Job %s writes to %s", record.job_name, record.output_location)
        return record

    @contextmanager
    def _discarding_input(self, hook: SnowflakeBatchHook, record: JobRecord | None = None) -> Iterator[None]:
        """Remove rows that were staged for the job when the task fails and the job does not need them any more."""
        from airflow_provider_snowflake_batch.hooks.inputs import discard_long_list

        try:
            yield
        except SnowflakeUnreachableError:
            raise
        except (SnowflakeBatchError, CancelledBehindUs):
            record = record or self._submitted
            if record is not None and isinstance(parse_source(self.X), (StagePaths, StageListing)):
                directory = StagePath.parse(record.output_location, field="output_location")
                discard_long_list(hook, record.name, directory)
            raise

    def _accept(
        self, context: Context, hook: SnowflakeBatchHook, record: JobRecord, deadlines: Deadlines, card: TaskCard
    ) -> dict[str, Any]:
        """Wait until the job exists, which takes minutes when Snowflake builds the image first."""
        info = hook.poll(record.name, record.query_id)
        if info is None:
            self.log.info("Snowflake is still preparing job %s (it builds the image the first time)", record.job_name)
            info = self._wait(hook, record, deadlines, card, until_accepted=True)
        if info.status.is_terminal:
            return self._finish(context, hook, info, record, card, streamed=False)
        self.log.info("Job %s is %s; not waiting for it.", info.name, info.reported_status)
        card.look(info)
        JobRecords.of(context, durable=self.durable).mark_done()
        return self._hand_over(context, result_so_far(context, info, record, card), card)

    def _deadlines(self, context: Context, record: JobRecord) -> Deadlines:
        ends = []
        if self.timeout is not None:
            ends.append(record.submitted_at + self.timeout)
        if self.execution_timeout is not None and self.deferrable:
            # Airflow itself does not watch it while a task is deferred (apache/airflow#19382).
            ends.append(context["ti"].start_date.timestamp() + self.execution_timeout.total_seconds())
        start = record.submitted_at + self.pending_timeout if self.pending_timeout is not None else None
        return Deadlines(min(ends, default=None), start, self.pending_timeout)

    def _defer(self, context: Context, record: JobRecord, deadlines: Deadlines) -> NoReturn:
        from airflow_provider_snowflake_batch.triggers.batch_inference import BatchJobTrigger

        mark = waiting_mark(record.job_name, record.output_location, record.submitted_at)
        context["ti"].xcom_push(key=WAITS_KEY, value=mark)
        self.defer(
            trigger=BatchJobTrigger(
                job_name=record.job_name,
                query_id=record.query_id,
                output_location=record.output_location,
                submitted_at=record.submitted_at,
                end_deadline=deadlines.end,
                start_deadline=deadlines.start,
                pending_timeout=deadlines.pending,
                stream_logs=self.stream_logs,
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

    def _wait(
        self,
        hook: SnowflakeBatchHook,
        record: JobRecord,
        deadlines: Deadlines,
        card: TaskCard,
        *,
        until_accepted: bool = False,
    ) -> JobInfo:
        try:
            return hook.wait(
                record.name,
                query_id=record.query_id,
                poll_interval=self.poll_interval,
                deadlines=deadlines,
                submitted_at=record.submitted_at,
                until_accepted=until_accepted,
                on_change=lambda seen: self.log.info("Job %s is %s", seen.name, seen.reported_status),
                on_log=self.log.info if self.stream_logs and not until_accepted else None,
                on_look=card.look,
            )
        except JobTimeoutError as error:
            self._give_up(hook, record, error)
        except JobLostError:
            info = look(hook, record)
            if info is None:
                raise
            return info
        except AirflowException:
            raise
        except Exception as error:
            raise self._unreachable(record, f"{type(error).__name__}: {error}") from error

    def _unreachable(self, record: JobRecord, how: str) -> SnowflakeUnreachableError:
        next_try = " A retry goes on with it." if self.durable else ""
        return SnowflakeUnreachableError(
            f"Snowflake could not be asked about job {record.job_name}: {how.rstrip('.')}. "
            f"The job itself was left alone and may still run.{next_try}"
        )

    def _give_up(self, hook: SnowflakeBatchHook, record: JobRecord, error: JobTimeoutError) -> NoReturn:
        names = ("timeout", "execution_timeout", "pending_timeout")
        limits = [f"{name} {value}" for name in names if (value := getattr(self, name)) is not None]
        self.log.error("%s Cancelling it. The task's limits: %s.", error, ", ".join(limits))
        try:
            hook.kill(record.name, record.query_id)
        except Exception as failure:
            raise type(error)(f"{error} It could not be cancelled and may still run: {failure}") from failure
        raise type(error)(f"{error} It was cancelled.") from None

    def _hand_over(self, context: Context, result: JobResult, card: TaskCard) -> dict[str, Any]:
        """Tell those that come after the task: its XCom, and the events of its outlets."""
        self._result_of_job = result
        values = result.to_dict()
        told = {name: values[name] for name in ("job_name", "status", "output_location", "rows", "files")}
        describe_outlets(self, context, {**told, "model": card.card.model, "version": card.card.version})
        return values

    def _finish(
        self,
        context: Context,
        hook: SnowflakeBatchHook,
        info: JobInfo,
        record: JobRecord,
        card: TaskCard,
        *,
        streamed: bool,
    ) -> dict[str, Any]:
        ended = EndedJob(context, hook, JobRecords.of(context, durable=self.durable), record, card)
        result = ended.collect(info, drop=self.on_finish == "drop", streamed=streamed)
        return self._hand_over(context, result, card)
