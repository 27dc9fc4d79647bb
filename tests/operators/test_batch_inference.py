"""What needs no Snowflake: how the operator reads its arguments, when the Dag is parsed and when it is rendered.

Also tests ``operators/arguments.py``, ``operators/base.py``, ``operators/query_file.py``.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.models import PythonModel
from airflow_provider_snowflake_batch.jobs.sources import Table, parse_source
from airflow_provider_snowflake_batch.jobs.specs import (
    FileEncoding,
    InferenceEngine,
    InferenceEngineOptions,
    InputFormat,
    InputSpec,
    JobSpec,
    OnError,
    OutputSpec,
    SaveMode,
)
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.jobs import CancelBatchJobOperator, DeleteBatchJobOperator
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator
from airflow_provider_snowflake_batch.operators.verify import VerifyBatchResultsOperator
from airflow_provider_snowflake_batch.sensors.batch_inference import BatchSuccessSensor


def operator(**changes: Any) -> RunBatchOperator:
    given: dict[str, Any] = {
        "task_id": "score",
        "model_name": "db.s.model",
        "X": "SELECT 1 AS a",
        "compute_pool": "pool",
        "output_spec": OutputSpec("@db.s.out/results/"),
    }
    return RunBatchOperator(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_name": "a b"}, "model_name: 'a b' is not a valid name"),
        ({"version_name": "v1; DROP MODEL m"}, "version_name:"),
        ({"compute_pool": "p) NAME = x"}, "compute_pool:"),
        ({"X": None}, "X: expected a query"),
        ({"model_name": None}, "model_name: is needed, got None"),
        ({"output_spec": None}, "output_spec: is needed, got None"),
        ({"X": {"query": "SELECT 1", "table": "t"}}, "X: give exactly one of"),
        ({"X": "SELECT 1; DROP TABLE t"}, "X: the query holds more than one statement"),
        ({"X": ["@db.s.in/a.png", "b.png"]}, r"X\[1\]: 'b.png' is not a stage location"),
        ({"X": {"stage_location": "@db.s.in/", "filter": "a) OR (b"}}, "X.filter: the condition closes"),
        ({"output_spec": {"stage_location": "results/"}}, "output_spec.stage_location: 'results/' is not a stage"),
        ({"output_spec": {"location": "@a.b.c/d"}}, "output_spec: unknown field 'location'"),
        ({"input_spec": {"param": {}}}, "input_spec: unknown field 'param'"),
        ({"job_spec": {"replicas": 0}}, "job_spec.replicas:"),
        ({"poll_interval": 0}, "poll_interval: expected a number of seconds above 0, got 0"),
        ({"timeout": "5m"}, "timeout: expected a number of seconds above 0, got '5m'"),
        ({"pending_timeout": timedelta(minutes=5)}, "pending_timeout: expected a number of seconds"),
        ({"X": "@db.s.out/results/in/"}, "output_spec.stage_location: the input @DB.S.OUT/results/in/ lies inside"),
        ({"on_finish": "delete"}, "on_finish: expected 'keep' or 'drop', got 'delete'"),
        ({"on_finish": np.array(["keep", "drop"])}, "on_finish: expected 'keep' or 'drop', got array"),
        ({"on_finish": "drop", "wait_for_completion": False}, "on_finish: 'drop' needs wait_for_completion=True"),
        ({"example_rows": 11}, "example_rows: expected a whole number from 0 to 10, got '11'"),
        ({"example_rows": 3, "wait_for_completion": False}, "example_rows: needs wait_for_completion=True"),
        ({"inference_engine_options": {"engine": "tgi"}}, "inference_engine_options.engine: 'tgi' is not one of"),
    ],
)
def test_what_is_wrong_for_certain_fails_the_parse(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}"):
        operator(**changes)


MODEL = {"kind": "python", "target": "my_models.churn:Churn"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": MODEL}, "model: give either model .* or model_name"),
        ({"model": MODEL, "model_name": None, "version_name": "v1"}, "version_name: only jobs of a registered model"),
        ({"model": MODEL, "model_name": None, "function_name": "f"}, "function_name: only jobs of a registered model"),
        (
            {"model": MODEL, "model_name": None, "inference_engine_options": {"engine": "vllm"}},
            "inference_engine_options: only jobs of a registered model",
        ),
        ({"model": {"target": "churn"}, "model_name": None}, "model.target: expected of the form package.module:Class"),
        (
            {"model": MODEL, "model_name": None, "job_spec": {"image_repo": "d.s.r"}},
            "job_spec.image_repo: only jobs of a registered model .* name the whole image in job_spec.image",
        ),
        ({"job_spec": {"on_error": "quarantine"}}, "job_spec.on_error: Snowflake's .* The worker runtime has it"),
        ({"output_spec": OutputSpec("@d.s.o/x/", columns=["ID"])}, "output_spec.columns: .* The worker runtime has it"),
    ],
)
def test_what_belongs_to_the_other_runtime_fails_the_parse(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}"):
        operator(**changes)


def test_what_one_task_may_have_is_not_thereby_right_for_the_next() -> None:
    """What is equal to Python, or would be right with another runtime, or was wrong before, is checked by itself."""
    operator(job_spec={"replicas": 1})
    operator(model=MODEL, model_name=None, job_spec={"on_error": "quarantine"})
    for _ in range(2):
        for wrong, message in [
            ({"replicas": True}, "replicas: expected an int"),
            ({"on_error": "quarantine"}, "on_err"),
        ]:
            with pytest.raises(InvalidJobError, match=rf"^job_spec\.{message}"):
                operator(job_spec=wrong)
    operator(job_spec={"job_name": "{{ params.name }}"}, compute_pool="{{ params.pool }}")
    with pytest.raises(InvalidJobError, match=r"^compute_pool:"):
        operator(compute_pool="a b")


@pytest.mark.parametrize(
    "value",
    [{1}, b"x", Decimal("1.5"), date(2026, 1, 1), timedelta(1), range(2), 1j, np.arange(2), float("nan")],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_json_fails_the_parse(value: Any) -> None:
    for params in ({"p": value}, {"p": [{"q": value}], "day": "{{ ds }}"}):
        with pytest.raises(InvalidJobError, match=r"^input_spec.params: every value must be JSON"):
            operator(input_spec={"params": params})
        with pytest.raises(InvalidJobError, match=r"^model.init: every value must be JSON"):
            operator(model_name=None, model={"target": "m:C", "init": params})


def test_a_model_of_ones_own_is_a_plain_dict_with_templates(tmp_path: Path) -> None:
    with DAG("dag") as dag:
        task = operator(
            model_name=None,
            model=PythonModel("m:C", code="{{ params.code }}", init={"day": "{{ params.day }}"}),
            output_spec={"stage_location": "@db.s.out/x/", "columns": ["ID"]},
            job_spec={"on_error": "{{ params.on_error }}", "env": {"DAY": "{{ params.day }}"}},
        )
    dag.fileloc = str(tmp_path / "dag.py")
    assert task.model == {
        "kind": "python",
        "target": "m:C",
        "code": "{{ params.code }}",
        "init": {"day": "{{ params.day }}"},
    }
    given = {"code": "models", "day": "2026-11-28", "on_error": "quarantine"}
    task.render_template_fields({"params": given, "dag": dag, "ti": None})
    job = task._parse_job({"ti": SimpleNamespace(dag_id="dag", task_id="score")})
    assert job.model.code_places == ("models",)
    assert job.model.init == {"day": "2026-11-28"}
    assert job.settings.on_error is OnError.QUARANTINE
    assert job.settings.env == {"DAY": "2026-11-28"}
    assert job.code_folder == str(tmp_path)


def test_specs_may_be_objects_or_dicts() -> None:
    objects = operator(
        X=Table(parse_source("db.s.t").name),
        input_spec=InputSpec(params={"t": 0.5}),
        output_spec=OutputSpec("@db.s.out/x/", SaveMode.OVERWRITE),
        job_spec=JobSpec(replicas=2),
    )
    dicts = operator(
        X={"table": "DB.S.T"},
        input_spec={"params": {"t": 0.5}},
        output_spec={"stage_location": "@db.s.out/x/", "mode": "overwrite"},
        job_spec={"replicas": 2},
    )
    for name in RunBatchOperator.template_fields:
        assert getattr(objects, name) == getattr(dicts, name)


class Name(str, Enum):
    """What a Dag's author may have for names; its members are texts, and Airflow renders texts."""

    MODEL = "db.s.model"
    ORDERS = "db.s.orders"
    POOL = "pool"
    IMAGE = "IMAGE"
    PROMPT = "prompt"
    DAY = "@db.s.in/{{ ds }}/a.png"


class Size(IntEnum):
    TWO = 2


def _clients(module: str) -> Any:
    # It cannot be imported beside the driver of the 5.x line.
    return pytest.importorskip(f"snowflake.ml.model.{module}", exc_type=ImportError)


def _ours() -> dict[str, Any]:
    return {kind.__name__: kind for kind in (SaveMode, InputFormat, FileEncoding, InferenceEngine)}


def _those_of_the_client() -> dict[str, Any]:
    batch = _clients("batch_inference")
    engines = _clients("inference_engine")
    return {
        "SaveMode": batch.SaveMode,
        "InputFormat": batch.InputFormat,
        "FileEncoding": batch.FileEncoding,
        "InferenceEngine": engines.InferenceEngine,
    }


def with_enums(enums: dict[str, Any]) -> dict[str, Any]:
    handling = {
        "input_format": enums["InputFormat"].FULL_STAGE_PATH,
        "convert_to": enums["FileEncoding"].BASE64,
    }
    return {
        "model_name": Name.MODEL,
        "compute_pool": Name.POOL,
        "X": [Name.DAY],
        "input_spec": {
            "params": {Name.PROMPT: [Name.ORDERS, ("{{ ds }}", Size.TWO)]},
            "column_handling": {Name.IMAGE: handling},
        },
        "output_spec": {"stage_location": "@db.s.out/{{ ds }}/", "mode": enums["SaveMode"].OVERWRITE},
        "job_spec": {"replicas": Size.TWO},
        "inference_engine_options": {"engine": enums["InferenceEngine"].VLLM},
    }


RENDERED = {
    "model_name": "db.s.model",
    "compute_pool": "pool",
    "X": ["@db.s.in/2026/a.png"],
    "input_spec": {
        "params": {"prompt": ["db.s.orders", ("2026", 2)]},
        "column_handling": {"IMAGE": {"input_format": "full_stage_path", "convert_to": "base64"}},
    },
    "output_spec": {"stage_location": "@db.s.out/2026/", "mode": "overwrite"},
    "job_spec": {"replicas": 2},
    "inference_engine_options": {"engine": "vllm"},
}


def rendered(task: RunBatchOperator) -> dict[str, Any]:
    task.render_template_fields({"ds": "2026"})
    return {name: getattr(task, name) for name in RENDERED}


@pytest.mark.parametrize("enums", [_ours, _those_of_the_client])
def test_enums_may_stand_anywhere_in_a_field(enums: Any) -> None:
    with DAG("d", schedule=None):
        task = operator(**with_enums(enums()))
    shown = rendered(task)
    assert shown == RENDERED
    assert not any(isinstance(key, Enum) for key in shown["input_spec"]["column_handling"])
    assert type(shown["job_spec"]["replicas"]) is int


# Members whose values are what a block or a parameter holds.
Options = Enum("Options", {"PARAMS": {"stop": ["{{ ds }}", Size.TWO]}, "STOP": ["{{ ds }}"]})


def test_members_whose_values_are_lists_and_dicts_are_rendered_and_stay_as_they_are() -> None:
    found = []
    for given in (Options.PARAMS, {"stop": Options.STOP}, {"stop": (Options.STOP,)}):
        task = operator(input_spec={"params": given})
        task.render_template_fields({"ds": "2026"})
        found.append(task.input_spec["params"])
    assert found == [
        {"stop": ["2026", 2]},
        {"stop": ["2026"]},
        {"stop": (["2026"],)},
    ]
    assert Options.PARAMS.value == {"stop": ["{{ ds }}", Size.TWO]}
    assert Options.STOP.value == ["{{ ds }}"]


def test_members_that_cannot_be_plain_are_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(InvalidJobError, match="input_spec: .* cannot be a key"):
        operator(input_spec={"params": {Options.STOP: 1}})
    with DAG("d", schedule=None):
        mapped = RunBatchOperator.partial(
            task_id="score", model_name="db.s.m", compute_pool="p", output_spec={"stage_location": "@db.s.o/x/"}
        ).expand(input_spec=[{"params": {Options.STOP: 1}}])
    with pytest.raises(JobInputError, match="cannot be a key"):
        mapped.unmap({"input_spec": {"params": {Options.STOP: 1}}, "X": "SELECT 1 AS A"})


def test_enums_come_by_every_way_an_argument_takes() -> None:
    given = with_enums(_ours())
    with DAG("d", schedule=None, default_args=given | {"task_id": "x"}):
        task = RunBatchOperator(task_id="score")
    assert rendered(task) == RENDERED

    with DAG("e", schedule=None):
        mapped = RunBatchOperator.partial(task_id="score", **{k: v for k, v in given.items() if k != "X"}).expand(
            X=[given["X"]]
        )
    assert rendered(mapped.unmap({"X": given["X"]})) == RENDERED
    with DAG("f", schedule=None):
        mapped = RunBatchOperator.partial(task_id="score").expand_kwargs([given])
    assert rendered(mapped.unmap(given)) == RENDERED


def test_enums_of_another_tasks_output() -> None:
    """A function over an output (``.map``) runs where the task does, and may return what no XCom holds."""
    task = operator()
    task.output_spec = {"stage_location": "@db.s.out/x/", "mode": SaveMode.OVERWRITE}
    task.model_name = Name.MODEL
    fields = task._job_fields()
    assert (fields["output_spec"]["mode"], fields["model_name"]) == ("overwrite", "db.s.model")
    assert type(fields["model_name"]) is str


def test_an_enum_that_a_template_has_made_text_of() -> None:
    with DAG("d", schedule=None):
        task = operator(
            output_spec={"stage_location": "@db.s.out/x/", "mode": "{{ mode }}"},
            inference_engine_options={"engine": "{{ engine }}"},
        )
    engine = _those_of_the_client()["InferenceEngine"].VLLM
    task.render_template_fields({"mode": SaveMode.OVERWRITE, "engine": engine})
    assert OutputSpec.of(task.output_spec).mode is SaveMode.OVERWRITE
    assert InferenceEngineOptions.of(task.inference_engine_options).engine is InferenceEngine.VLLM


def test_the_clients_own_specifications_are_taken() -> None:
    batch = _clients("batch_inference")
    with DAG("d", schedule=None):
        task = operator(
            input_spec=batch.InputSpec(
                params={"t": 0.5},
                column_handling={
                    "a": {
                        "input_format": batch.InputFormat.FULL_STAGE_PATH,
                        "convert_to": batch.FileEncoding.RAW_BYTES,
                    }
                },
            ),
            output_spec=batch.OutputSpec(stage_location="@db.s.out/{{ ds }}/", mode=batch.SaveMode.OVERWRITE),
            job_spec=batch.ResourcesSpec(cpu_requests="2"),
        )
    task.render_template_fields({"ds": "2026"})
    assert task.output_spec == {"stage_location": "@db.s.out/2026/", "mode": "overwrite"}
    assert task.job_spec == {"cpu_requests": "2"}
    handled = {"input_format": "full_stage_path", "convert_to": "raw_bytes"}
    assert task.input_spec == {"params": {"t": 0.5}, "column_handling": {"a": handled}}


def test_a_value_without_enums_stays_the_same_object() -> None:
    """Airflow renders no templates in what another task returned, and knows that by its identity."""
    returned: Any = {"stage_location": "@db.s.out/x/"}
    assert operator(output_spec=returned).output_spec is returned


@pytest.mark.parametrize(
    ("make", "field_name"),
    [
        (lambda table: LoadBatchResultsOperator(task_id="t", stage_location="@s/x", table=table), "table"),
        (lambda table: CancelBatchJobOperator(task_id="t", job_name=table), "job_name"),
        (lambda table: DeleteBatchJobOperator(task_id="t", job_name=table), "job_name"),
        (lambda table: BatchSuccessSensor(task_id="t", stage_location="@s/x", job_name=table), "job_name"),
        (lambda table: operator(role=table), "role"),
    ],
)
def test_enums_in_the_fields_of_every_operator(make: Any, field_name: str) -> None:
    with DAG("d", schedule=None):
        task = make(Name.ORDERS)
    task.render_template_fields({})
    assert getattr(task, field_name) == "db.s.orders"


def test_each_key_of_the_result_is_an_output() -> None:
    with DAG("d", schedule=None):
        score = operator()
        load = LoadBatchResultsOperator(task_id="load", stage_location=score.output["output_location"], table="db.s.t")
        assert operator(task_id="other", multiple_outputs=False).multiple_outputs is False
    assert score.multiple_outputs
    assert load.multiple_outputs
    assert load.upstream_task_ids == {"score"}


def test_templates_are_rendered_everywhere_a_user_would_write_one() -> None:
    with DAG("d", schedule=None):
        task = operator(
            model_name="db.s.{{ m }}",
            version_name="{{ v }}",
            X="SELECT * FROM t WHERE day = '{{ ds }}'",
            compute_pool="{{ pool }}",
            input_spec={"params": {"prompt": "{{ v }}"}},
            output_spec=OutputSpec("@db.s.out/{{ ds }}/", "overwrite"),
            job_spec=JobSpec(replicas="{{ n }}", job_name_prefix="{{ m }}"),
            inference_engine_options={"engine": "{{ engine }}"},
        )
    task.render_template_fields({"m": "digits", "v": "v7", "ds": "2026-11-22", "pool": "p", "n": 3, "engine": "vllm"})
    assert (task.model_name, task.version_name, task.compute_pool) == ("db.s.digits", "v7", "p")
    assert task.X == "SELECT * FROM t WHERE day = '2026-11-22'"
    assert task.input_spec == {"params": {"prompt": "v7"}}
    assert task.output_spec == {"stage_location": "@db.s.out/2026-11-22/", "mode": "overwrite"}
    assert JobSpec.of(task.job_spec) == JobSpec(replicas=3, job_name_prefix="digits")


@pytest.mark.parametrize(
    ("X", "rendered"),
    [
        (["@db.s.in/{{ ds }}/a.png", "@db.s.in/b.png"], ["@db.s.in/2026/a.png", "@db.s.in/b.png"]),
        ({"list_stage_files": "@db.s.in/{{ ds }}"}, {"list_stage_files": "@db.s.in/2026"}),
        (
            {"stage_location": "@db.s.in/", "select": ["{{ ds }}"], "filter": "day = '{{ ds }}'"},
            {"stage_location": "@db.s.in/", "select": ["2026"], "filter": "day = '2026'"},
        ),
    ],
)
def test_templates_inside_of_the_input(X: Any, rendered: Any) -> None:
    with DAG("d", schedule=None):
        task = operator(X=X)
    task.render_template_fields({"ds": "2026"})
    assert rendered == task.X


def test_a_sql_file_may_hold_the_query(tmp_path: Any) -> None:
    (tmp_path / "score.sql").write_text("SELECT * FROM t WHERE day = '{{ ds }}'")
    with DAG("d", schedule=None, template_searchpath=str(tmp_path)):
        task = operator(X="score.sql")
    task.resolve_template_files()
    task.render_template_fields({"ds": "2026-11-22"})
    assert task.X == "SELECT * FROM t WHERE day = '2026-11-22'"


@pytest.mark.parametrize(
    ("changes", "rendered"),
    [
        ({"X": ["@D.S.DOCS/{{ ds }}/etl.sql"]}, {"X": ["@D.S.DOCS/2026/etl.sql"]}),
        (
            {"X": {"list_stage_files": "@D.S.DOCS/", "pattern": r".*\.sql"}},
            {"X": {"list_stage_files": "@D.S.DOCS/", "pattern": r".*\.sql"}},
        ),
        (
            {"X": "SELECT 1", "input_spec": {"params": {"prompt": "explain {{ ds }}.sql", "n": 1}}},
            {"X": "SELECT 1", "input_spec": {"params": {"prompt": "explain 2026.sql", "n": 1}}},
        ),
        ({"model_name": "db.schema.sql", "X": "SELECT 1"}, {"model_name": "db.schema.sql"}),
    ],
)
@pytest.mark.parametrize("native", [False, True])
def test_other_texts_that_end_like_a_file_are_texts(
    changes: dict[str, Any], rendered: dict[str, Any], native: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with DAG("d", schedule=None, render_template_as_native_obj=native):
        task = operator(**changes)
    task.resolve_template_files()
    task.render_template_fields({"ds": "2026"})
    assert {name: getattr(task, name) for name in rendered} == rendered
    assert "Failed to" not in caplog.text
    assert task.template_fields == RunBatchOperator.template_fields


def test_the_default_for_deferrable_is_airflows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator().deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    # A second module of the same file: to reload the first would give its class, which other tests hold, a twin.
    spec = find_spec(RunBatchOperator.__module__)
    assert spec is not None
    assert spec.loader is not None
    again = module_from_spec(spec)
    spec.loader.exec_module(again)
    assert again.RunBatchOperator(
        task_id="t", model_name="m", X="t", compute_pool="p", output_spec={"stage_location": "@s/x"}
    ).deferrable


def test_it_maps_over_inputs() -> None:
    with DAG("d", schedule=None):
        mapped = RunBatchOperator.partial(
            task_id="score", model_name="m", compute_pool="p", output_spec={"stage_location": "@s/x"}
        ).expand(X=["a", "b"])
    assert mapped.operator_class is RunBatchOperator


@pytest.mark.parametrize(
    ("operator_class", "partial", "mapped", "message"),
    [
        (RunBatchOperator, {}, {"X": "SELECT 1; DROP TABLE t"}, "X: the query holds more than one statement"),
        (RunBatchOperator, {"model_name": "a b"}, {"X": "t"}, "model_name: 'a b'"),
        (RunBatchOperator, {"timeout": -1}, {"X": "t"}, "timeout: expected a number"),
        (LoadBatchResultsOperator, {"table": "t"}, {"stage_location": "nowhere"}, "stage_location: 'nowhere'"),
        (VerifyBatchResultsOperator, {}, {"stage_location": "nowhere"}, "stage_location: 'nowhere'"),
        (VerifyBatchResultsOperator, {"stage_location": "@s/x"}, {"min_rows": "few"}, "min_rows: 'few' is no number"),
        (CancelBatchJobOperator, {}, {"job_name": "a b"}, "job_name: 'a b'"),
        (
            DeleteBatchJobOperator,
            {"output_location": "@s"},
            {"job_name": "a"},
            "output_location: '@s' is a whole stage",
        ),
        (BatchSuccessSensor, {"newer_than": "now"}, {"stage_location": "@s/x"}, "newer_than: 'now'"),
    ],
)
def test_a_mapped_task_fails_for_good_with_what_is_wrong(
    operator_class: type[BaseOperator], partial: dict[str, Any], mapped: dict[str, Any], message: str
) -> None:
    """Airflow makes its operator only when it runs: that is too late for the parse, and no retry mends it."""
    if operator_class is RunBatchOperator:
        partial = {"model_name": "m", "compute_pool": "p", "output_spec": {"stage_location": "@s/x"}} | partial
    with DAG("d", schedule=None):
        task = operator_class.partial(task_id="t", **partial).expand(
            **{name: [value] for name, value in mapped.items()}
        )
    with pytest.raises(JobInputError, match=f"^{message}") as raised:
        task.unmap(mapped)
    assert isinstance(raised.value, AirflowFailException)


def test_a_derived_class_may_treat_the_arguments_in_its_own_way() -> None:
    class Derived(RunBatchOperator):
        def __init__(self, *, late: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.version_name = late

        @property
        def compute_pool(self) -> str:  # type: ignore[override]
            return self._pool

        @compute_pool.setter
        def compute_pool(self, value: str) -> None:
            self._pool = value.upper()

        def _convert_warehouse(self, value: str) -> str:
            return f"{value}_wh"

    with DAG("derived"):
        choose = operator(task_id="choose")
        task = Derived(
            task_id="score",
            model_name="db.s.model",
            X="SELECT 1 AS a",
            compute_pool="pool",
            output_spec={"stage_location": "@db.s.out/"},
            warehouse="small",
            late=choose.output["version"],
        )
    assert task.compute_pool == "POOL"
    assert task.warehouse == "small_wh"
    assert task.upstream_task_ids == {"choose"}


@pytest.mark.parametrize("field", ["X", "model_name", "role", "job_spec"])
def test_another_tasks_output_in_any_field_makes_that_task_come_before(field: str) -> None:
    with DAG("before"):
        choose = operator(task_id="choose")
        value: Any = choose.output["model"]
        task = operator(**{field: {"num_workers": value} if field == "job_spec" else value})
        assigned = operator(task_id="assigned")
        setattr(assigned, field, value)
    assert task.upstream_task_ids == assigned.upstream_task_ids == {"choose"}


def test_another_tasks_output_is_no_value_yet() -> None:
    from airflow.sdk import task

    with DAG("d", schedule=None):

        @task
        def choose() -> str:
            return "db.s.t"

        scoring = operator(X=choose(), compute_pool=choose())
    assert scoring.upstream_task_ids == {"choose", "choose__1"}


@pytest.mark.parametrize(
    ("given", "job_spec", "expected"),
    [
        (None, None, None),
        (None, {"warehouse": "of_the_job"}, "of_the_job"),
        ("of_the_task", {"warehouse": "of_the_job"}, "of_the_task"),
    ],
)
def test_the_jobs_warehouse_is_taken_where_the_task_has_none(
    given: str | None, job_spec: dict[str, Any] | None, expected: str | None
) -> None:
    assert operator(job_spec=job_spec, warehouse=given).connection.warehouse == expected
