"""Whether a finished job's results on a stage are what they should be."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_snowflake_batch.contract.manifest import StoredManifest, parse_manifest, parse_result_manifest
from airflow_provider_snowflake_batch.contract.output_layout import MANIFEST, QUARANTINE, SUCCESS
from airflow_provider_snowflake_batch.contract.result_faults import listed_files, manifest_faults, size_faults
from airflow_provider_snowflake_batch.exceptions import ResultsError, SnowflakeBatchError
from airflow_provider_snowflake_batch.jobs import row_statements
from airflow_provider_snowflake_batch.jobs.errors import error_text, is_transient, lacks_privilege, some
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.input_files import InputFiles, visible_parquet

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

_Manifest = TypeVar("_Manifest")
OnFetched = Callable[[int, int], None]
"""Called with how many files have been fetched, and how many there are."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in order.

    :param output_location: the directory. :param rows: rows of its results.
    :param quarantined_rows: rows that failed and were put aside. :param files: files of results.
    :param bytes: their size, and that of the bad rows' files. :param has_manifest: whether there is a manifest, with
        which they were compared.
    :param contents: whether every file was read.
    """

    output_location: str
    rows: int
    quarantined_rows: int
    files: int
    bytes: int
    has_manifest: bool
    contents: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def verify_results(
    hook: SnowflakeBatchHook,
    directory: StagePath,
    *,
    contents: bool = False,
    expected_rows: int | None = None,
    min_rows: int | None = None,
    require_manifest: bool = False,
    on_fetched: OnFetched | None = None,
) -> Verification:
    """See :meth:`~airflow_provider_snowflake_batch.hooks.batch_inference.SnowflakeBatchHook.verify_results`.

    :param directory: fully qualified.
    """
    sizes = _sizes(hook, directory)
    manifest = _manifest(hook, directory, parse_manifest) if MANIFEST in sizes else None
    if manifest is not None:
        found = _verify_listed(hook, directory, sizes, manifest, contents=contents, on_fetched=on_fetched)
    elif require_manifest:
        raise ResultsError(
            f"{directory} has no {MANIFEST}, by which its files could be told to be all there. Snowflake's own runtime "
            "writes none: without require_manifest, the rows are counted."
        )
    else:
        found = _verify_unlisted(hook, directory, sizes, contents=contents, on_fetched=on_fetched)
    if expected_rows is not None and found.rows != expected_rows:
        raise ResultsError(f"{directory} has {found.rows} rows, not {expected_rows}.")
    if min_rows is not None and found.rows < min_rows:
        raise ResultsError(f"{directory} has {found.rows} rows, fewer than {min_rows}.")
    return found


def count_rows(hook: SnowflakeBatchHook, directory: StagePath) -> int:
    """See :meth:`~airflow_provider_snowflake_batch.hooks.batch_inference.SnowflakeBatchHook.count_rows`.

    :param directory: fully qualified.
    """
    sizes = _sizes(hook, directory)
    if MANIFEST in sizes:
        return _manifest(hook, directory, parse_result_manifest).rows
    return _verify_unlisted(hook, directory, sizes, contents=False).rows


def _sizes(hook: SnowflakeBatchHook, directory: StagePath) -> dict[str, int]:
    """The files of a finished directory: bytes, by path below it.

    :raises ResultsError: if it is not finished.
    """
    files = hook.list_files(directory)
    # External stages may list folders, too.
    sizes = {file.path.removeprefix(directory.path): file.size for file in files if not file.path.endswith("/")}
    if SUCCESS not in sizes:
        raise ResultsError(
            f"{directory} has no {SUCCESS}: its files are not complete. Its job is still at work, or has failed: let a "
            "BatchSuccessSensor wait for it, or score again."
        )
    return sizes


def _manifest(hook: SnowflakeBatchHook, directory: StagePath, parse: Callable[[str], _Manifest]) -> _Manifest:
    try:
        return parse(hook.read_file(directory.child(MANIFEST)).decode())
    except ValueError as error:
        raise ResultsError(f"{MANIFEST} of {directory} cannot be read: {error}.") from None


def _verify_listed(
    hook: SnowflakeBatchHook,
    directory: StagePath,
    sizes: Mapping[str, int],
    manifest: StoredManifest,
    *,
    contents: bool,
    on_fetched: OnFetched | None,
) -> Verification:
    faults = manifest_faults(manifest, sizes) + size_faults(manifest, sizes)
    files = listed_files(manifest)
    if contents:
        for number, (path, file) in enumerate(files, 1):
            if sizes.get(path) == file.bytes:
                columns = None if path.startswith(f"{QUARANTINE}/") else manifest.schema
                found = _read(hook, directory.child(path), file.bytes)
                faults += [f"{path} {fault}" for fault in found.unlike(file.checksum, file.rows, columns)]
            if on_fetched is not None:
                on_fetched(number, len(files))
    if faults:
        raise ResultsError(f"{directory} differs from its manifest: {some(faults)}.")
    return Verification(
        str(directory),
        rows=manifest.rows,
        quarantined_rows=manifest.quarantined_rows,
        files=len(manifest.files),
        bytes=sum(file.bytes for _, file in files),
        has_manifest=True,
        contents=contents,
    )


def _verify_unlisted(
    hook: SnowflakeBatchHook,
    directory: StagePath,
    sizes: Mapping[str, int],
    *,
    contents: bool,
    on_fetched: OnFetched | None = None,
) -> Verification:
    """Results without a manifest, as Snowflake's own runtime leaves them: their files can be read, and have rows."""
    found = InputFiles.of(sizes.items())
    if others := found.unclear + [name for name in found.parquet if "/" in name]:
        raise ResultsError(
            f"{directory} holds files that are not named as a job's results are (*.parquet in the directory itself), "
            f"so that it is not sure what they are: {some(others)}."
        )
    names = found.parquet
    own = {name: sizes[name] for name in names}
    return Verification(
        str(directory),
        rows=_rows_of_files(hook, directory, own, download=contents, on_fetched=on_fetched),
        quarantined_rows=0,
        files=len(names),
        bytes=sum(own.values()),
        has_manifest=False,
        contents=contents,
    )


def _rows_of_files(
    hook: SnowflakeBatchHook,
    directory: StagePath,
    sizes: Mapping[str, int],
    *,
    download: bool,
    on_fetched: OnFetched | None,
) -> int:
    """The rows of some files: counted by a warehouse, or told by the files' footers."""
    if not sizes:
        return 0
    if not download:
        try:
            return _counted(hook, directory)
        except Exception as error:
            if is_transient(error):
                raise
            if not lacks_privilege(error):
                raise ResultsError(f"The rows of {directory} cannot be counted: {error_text(error)}") from error
            hook.log.warning("Each file is fetched to count its rows, since this role lacks: %s", error_text(error))
    rows = 0
    for number, (name, size) in enumerate(sizes.items(), 1):
        found = _read(hook, directory.child(name), size)
        if found.error is not None:
            raise ResultsError(f"{name} of {directory} cannot be read: {found.error}.")
        rows += found.rows
        if on_fetched is not None:
            on_fetched(number, len(sizes))
    return rows


def _counted(hook: SnowflakeBatchHook, directory: StagePath) -> int:
    database, schema = hook.namespace
    stage = directory.stage
    file_format = QualifiedName(
        f"PARQUET_{uuid.uuid4().hex.upper()}", schema or stage.schema, database if schema else stage.database
    )

    def count(cursor: SnowflakeCursor) -> int:
        cursor.execute(row_statements.create_parquet_format(file_format))
        cursor.execute(row_statements.count_file_rows(directory, visible_parquet(directory), file_format))
        return int(cursor.fetchall()[0][0])

    return hook.on_session(count)


@dataclass(frozen=True, slots=True)
class _FileRead:
    """What is in a file. :param error: why it is no Parquet file, if it is none."""

    checksum: str
    rows: int = 0
    columns: frozenset[str] = frozenset()
    error: str | None = None

    def unlike(self, checksum: str, rows: int, columns: Mapping[str, str] | None) -> list[str]:
        """Clauses that follow the file's name: what differs from what a manifest says of it."""
        if self.checksum != checksum:
            return ["has another checksum"]
        if self.error is not None:
            return [f"cannot be read: {self.error}"]
        faults = [] if self.rows == rows else [f"has {self.rows} rows, not {rows}"]
        return faults + (["has other columns"] if columns is not None and self.columns != set(columns) else [])


def _read(hook: SnowflakeBatchHook, file: StagePath, size: int) -> _FileRead:
    """Fetch one file into temporary space, which it leaves again.

    :raises SnowflakeBatchError: if there is no room for it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if size > (free := shutil.disk_usage(tempfile.gettempdir()).free):
        raise SnowflakeBatchError(
            f"{file} has {size} bytes, and {tempfile.gettempdir()} room for {free}. Set TMPDIR to a folder with more."
        )
    with hook.fetched(file) as local:
        checksum = _checksum(local)
        try:
            with pq.ParquetFile(local) as parquet:
                return _FileRead(checksum, parquet.metadata.num_rows, frozenset(parquet.schema_arrow.names))
        except (OSError, pa.ArrowException) as error:
            return _FileRead(checksum, error=str(error).partition("\n")[0].rstrip("."))


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
