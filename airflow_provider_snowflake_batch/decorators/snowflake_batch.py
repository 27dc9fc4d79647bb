"""``@task.snowflake_batch``: a function in a Dag scores the rows, as a batch job of this package's worker."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, TypeVar, overload

from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

from airflow_provider_snowflake_batch.decorators.function_source import DECORATOR, called_signature, read_function
from airflow_provider_snowflake_batch.jobs.connection import CONNECTION_FIELDS
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.spec_fields import plain_value
from airflow_provider_snowflake_batch.jobs.specs import InputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

if TYPE_CHECKING:
    from airflow.sdk.bases.decorator import Task

_P = ParamSpec("_P")
_R = TypeVar("_R")
_JOB_FIELDS = ("X", "compute_pool", "input_spec", "output_spec", "job_spec")
_NOT_GIVEN = ("model", "model_name", "version_name", "function_name", "inference_engine_options")


class FunctionBatchOperator(DecoratedOperator, RunBatchOperator):
    """The operator behind ``@task.snowflake_batch``; what it takes is said there.

    :param python_callable: the function.
    :param op_args: what it was called with in the Dag, from its second parameter on (templated).
    :param op_kwargs: the same by name (templated).
    :param kwargs: what :class:`~airflow_provider_snowflake_batch.operators.batch_inference.RunBatchOperator` takes.
    :raises InvalidJobError: if the function cannot run elsewhere, or an argument is no JSON value.
    """

    custom_operator_name = DECORATOR
    # Not the model: the function's text may hold braces that are no template.
    template_fields: Sequence[str] = ("op_args", "op_kwargs", *_JOB_FIELDS, *CONNECTION_FIELDS)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **{name: kind for name, kind in RunBatchOperator.template_fields_renderers.items() if name in _JOB_FIELDS},
    }

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in _NOT_GIVEN:
            if name in kwargs:
                raise InvalidJobError(name, f"{DECORATOR} has none: the function is the model.")
        # The dict form of a FunctionModel, so that parsing a Dag does not load its module.
        model = {"kind": "function", "name": python_callable.__name__, "text": read_function(python_callable)}
        self._signature = called_signature(python_callable)
        super().__init__(
            python_callable=self._as_called(python_callable),
            op_args=op_args,
            op_kwargs=op_kwargs,
            model=model,
            **kwargs,
        )
        self.python_callable = python_callable
        with self._checking():
            if isinstance(self.input_spec, Mapping) and self.input_spec.get("params"):
                raise InvalidJobError("input_spec.params", _in_the_call(self.python_callable.__name__))
            self._arguments(later=True)

    def _as_called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A stand-in for the function. Airflow compares calls in the Dag with its signature, which lacks the rows."""

        def called(*args: Any, **kwargs: Any) -> None:
            """Never called."""

        called.__name__ = function.__name__
        called.__signature__ = self._signature  # type: ignore[attr-defined]
        return called

    @property
    def is_async(self) -> bool:
        """A coroutine function is awaited by the worker: here nothing calls it."""
        return False

    def _job_fields(self) -> dict[str, Any]:
        fields = super()._job_fields()
        given = InputSpec.of(fields["input_spec"]).to_dict()
        if given.get("params"):
            raise InvalidJobError("input_spec.params", _in_the_call(self.python_callable.__name__))
        return fields | {"input_spec": given | {"params": self._arguments()}}

    def _arguments(self, *, later: bool = False) -> dict[str, Any]:
        """The function's arguments by name, without those that are left to its defaults.

        :param later: let values pass that are known only when the task runs.
        :raises InvalidJobError: one is no JSON value.
        """
        bound = self._signature.bind_partial(*self.op_args, **self.op_kwargs)
        arguments: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            is_rest = self._signature.parameters[name].kind is self._signature.parameters[name].VAR_KEYWORD
            arguments |= value if is_rest else {name: value}
        places = {name: f"{self.python_callable.__name__}({name}=…)" for name in arguments}
        arguments = {name: plain_value(value, places[name]) for name, value in arguments.items()}
        for name, value in arguments.items():
            if (wrong := _not_json(value, later)) is not None:
                raise InvalidJobError(
                    places[name],
                    f"only JSON values reach the container, got {wrong!r} ({type(wrong).__name__}).",
                )
        return arguments


def _not_json(value: Any, later: bool) -> Any:
    """What in a value is not JSON; None if nothing is.

    :param later: let values pass that are known only when the task runs, such as another task's output.
    """
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return None
    if later and callable(getattr(type(value), "resolve", None)):
        return None
    if isinstance(value, Mapping):
        keys = [key for key in value if not isinstance(key, str)]
        return keys[0] if keys else _not_json(list(value.values()), later)
    if isinstance(value, (list, tuple)):
        return next((wrong for item in value if (wrong := _not_json(item, later)) is not None), None)
    return value


def _in_the_call(name: str) -> str:
    return f"the function's arguments are given where it is called: {name}(…)."


@overload
def snowflake_batch_task(
    *, multiple_outputs: bool = True, **kwargs: Any
) -> Callable[[Callable[Concatenate[Any, _P], _R]], Task[_P, dict[str, Any]]]: ...


@overload
def snowflake_batch_task(
    python_callable: Callable[Concatenate[Any, _P], _R], /, *, multiple_outputs: bool = True, **kwargs: Any
) -> Task[_P, dict[str, Any]]: ...


def snowflake_batch_task(python_callable: Any = None, /, *, multiple_outputs: bool = True, **kwargs: Any) -> Any:
    """Score rows with a function of the Dag, as a batch job of the worker; ``@task.snowflake_batch`` is this.

    .. code-block:: python

        @task.snowflake_batch(
            X="SELECT * FROM my_db.my_schema.customers WHERE day = '{{ ds }}'",
            compute_pool="my_pool",
            output_spec={"stage_location": "@my_db.my_schema.results/churn/"},
            job_spec={"replicas": 4, "on_error": "quarantine"},
            deferrable=True,
        )
        def score(rows, threshold=0.5):
            import numpy as np

            probability = 1 / (1 + np.exp(3 - rows["CALLS"]))
            return {"PROBABILITY": probability, "CHURN": probability > threshold}

        score(threshold=0.7)

    The function's text runs in the container by itself: it imports what it needs inside, and its first parameter gets a
    batch of rows as a pandas DataFrame. The others are given where it is called in the Dag: JSON values, templates, or
    other tasks' output. What the call returns stands for the task's result, as of any operator.

    :param python_callable: the function.
    :param multiple_outputs: each key of the result is an XCom of its own as well, for ``result["output_location"]``.
    :param kwargs: what :class:`~airflow_provider_snowflake_batch.operators.batch_inference.RunBatchOperator` takes, but
        for ``model`` and what belongs to a registered model. ``input_spec`` has no ``params``.
    :raises InvalidJobError: when the Dag is parsed: the function needs something from around it, is no plain function,
        or has parameters that cannot be given by name.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        read_function(function)
        return task_decorator_factory(
            function, multiple_outputs=multiple_outputs, decorated_operator_class=FunctionBatchOperator, **kwargs
        )

    return decorate if python_callable is None else decorate(python_callable)
