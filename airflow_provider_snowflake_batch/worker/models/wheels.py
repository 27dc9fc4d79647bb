"""Which wheels of a folder are for this Python: one folder may hold those for a laptop's and for the container's.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention,
…/platform-compatibility-tags
"""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_snowflake_batch.worker.errors import Refused

_NAME = re.compile(
    r"(?P<project>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl"
)
_CPYTHON = re.compile(r"cp3(\d+)")
_PYTHON = re.compile(r"py3(\d*)")


@dataclass(frozen=True, slots=True)
class _Wheel:
    path: Path
    project: str
    version: str
    fits: bool


def fitting(wheels: Iterable[Path], field: str) -> list[Path]:
    """One wheel of each project, for this Python and machine. Files whose names tell nothing are taken as they are.

    :param field: of the job file, for errors.
    :raises Refused: none of a project's wheels is, or several versions are.
    """
    chosen: list[Path] = []
    projects: dict[str, list[_Wheel]] = {}
    for path in sorted(wheels):
        wheel = _read(path)
        if wheel is None:
            chosen.append(path)
        else:
            projects.setdefault(wheel.project, []).append(wheel)
    for project, found in projects.items():
        fit = [wheel for wheel in found if wheel.fits]
        if not fit:
            names = ", ".join(wheel.path.name for wheel in found)
            here = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {platform.system()} ({platform.machine()})"
            raise Refused(f"{field}: no wheel of {project} is for {here}: {names}")
        if len({wheel.version for wheel in fit}) > 1:
            names = ", ".join(wheel.path.name for wheel in fit)
            raise Refused(f"{field}: there is more than one version of {project}, leave one of them: {names}")
        chosen.append(fit[0].path)
    return sorted(chosen)


def _read(path: Path) -> _Wheel | None:
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    tags = match["python"].split("."), match["abi"].split("."), match["platform"].split(".")
    fits = any(
        _is_for_python(python, abi) and _is_for_machine(machine)
        for python in tags[0]
        for abi in tags[1]
        for machine in tags[2]
    )
    return _Wheel(path, re.sub(r"[-_.]+", "-", match["project"]).lower(), match["version"], fits)


def _is_for_python(python: str, abi: str) -> bool:
    minor = sys.version_info[1]
    if pure := _PYTHON.fullmatch(python):
        return abi == "none" and int(pure[1] or 0) <= minor
    compiled = _CPYTHON.fullmatch(python)
    if compiled is None or sys.implementation.name != "cpython":
        return False
    without_lock = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    if abi == "abi3":
        return int(compiled[1]) <= minor and not without_lock
    return int(compiled[1]) == minor and abi in ("none", f"{python}t" if without_lock else python)


def _is_for_machine(tag: str) -> bool:
    if tag == "any":
        return True
    machine = platform.machine()
    if sys.platform == "darwin":
        return tag.startswith("macosx_") and tag.endswith((f"_{machine}", "_universal2"))
    library = "musllinux_" if platform.libc_ver()[0] != "glibc" else "manylinux"
    return tag.startswith((library, "linux_")) and tag.endswith(f"_{machine}")
