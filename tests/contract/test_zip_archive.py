"""Archives whose bytes depend on what is in them only."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from airflow_provider_snowflake_batch.contract.zip_archive import add_file, zip_archive


def test_a_file_is_added_as_its_content_would_be(tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(b"weights")
    streamed = io.BytesIO()
    with zipfile.ZipFile(streamed, "w") as archive:
        add_file(archive, "model/weights.bin", tmp_path / "local")

    assert streamed.getvalue() == zip_archive({"model/weights.bin": b"weights"})
