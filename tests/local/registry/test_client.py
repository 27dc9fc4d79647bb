"""Models and versions through the real registry client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from snowflake.snowpark.exceptions import SnowparkSQLException

from tests.local.registry.conftest import Registered

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def model(registered: Registered, request: pytest.FixtureRequest) -> Any:
    """A model of the test's own with two versions."""
    name = request.node.name.upper()
    for version in ("V1", "V2"):
        registered.registry.log_model(
            registered.model, model_name=name, version_name=version, sample_input_data=registered.rows.head(3)
        )
    yield registered.registry.get_model(name)
    registered.session.sql(f"DROP MODEL IF EXISTS {name}").collect()


def test_what_was_logged_is_shown(registered: Registered) -> None:
    shown = registered.registry.show_models().set_index("name").loc["IRISES"]
    assert (shown["schema_name"], shown["default_version_name"]) == ("MODELS", "V1")
    assert json.loads(shown["versions"]) == ["V1"]
    version = registered.registry.get_model("irises").version("v1")
    (function,) = version.show_functions()
    assert (function["name"], function["target_method"]) == ("PREDICT", "predict")
    assert [item.name for item in function["signature"].inputs] == list(registered.rows.columns)


def test_versions_default_and_aliases(model: Any) -> None:
    assert [version.version_name for version in model.versions()] == ["V1", "V2"]
    assert model.default.version_name == "V1"
    model.default = "V2"
    assert model.default.version_name == "V2"
    model.version("V1").set_alias("champion")
    assert model.version("champion").version_name == "V1"
    assert (model.first().version_name, model.last().version_name) == ("V1", "V2")
    with pytest.raises(SnowparkSQLException, match="already exists"):
        model.version("V2").set_alias("champion")
    model.version("V1").unset_alias("champion")
    with pytest.raises(ValueError, match="(?i)champion"):
        model.version("champion")


def test_comments_metrics_and_tags(model: Any) -> None:
    model.comment = "it's a model"
    version = model.version("V1")
    version.comment = "the first"
    version.set_metric("accuracy", 0.97)
    assert (model.comment, version.comment, version.show_metrics()) == ("it's a model", "the first", {"accuracy": 0.97})
    model.set_tag("team", "vision")
    assert model.get_tag("team") == "vision"
    assert model.show_tags() == {"LOCAL.MODELS.TEAM": "vision"}
    model.unset_tag("team")
    assert model.get_tag("team") is None


def test_versions_are_deleted_except_the_default(model: Any) -> None:
    with pytest.raises(SnowparkSQLException, match="default version"):
        model.delete_version("V1")
    model.delete_version("V2")
    assert [version.version_name for version in model.versions()] == ["V1"]


def test_rename_and_delete(registered: Registered, model: Any) -> None:
    model.rename("RENAMED")
    assert registered.registry.get_model("RENAMED").default.version_name == "V1"
    registered.registry.delete_model("RENAMED")
    with pytest.raises(ValueError, match="RENAMED"):
        registered.registry.get_model("RENAMED")


def test_a_version_is_logged_once(registered: Registered, model: Any) -> None:
    with pytest.raises(ValueError, match="already existed"):
        registered.registry.log_model(
            registered.model, model_name=model.name, version_name="V2", sample_input_data=registered.rows.head(3)
        )


def test_a_version_becomes_another_model(registered: Registered) -> None:
    copied = registered.registry.log_model(registered.version, model_name="COPIED", version_name="C1")
    registered.registry.delete_model("COPIED")
    assert copied.version_name == "C1"
    assert registered.registry.get_model("IRISES").version("V1").load() is not None


def test_files_come_back(registered: Registered, tmp_path: Path) -> None:
    loaded = registered.version.load()
    assert (loaded.predict(registered.rows) == registered.model.predict(registered.rows)).all()
    registered.version.export(str(tmp_path))
    assert (tmp_path / "model" / "model.yaml").is_file()


@pytest.mark.parametrize(
    ("sql", "errno"),
    [
        ("SHOW VERSIONS IN MODEL NO_MODEL", 2003),
        ("SHOW FUNCTIONS IN MODEL IRISES VERSION V9", 2003),
        ("CREATE MODEL IRISES WITH VERSION V1 FROM MODEL IRISES VERSION V1", 2002),
        ("CREATE MODEL NEW WITH VERSION V1 FROM @OUT/nothing/here", 398507),
        ("CREATE MODEL NEW WITH VERSION V1 FROM @NO_STAGE/x", 2003),
        ("ALTER MODEL IRISES ADD VERSION V1 FROM MODEL IRISES VERSION V1", 2002),
        ("ALTER MODEL IRISES ADD VERSION LAST FROM MODEL IRISES VERSION V1", 1008),
        ("ALTER MODEL IRISES DROP VERSION V1", 398503),
        ("ALTER MODEL IRISES MODIFY VERSION V1 SET METADATA = '[1]'", 398505),
        ("LIST 'snow://model/LOCAL.MODELS.IRISES/versions/V9/'", 2003),
        ("LIST 'snow://model/LOCAL.MODELS.IRISES/versions/V1/../../'", 2003),
        ("DROP MODEL NO_MODEL", 2003),
    ],
)
def test_what_is_refused(registered: Registered, sql: str, errno: int) -> None:
    with pytest.raises(SnowparkSQLException) as caught:
        registered.session.sql(sql).collect()
    assert caught.value.sql_error_code == errno, caught.value.message
    assert [model.name for model in registered.registry.models() if model.name == "NEW"] == []
