"""Whether a model failed for lack of memory, its own or a device's, whichever library says so."""

from __future__ import annotations

import gc
import re
import sys

# Names of classes: PyTorch's and CuPy's, and TensorFlow's.
_NAMES = {"OutOfMemoryError", "ResourceExhaustedError"}
# Texts of PyTorch's CPU allocator, of its errors of cuBLAS and cuDNN, of ONNX Runtime, JAX, XGBoost, Numba and the
# operating system.
_TEXTS = re.compile(
    r"out.of.memory|failed to allocate|(?:can't|cannot|could not|unable to) allocate|memory allocation|bad_alloc"
    r"|OOM when allocating|STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that there was not enough memory."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, MemoryError) or type(cause).__name__ in _NAMES or _TEXTS.search(text_of(cause)):
            return True
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return False


def text_of(error: BaseException) -> str:
    """The message of an error, which may be unable to tell it."""
    try:
        return str(error)
    except Exception:
        return ""


def release() -> None:
    """Give back what a failed call has left: objects in cycles, then the device memory that PyTorch keeps for reuse."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
