"""PUT and GET: the server says where the stage's files are, the client moves them.

Source: ``snowflake/connector/file_transfer_agent.py`` of the Python connector. Up to 4.x it copies to and from a folder
of this machine (``LOCAL_FS``); from 5.x on it does not, and gets an end point over HTTP.
"""

from __future__ import annotations

import contextlib
import glob
import re
import time
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.local.clauses import properties
from airflow_provider_snowflake_batch.local.errors import compilation_error, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor, unescape
from airflow_provider_snowflake_batch.local.stages.files import OtherFiles, stage_files
from airflow_provider_snowflake_batch.local.stages.http_files import HttpFiles
from airflow_provider_snowflake_batch.local.stages.stages import Stages
from airflow_provider_snowflake_batch.local.state import StateDirectory
from airflow_provider_snowflake_batch.local.statements import Result, Statement, statement

_HEAD = re.compile(r"(?:\s+|/\*.*?\*/|--[^\n]*\n)*(?:PUT|GET)(?:\s+|/\*.*?\*/)*", re.IGNORECASE | re.DOTALL)
_FILE = re.compile(r"'((?:[^'\\]|''|\\.)*)'|\"([^\"]*)\"|(\S+)", re.DOTALL)
_PUT_OPTIONS = ("PARALLEL", "AUTO_COMPRESS", "SOURCE_COMPRESSION", "OVERWRITE")
_SKIPPED_SECONDS = 600
_COMPRESSED = (".gz", ".bz2", ".br", ".zst", ".deflate", ".raw_deflate", ".parquet", ".orc")


@statement("PUT")
def put(statement: Statement, cursor: Cursor, stages: Stages, http_files: HttpFiles, state: StateDirectory) -> Result:
    text = _after_head(statement.text)
    source, rest = _file(text)
    options_cursor = Cursor(rest)
    location = options_cursor.stage()
    options = properties(options_cursor, _PUT_OPTIONS)
    compression = str(options.get("SOURCE_COMPRESSION", "AUTO_DETECT")).upper()
    if compression not in ("AUTO_DETECT", "GZIP", "BZ2", "BROTLI", "ZSTD", "DEFLATE", "RAW_DEFLATE", "NONE"):
        raise not_supported(f"SOURCE_COMPRESSION = {compression}")
    compresses = options.get("AUTO_COMPRESS", True) is True
    overwrites = options.get("OVERWRITE", False) is True
    _, folder = stages.resolve(statement.session, location)
    folder.mkdir(parents=True, exist_ok=True)
    sources = [source]
    if not overwrites and not _moves_over_http(statement):
        sources, folder = _without_existing(source, folder, compresses, state.scratch)
    return _transfer(
        {
            "command": "UPLOAD",
            "src_locations": sources,
            "autoCompress": compresses,
            "overwrite": overwrites,
            "sourceCompression": compression.lower(),
            "parallel": int(options.get("PARALLEL", 4)),
            "threshold": 209715200,
            "stageInfo": _stage_info(statement, http_files, folder, writes=True),
        }
    )


def _without_existing(source: str, folder: Path, compresses: bool, scratch: Path) -> tuple[list[str], Path]:
    """The source files that the stage lacks, and where the client shall put them.

    Without OVERWRITE a file that is there stays. This transfer has no way to tell the client so: if all are there, it
    copies them to a folder that nobody reads.
    """
    # The client takes an absolute pattern, which Path.glob does not.
    matches = glob.glob(str(Path(source).expanduser()))  # noqa: PTH207
    missing = [match for match in matches if not (folder / _target_name(match, compresses)).exists()]
    if not matches or len(missing) == len(matches):
        return [source], folder
    if missing:
        return [glob.escape(match) for match in missing], folder
    skipped = scratch / "skipped"
    skipped.mkdir(exist_ok=True)
    for old in skipped.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _SKIPPED_SECONDS:
                old.unlink()
    return [source], skipped


def _target_name(source: str, compresses: bool) -> str:
    name = Path(source).name
    return name if not compresses or name.lower().endswith(_COMPRESSED) else f"{name}.gz"


@statement("GET")
def get(statement: Statement, cursor: Cursor, stages: Stages, http_files: HttpFiles, other_files: OtherFiles) -> Result:
    is_elsewhere = other_files.follow(cursor)
    location = cursor.string() if is_elsewhere else cursor.stage()
    target, rest = _file(statement.text[cursor.tokens[cursor.at - 1].end :].lstrip())
    options = properties(Cursor(rest), ("PARALLEL", "PATTERN"))
    if is_elsewhere:
        folder, found = other_files.find(statement.session, location)
        paths = [file.path for file in found]
    else:
        files = stage_files(stages, statement.session, location, options.get("PATTERN"))
        folder = stages.resolve(statement.session, location)[0].folder
        paths = [file.path for file in files]
    return _transfer(
        {
            "command": "DOWNLOAD",
            "src_locations": paths,
            "localLocation": target,
            "parallel": int(options.get("PARALLEL", 10)),
            "threshold": 209715200,
            "stageInfo": _stage_info(statement, http_files, folder, writes=False),
        }
    )


def _transfer(data: dict[str, Any]) -> Result:
    return Result((), (), transfer=data | {"encryptionMaterial": None, "kind": None, "operation": "Node"})


def _stage_info(statement: Statement, http_files: HttpFiles, folder: Path, *, writes: bool) -> dict[str, Any]:
    if _moves_over_http(statement):
        return http_files.stage_info(folder, writes=writes, base_url=statement.session.base_url)
    return {
        "locationType": "LOCAL_FS",
        "location": str(folder),
        "path": "",
        "creds": {},
        "isClientSideEncrypted": False,
    }


def _moves_over_http(statement: Statement) -> bool:
    application, version = statement.session.client
    return not (application == "PythonConnector" and version < (5,))


def _after_head(text: str) -> str:
    match = _HEAD.match(text)
    assert match is not None
    return text[match.end() :]


def _file(text: str) -> tuple[str, str]:
    """The local path of a ``file://`` argument, quoted or not, and the text after it."""
    match = _FILE.match(text)
    if match is None:
        raise compilation_error("syntax error: a file:// URL is expected.")
    url = unescape(match[1]) if match[1] is not None else match[2] if match[2] is not None else match[3].rstrip(";")
    if not url.lower().startswith("file://"):
        raise compilation_error(f"invalid URL prefix found in: {url!r}")
    path = url[len("file://") :]
    if path.startswith("localhost/"):
        path = path[len("localhost") :]
    return path, text[match.end() :]
