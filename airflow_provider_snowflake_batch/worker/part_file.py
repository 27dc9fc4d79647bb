"""Writing one data file: Parquet, once from beginning to end, with its checksum on the way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 131_072
ROW_GROUP_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class PartFile:
    """One data file, as the manifest lists it.

    :param bytes: size of the file.
    :param checksum: ``sha256:`` and the hexadecimal digest of the file.
    """

    name: str
    rows: int
    bytes: int
    checksum: str


class ChecksumFile:
    """A binary file written from beginning to end, with the digest of what was written.

    It is not forced to a disk: on a stage volume, closing is what uploads a file; elsewhere a part that is lost with
    the machine has another size than its record says, and is written again.

    :param path: an existing file of that name is replaced, not written into: a process of an earlier attempt that is
        just dying may still hold it open.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._file: IO[bytes] = path.open("wb", buffering=0)
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
            self._file.close()

    @property
    def checksum(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"


class PartWriter:
    """Writes one part file in row groups of a readable size.

    :param path: where the part goes.
    :param schema: of every table that is given.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._file = ChecksumFile(path)
        self._schema = schema
        self._pending: list[pa.Table] = []
        self._pending_rows = self._pending_bytes = 0
        self.rows = 0
        # Floating-point columns have too many different values for a dictionary to pay.
        dictionary = [one.name for one in schema if pa.types.is_string(one.type) or pa.types.is_binary(one.type)]
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"), schema, compression="snappy", use_dictionary=dictionary or False
        )

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
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
            self.rows += table.num_rows

    def close(self) -> PartFile:
        """Finish the file.

        :return: the part, as records and manifest name it.
        """
        self._flush()
        self._writer.close()
        self._file.close()
        return PartFile(self._path.name, self.rows, self._file.bytes, self._file.checksum)

    def abandon(self) -> None:
        """Leave the file as it is, unfinished; without a record it does not count."""
        self._pending = []
        self._file.close()
