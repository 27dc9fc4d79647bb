"""Modules in the model's own folders run as their source is now, even if an older compiled file lies beside it.

Python uses a compiled file if it states the time (in whole seconds) and the size of the source. Other sources that were
unpacked, synced or built reproducibly often have the same time and size. So in these folders a compiled file counts
only if it states the hash of its source and has Python compare it (https://peps.python.org/pep-0552/). Other compiled
files are written anew, or ignored where that cannot be done.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import py_compile
import sys
from collections.abc import Iterable, Mapping
from importlib import machinery
from pathlib import Path
from typing import Any

# The flags of a compiled file that states a hash which Python has to compare.
_BY_HASH = (3).to_bytes(4, "little")
_FLAGS = slice(4, 8)


def compare_by_content(folders: Iterable[Path]) -> None:
    """Have Python import what lies below some folders by its content, from now on.

    What is imported already stays.
    """
    roots = tuple({f"{place}{os.sep}" for folder in folders for place in (folder.absolute(), folder.resolve())})
    details: list[tuple[Any, list[str]]] = [
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (_SourceLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    ]
    finder = machinery.FileFinder.path_hook(*details)

    def hook(path: str) -> Any:
        if not f"{Path(path).absolute()}{os.sep}".startswith(roots):
            raise ImportError("not below the model's folders", path=path)
        return finder(path)

    sys.path_hooks.insert(0, hook)
    for path in [one for one in sys.path_importer_cache if f"{Path(one).absolute()}{os.sep}".startswith(roots)]:
        del sys.path_importer_cache[path]


class _SourceLoader(machinery.SourceFileLoader):
    def path_stats(self, path: str) -> Mapping[str, Any]:
        """What the loader asks for to compare a compiled file with; without it, it compiles the source.

        :raises OSError: the compiled file does not state a hash.
        """
        if not _is_by_hash(path):
            raise OSError(f"{path} has no compiled file that states the hash of its source")
        return super().path_stats(path)


def _is_by_hash(source: str) -> bool:
    compiled = Path(importlib.util.cache_from_source(source))
    with contextlib.suppress(OSError), compiled.open("rb") as file:
        if file.read(8)[_FLAGS] == _BY_HASH:
            return True
    if not sys.dont_write_bytecode:
        # A source that does not compile fails when it is imported.
        with contextlib.suppress(OSError, py_compile.PyCompileError, ValueError):
            mode = py_compile.PycInvalidationMode.CHECKED_HASH
            return py_compile.compile(source, str(compiled), doraise=True, invalidation_mode=mode) is not None
    return False
