"""Models in ONNX's own files, run by ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_provider_snowflake_batch.contract.file_sources import OnnxModel
from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.code_archives import import_from, unpacked
from airflow_provider_snowflake_batch.worker.models.file_kind import FileKind, copied, copied_folder, import_library
from airflow_provider_snowflake_batch.worker.models.onnx_tensors import TensorInput, columns_of

_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class Kind(FileKind[OnnxModel]):
    source = OnnxModel
    library = "ONNX"
    functions = ("predict",)

    def prepare(self, model: OnnxModel, folder: Path) -> OnnxModel:
        model = unpacked(model, folder)
        if model.path.is_file() and model.path.suffix != ".zip":
            return replace(model, path=copied(model.path, folder / "model"))
        whole = copied_folder(model.path, folder / "model")
        found = sorted(whole.glob("*.onnx")) or sorted(whole.glob("*/*.onnx"))
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "none"
            raise Refused(f"model.path: {model.path} must hold one file .onnx, it has {names}")
        return replace(model, path=found[0])

    def load(self, model: OnnxModel, input_files: JobInput) -> LoadedModel:
        import_from(model.python_path)
        runtime = import_library("onnxruntime", "onnxruntime", "Snowflake's container runtime does not bring it.")
        session = _session(runtime, model.path)
        inputs = _inputs(session, model)
        known = [one.name for one in session.get_outputs()]
        for name in model.outputs:
            if name not in known:
                raise Refused(f"model.outputs: the ONNX model has no output {name!r}; it has {', '.join(known)}")

        def choose(columns: Sequence[str]) -> Mapping[str, str]:
            return {name: name for one in inputs for name in one.choose(columns)}

        return LoadedModel(_function(session, inputs, model, known), form="arrow", columns=choose)


def _session(runtime: Any, path: Path) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    options.inter_op_num_threads = 1
    available = runtime.get_available_providers()
    try:
        return runtime.InferenceSession(str(path), options, providers=[one for one in _PROVIDERS if one in available])
    except Exception as error:
        raise Refused(f"model.path: ONNX Runtime {runtime.__version__} cannot load {path.name}: {error}") from None


def _inputs(session: Any, model: OnnxModel) -> list[TensorInput]:
    nodes = session.get_inputs()
    known = [node.name for node in nodes]
    for name in model.inputs:
        if name not in known:
            raise Refused(f"model.inputs: the ONNX model has no input {name!r}; it has {', '.join(known)}")
    alone = len(nodes) == 1
    if model.columns and not alone:
        raise Refused(f"model.columns is for models with one input; give model.inputs: this has {', '.join(known)}")
    return [TensorInput.of_session(one, model.inputs.get(one.name, model.columns), alone=alone) for one in nodes]


def _function(
    session: Any, inputs: Sequence[TensorInput], model: OnnxModel, known: Sequence[str]
) -> Callable[[pa.Table], dict[str, Any]]:
    wanted = list(model.outputs) or list(known)
    fixed = {one.rows for one in inputs if one.rows is not None}
    if len(fixed) > 1:
        raise Refused(f"the ONNX model's inputs take different numbers of rows: {', '.join(map(str, sorted(fixed)))}")
    size = next(iter(fixed), None)

    def run(tensors: Mapping[str, np.ndarray]) -> list[Any]:
        rows = len(next(iter(tensors.values())))
        if size is None or rows == size:
            return session.run(wanted, tensors)  # type: ignore[no-any-return]
        parts = []
        for start in range(0, rows, size):
            places = np.minimum(np.arange(start, start + size), rows - 1)
            count = min(size, rows - start)
            parts.append(
                [one[:count] for one in session.run(wanted, {key: one[places] for key, one in tensors.items()})]
            )
        return [_joined(values) for values in zip(*parts, strict=True)]

    def predict(table: pa.Table) -> dict[str, Any]:
        found = run({one.name: one.tensor(table) for one in inputs})
        columns: dict[str, Any] = {}
        for name, value in zip(wanted, found, strict=True):
            columns |= columns_of(name, value, model.outputs.get(name))
        return columns

    return predict


def _joined(values: Sequence[Any]) -> Any:
    if isinstance(values[0], np.ndarray):
        return np.concatenate(values)
    return [one for part in values for one in part]
