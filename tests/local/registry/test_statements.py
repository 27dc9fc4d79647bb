"""Statements on models with a package written by hand: what the registry itself reads of one.

Also tests ``local/registry/change_models.py``, ``local/registry/model_files.py``, ``local/registry/registry.py``,
``local/registry/show_models.py``, ``local/registry/versions.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
import yaml
from snowflake.connector import DictCursor, SnowflakeConnection

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.packed_custom_model import METHOD, SIGNATURE


def package(folder: Path, **changes: Any) -> Path:
    """A folder as log_model uploads it, without the model's own files."""
    manifest = {"manifest_version": "1.0", "runtimes": {}, "methods": [METHOD], "user_data": {"k": 1}, **changes}
    spec = {"model_type": "custom", "task": "UNKNOWN", "env": {"snowpark_ml_version": "2.6.0"}}
    (folder / "model").mkdir(parents=True)
    (folder / "MANIFEST.yml").write_text(yaml.safe_dump(manifest))
    (folder / "model" / "model.yaml").write_text(yaml.safe_dump({**spec, "signatures": {"predict": SIGNATURE}}))
    return folder


def rows(connection: SnowflakeConnection, sql: str) -> list[dict[str, Any]]:
    return connection.cursor(DictCursor).execute(sql).fetchall()  # type: ignore[union-attr,return-value]


def upload(connection: SnowflakeConnection, folder: Path, name: str) -> str:
    rows(connection, "CREATE STAGE IF NOT EXISTS PACKAGES")
    for path in ("MANIFEST.yml", "model/model.yaml"):
        if (folder / path).exists():
            target = f"@PACKAGES/{name}/{path.rpartition('/')[0]}"
            rows(connection, f"PUT file://{folder}/{path} {target} AUTO_COMPRESS = FALSE OVERWRITE = TRUE")
    return f"@PACKAGES/{name}"


def test_what_show_reads_from_the_files(connection: SnowflakeConnection, schema: str, tmp_path: Path) -> None:
    source = upload(connection, package(tmp_path / "p"), "p")
    rows(connection, f"CREATE MODEL M WITH VERSION V1 FROM {source} COMMENT = 'c'")
    rows(connection, f'ALTER MODEL M ADD VERSION "v 2" FROM {source}')
    rows(connection, 'ALTER MODEL M VERSION "v 2" SET ALIAS = CHALLENGER')
    (model,) = rows(connection, f"SHOW MODELS LIKE 'm' IN SCHEMA LOCAL.{schema}")
    assert (model["comment"], model["default_version_name"], json.loads(model["versions"])) == (
        "c",
        "V1",
        ["V1", "v 2"],
    )
    assert json.loads(model["aliases"]) == {"DEFAULT": "V1", "FIRST": "V1", "LAST": "v 2", "CHALLENGER": "v 2"}
    first, second = rows(connection, "SHOW VERSIONS IN MODEL M")
    assert (first["is_default_version"], json.loads(first["aliases"])) == ("true", ["DEFAULT", "FIRST"])
    assert json.loads(second["aliases"]) == ["LAST", "CHALLENGER"]
    assert (json.loads(first["functions"]), json.loads(first["user_data"])) == (["PREDICT"], {"k": 1})
    assert yaml.safe_load(first["model_spec"])["signatures"]["predict"] == SIGNATURE
    for version in ("DEFAULT", "CHALLENGER", "LAST", "V1"):
        (function,) = rows(connection, f"SHOW FUNCTIONS IN MODEL M VERSION {version}")
        assert (function["name"], function["return_type"]) == ("PREDICT", "OBJECT")
        assert json.loads(function["arguments"]) == ["FLOAT", "FLOAT"]
    listed = rows(connection, f"LIST 'snow://model/LOCAL.{schema}.M/versions/CHALLENGER/model/'")
    assert [row["name"] for row in listed] == ["versions/v 2/model/model.yaml"]


def test_what_is_no_package(connection: SnowflakeConnection, schema: str, tmp_path: Path) -> None:
    broken = {
        "no_methods": {"methods": []},
        "no_handler": {"methods": [{**METHOD, "handler": "x"}]},
        "unknown_method": {"methods": [{**METHOD, "handler": "functions.explain.infer"}]},
    }
    for name, changes in broken.items():
        source = upload(connection, package(tmp_path / name, **changes), name)
        with pytest.raises(snowflake.connector.errors.Error, match="Invalid model package") as caught:
            rows(connection, f"CREATE MODEL M WITH VERSION V1 FROM {source}")
        assert caught.value.errno == 398501
    assert rows(connection, "SHOW MODELS IN SCHEMA") == []


def test_models_go_with_their_schema(connection: SnowflakeConnection, schema: str, tmp_path: Path) -> None:
    source = upload(connection, package(tmp_path / "p"), "p")
    rows(connection, f"CREATE MODEL M WITH VERSION V1 FROM {source}")
    rows(connection, f"DROP SCHEMA {schema}")
    rows(connection, f"CREATE SCHEMA {schema}")
    assert rows(connection, f"SHOW MODELS IN SCHEMA LOCAL.{schema}") == []


@pytest.mark.slow
def test_models_survive_a_killed_server(tmp_path: Path) -> None:
    with LocalServer(tmp_path / "state") as server:
        connection = snowflake.connector.connect(**server.connection_kwargs)
        source = upload(connection, package(tmp_path / "p"), "p")
        rows(connection, f"CREATE MODEL M WITH VERSION V1 FROM {source}")
        rows(connection, "ALTER MODEL M MODIFY VERSION V1 SET METADATA = '{\"a\": 1}'")
        # What a server leaves that is killed while it copies a version.
        (server.state_dir / "models" / "unfinished").mkdir()
        server.kill()
        server.start()
        connection = snowflake.connector.connect(**server.connection_kwargs)
        (version,) = rows(connection, "SHOW VERSIONS IN MODEL M")
        assert json.loads(version["metadata"]) == {"a": 1}
        assert len(list((server.state_dir / "models").iterdir())) == 1
        connection.close()
