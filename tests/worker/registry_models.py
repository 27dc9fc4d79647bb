"""Models as ``log_model`` packs them, and the part of a job file that names one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snowflake.ml.model._packager.model_packager import ModelPackager

from tests.worker import packed_models


def pack(directory: Path, model: Any, **options: Any) -> None:
    """Pack a model as ``Registry.log_model`` does before it uploads: its composer puts it into ``model``."""
    (directory / "model").mkdir(parents=True)
    ModelPackager(str(directory / "model")).save(
        name="m", model=model, options={}, ext_modules=[packed_models], **options
    )


def registry(path: Path, function: str = "predict") -> dict[str, Any]:
    return {"kind": "registry", "path": str(path), "function": function}
