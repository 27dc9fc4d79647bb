"""Columns whose values stand for files: what the model gets in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding
from airflow_provider_snowflake_batch.worker.input.read_ahead import Admit
from airflow_provider_snowflake_batch.worker.models.columns import handled_columns, holds_text
from airflow_provider_snowflake_batch.worker.stage_files.chat import CHAT_COLUMN, ChatFiles
from airflow_provider_snowflake_batch.worker.stage_files.files import StageFiles

Content = bytes | str | None


@dataclass(frozen=True)
class Loader:
    """What becomes of a column.

    :param load: from the value in the input to what the model gets; raises `DataError` if a file cannot be had.
    :param kind: the Arrow type of what it gets; with 64-bit offsets, because a batch may hold more than 2 GiB.
    """

    load: Callable[[str | None, Admit], Content]
    kind: pa.DataType


def column_loaders(job: Job, schema: pa.Schema) -> Mapping[str, Loader]:
    """The columns of a job whose values stand for files.

    :raises Refused: ``column_handling`` names a column that the input lacks.
    """
    files = StageFiles(job.stages)
    loaders = {column: _handled(files, encoding) for column, encoding in handled_columns(job, schema.names).items()}
    for field in schema:
        if field.name.upper() == CHAT_COLUMN and holds_text(field.type):
            loaders.setdefault(field.name, Loader(ChatFiles(files).inline, pa.large_string()))
    return loaders


def _handled(files: StageFiles, encoding: FileEncoding) -> Loader:
    kind = pa.large_binary() if encoding is FileEncoding.RAW_BYTES else pa.large_string()
    return Loader(lambda path, admit: files.load(path, encoding, admit), kind)
