"""Writing one data file: Parquet, once from beginning to end, with its checksum on the way."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.worker.output.disk import flush
from airflow_provider_snowflake_batch.worker.values.schemas import no_rows, unmarked

ROW_GROUP_ROWS = 131_072
ROW_GROUP_BYTES = 64 * 1024 * 1024
SAMPLE_ROWS = 16_384
WORTH_COMPRESSING = 0.9


class ChecksumFile:
    """A binary file written from beginning to end, with the digest of what was written.

    Closing it means that it has arrived: on a stage volume that is what uploads a file, on a disk it is flushed.

    :param path: nothing has that name yet.
    :raises FileExistsError: something has.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("xb", buffering=0)
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        self._digest.update(view)
        while view:
            written = self._file.write(view)
            view = view[written:]
        self.bytes += size
        return size

    def flush(self) -> None:
        pass

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self.bytes

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            try:
                flush(self._file.fileno())
            finally:
                self._file.close()

    def abandon(self) -> None:
        """Close it without waiting until it has arrived, or asking whether it has."""
        self.closed = True
        with contextlib.suppress(OSError):
            self._file.close()

    @property
    def checksum(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"


def encoding_options(first: pa.Table) -> dict[str, Any]:
    """How to encode columns, judged by the first rows.

    Most floating-point columns are like random bits: compressing them takes as long as all the rest of writing and
    saves nothing. A dictionary or statistics are not worth their cost for them either.
    """
    names = first.schema.names
    if any(pa.types.is_nested(kind) for kind in first.schema.types):
        # Parquet addresses the columns inside a nested one by paths of its own.
        return {"compression": "snappy", "use_dictionary": _texts(first.schema) or False}
    return {
        "compression": {name: "snappy" if _compressible(first.column(name)) else "none" for name in names},
        "use_dictionary": _texts(first.schema) or False,
        "write_statistics": [one.name for one in first.schema if not pa.types.is_floating(one.type)],
    }


def _texts(schema: pa.Schema) -> list[str]:
    return [one.name for one in schema if pa.types.is_string(one.type) or pa.types.is_binary(one.type)]


def _compressible(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_floating(column.type) or not len(column):
        return True
    values = column.slice(0, SAMPLE_ROWS).combine_chunks()
    width = column.type.bit_width // 8
    data = values.buffers()[1]
    if data is None:
        return True
    sample = data.slice(values.offset * width, len(values) * width)
    return bool(pa.compress(sample, "snappy").size < WORTH_COMPRESSING * sample.size)


class PartWriter:
    """Writes one part file in row groups of a readable size.

    :param path: where the part goes.
    :param schema: of every table that is given.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._file = ChecksumFile(path)
        self._schema = unmarked(schema)
        self._pending: list[pa.Table] = []
        self._pending_rows = self._pending_bytes = 0
        self.rows = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        self._pending.append(table)
        self._pending_rows += table.num_rows
        self._pending_bytes += table.nbytes
        if self._pending_rows >= ROW_GROUP_ROWS or self._pending_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            table = pa.concat_tables(self._pending)
            self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
            self._opened(table).write_table(table, row_group_size=max(table.num_rows, 1))
            self.rows += table.num_rows

    def _opened(self, first: pa.Table) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                pa.PythonFile(self._file, mode="w"), self._schema, **encoding_options(first)
            )
        return self._writer

    def close(self) -> PartFile:
        """Finish the file.

        :return: the part, as records and manifest name it.
        """
        self._flush()
        self._opened(no_rows(self._schema)).close()
        self._file.close()
        return PartFile(self._path.name, self.rows, self._file.bytes, self._file.checksum)

    def abandon(self) -> None:
        """Give the file up, and remove it."""
        self._pending = []
        self._file.abandon()
        # A file that cannot be removed is in no record, so it is removed with other unlisted files in the end.
        with contextlib.suppress(OSError):
            self._path.unlink()
