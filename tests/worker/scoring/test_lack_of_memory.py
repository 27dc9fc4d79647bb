"""A model that has no memory for a batch is called with fewer rows, whichever library says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.scoring.lack_of_memory import out_of_memory
from tests.worker.batches import Batch


class OutOfMemoryError(RuntimeError):
    """As PyTorch and CuPy call theirs."""


class XlaRuntimeError(RuntimeError):
    """As JAX calls its errors, all of them."""


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.77 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tri"
        ),
        RuntimeError("std::bad_alloc"),
        RuntimeError(
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Expand node. "
            "bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 4000000000"
        ),
        XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 68719476736 bytes."),
        XlaRuntimeError("RESOURCE_EXHAUSTED: Failed to allocate request for 8.00GiB (8589934592B) on device ordinal 0"),
        OSError(12, "Cannot allocate memory"),
        caused(ValueError("the pipeline failed"), OutOfMemoryError()),
    ],
    ids=lambda error: str(error)[:40],
)
def test_it_is_known(error: Exception) -> None:
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error", [ValueError("the tree has no leaf"), XlaRuntimeError("INVALID_ARGUMENT"), OSError(28)]
)
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not out_of_memory(error)


def test_an_error_that_was_handled_before_is_not_the_cause() -> None:
    error = ValueError("cannot go on")
    error.__context__ = MemoryError()
    assert out_of_memory(error)

    # As "raise … from None" does.
    error.__suppress_context__ = True
    assert not out_of_memory(error)


@pytest.mark.parametrize("on_error", ["fail", "quarantine"])
def test_a_device_without_memory(batch: Batch, tmp_path: Path, on_error: str) -> None:
    marks = tmp_path / "marks"
    batch.ids(2_000)
    batch.job(
        "OutOfDeviceMemory",
        init={"marks": str(marks)},
        inference={"max_batch_rows": 64, "num_workers": 1, "on_error": on_error},
    )

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["output_feature_0"].to_pylist() == list(range(2_000))
    assert batch.manifest()["quarantined_rows"] == 0
    # Each of the 32 batches would fail seven times if nothing were learned from the first.
    assert len(marks.read_text().splitlines()) <= 10
