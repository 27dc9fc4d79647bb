"""Columns whose values stand for files: what the model gets in their place."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding
from airflow_provider_snowflake_batch.worker.input.file_columns import Loader
from airflow_provider_snowflake_batch.worker.models.columns import handled_columns, holds_text
from airflow_provider_snowflake_batch.worker.stage_files.chat_messages import CHAT_COLUMN, ChatFiles
from airflow_provider_snowflake_batch.worker.stage_files.files import StageFiles


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
