"""A model's folder as ``transformers`` writes it, and that library itself."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.code_archives import unpack

CONFIG_FILE = "config.json"


def local_folder(path: Path, folder: Path) -> Path:
    """The model's folder on a local disk: weights are mapped into memory, and so are read in scattered pieces.

    A zip archive is unpacked, and what lies on another file system than temporary files, such as a mounted stage, is
    copied from its beginning to its end; what is on the same disk stays where it is.

    :param folder: for temporary files; whoever owns it removes it.
    :raises Refused: it does not exist, is no such folder, or there is no room for it.
    """
    target = folder / "model"
    if path.is_file():
        unpack(path, target, "model.path")
        path = target
    path = _with_config(path)
    if target not in (path, *path.parents) and path.stat().st_dev != folder.stat().st_dev:
        try:
            shutil.copytree(path, target)
        except OSError as error:
            raise Refused(f"model.path: {path} cannot be copied into {folder}: {_reason(error)}") from None
        path = target
    return path


def _reason(error: OSError) -> str:
    """The first file that :func:`shutil.copytree` could not copy, and why."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return str(error.args[0][0][2])
    return str(error)


def _with_config(path: Path) -> Path:
    """The folder itself, or the only one in it, as archives often have."""
    if not path.is_dir():
        raise Refused(f"model.path: {path} does not exist")
    inside = [one for one in path.iterdir() if one.is_dir()]
    for candidate in (path, *inside[: 1 if len(inside) == 1 else 0]):
        if (candidate / CONFIG_FILE).is_file():
            return candidate
    raise Refused(f"model.path: {path} holds no {CONFIG_FILE}: give the folder that save_pretrained has written")


def import_transformers(extra: Sequence[str] = ()) -> tuple[Any, Any]:
    """The libraries ``transformers`` and ``torch``, which are told to fetch nothing.

    :param extra: other packages that the model needs, by the names that they are imported by.
    :raises Refused: one of them is not installed.
    """
    # Otherwise files that the folder lacks are looked for on the network, with one timeout after the other.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Threads do not survive a fork, and the library would warn of that in the log each time.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    names = ("transformers", "torch", *extra)
    missing = []
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            missing.append({"PIL": "pillow"}.get(name, name))
    if missing:
        raise Refused(
            f"{' and '.join(missing)} must be installed where the worker runs for models of this kind, which "
            "Snowflake's container runtime has; an image of your own gets them by pip"
        )
    transformers = importlib.import_module("transformers")
    # The job's own progress lines tell how far it is.
    transformers.utils.logging.disable_progress_bar()
    return transformers, importlib.import_module("torch")


def device_of(torch: Any) -> str:
    """Where models are put: the first GPU that the process sees, if there is one."""
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def default_batch_tokens(device: str) -> int:
    """Tokens that go through a model at once. On a processor, larger batches are hardly faster and leave its caches.

    :param device: as `device_of` tells it.
    """
    return 8192 if device == "cpu" else 65536
