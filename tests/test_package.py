"""What an installer and Airflow's provider manager read, and what no published file may hold."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution, entry_points, packages_distributions
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_provider_snowflake_batch as package

ROOT = Path(__file__).parent.parent
PACKAGE = Path(package.__file__).parent
DISTRIBUTION = "airflow-provider-snowflake-batch"


PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = PYPROJECT["project"]
    return found


def test_the_entry_point_gives_the_provider_info() -> None:
    found = [point for point in entry_points(group="apache_airflow_provider") if point.dist.name == DISTRIBUTION]
    assert [point.name for point in found] == ["provider_info"]
    assert found[0].load() is package.get_provider_info


def test_provider_info_follows_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text(encoding="utf-8"))
    info = package.get_provider_info()
    jsonschema.validate(info, schema)
    assert set(info) <= {*schema["properties"], "versions"}
    assert info["package-name"] == DISTRIBUTION


def test_the_integration_has_what_airflow_asks_of_its_own_providers() -> None:
    """The schema of the files from which Airflow makes provider info is stricter: it lists the tags."""
    import xml.etree.ElementTree as ET

    schema = json.loads((Path(airflow.__file__).parent / "provider.yaml.schema.json").read_text(encoding="utf-8"))
    (integration,) = package.get_provider_info()["integrations"]
    jsonschema.validate([integration], schema["properties"]["integrations"])
    logo = ROOT / integration["logo"].lstrip("/")
    assert ET.parse(logo).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_options_of_the_configuration_say_all_that_airflow_prints() -> None:
    """Its schema admits empty ones."""
    from packaging.version import Version

    ((section, told),) = package.get_provider_info()["config"].items()
    assert section == "snowflake_batch"
    assert told["description"]
    for name, option in told["options"].items():
        assert set(option) == {"description", "version_added", "type", "example", "default"}, name
        assert option["description"].endswith(".")
        assert Version(option["version_added"]) > Version("0")
        assert option["example"]


def test_everything_that_the_provider_info_names_can_be_loaded() -> None:
    info = package.get_provider_info()
    named = [*info["cli"], *info["extra-links"], *(one["class-name"] for one in info["task-decorators"])]
    for dotted in named:
        module, _, name = dotted.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name)), dotted
    # All links and triggers that there are; Airflow refuses a link that is not listed.
    links = {path.stem for path in (PACKAGE / "links").glob("*.py")} - {"__init__", "stored_link"}
    assert {dotted.split(".")[-2] for dotted in info["extra-links"]} == links


def test_airflow_finds_the_provider() -> None:
    from airflow.providers_manager import ProvidersManager

    found = ProvidersManager().providers[DISTRIBUTION]
    assert found.version == package.__version__


SHOWN = {
    "list": {DISTRIBUTION},
    f"get {DISTRIBUTION} --full": set(),
    "triggers": {module for one in package.get_provider_info()["triggers"] for module in one["python-modules"]},
    "links": set(package.get_provider_info()["extra-links"]),
    "configs": {DISTRIBUTION, "snowflake_batch"},
}
# One process for all of them: it takes seconds until one has loaded Airflow.
COMMANDS = """
import sys
from airflow.__main__ import main
for command in sys.argv[1:]:
    sys.argv[1:] = ["providers", *command.split(), "-o", "json"]
    main()
    print("end of " + command, flush=True)
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What ``airflow providers …`` prints."""
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("home"))}
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, *SHOWN],
        env=environment, capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    return {command: json.loads(lines[lines.index(f"end of {command}") - 1]) for command in SHOWN}


@pytest.mark.parametrize("command", SHOWN)
def test_airflows_command_line_shows_what_the_provider_brings(
    command: str, shown: dict[str, list[dict[str, Any]]]
) -> None:
    rows = shown[command]
    if command.startswith("get"):
        # Airflow shows the description without its full stop, and adds where the distribution says its pages are.
        (row,), info = rows, package.get_provider_info()
        assert {name: row[name] for name in info} == info | {"description": info["description"].rstrip(".")}
        return
    values = [value for row in rows for value in row.values()]
    # Of an option's section, its provider, its name and all of it.
    names = {name for value in values for name in ([*value[:1], *value[1]] if isinstance(value, list) else [value])}
    assert SHOWN[command] <= names


def test_versions_agree(project: dict[str, Any]) -> None:
    assert package.__version__ == project["version"] == distribution(DISTRIBUTION).version
    assert package.get_provider_info()["versions"][0] == package.__version__
    assert f"## [{package.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_module_of_the_provider_info_exists() -> None:
    info = package.get_provider_info()
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for integration in info[kind]:
            for module in integration["python-modules"]:
                importlib.import_module(module)


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_installers_choose_airflow_before_what_airflow_limits(project: dict[str, Any]) -> None:
    """uv chooses versions in the order of the requirements, which the build sorts. The newest FastAPI, chosen first,
    fits an old Airflow only."""
    names = [re.split(r"[<>=~!;]", line)[0] for line in sorted(project["dependencies"])]
    assert names.index("apache-airflow-core") < names.index("fastapi")


def test_constraints_cover_every_requirement(project: dict[str, Any]) -> None:
    groups = {name_of(item) for group in PYPROJECT["dependency-groups"].values() for item in group}
    names = (requirements(project, list(project["optional-dependencies"])) | groups) - {DISTRIBUTION}
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    assert names <= pinned


# Where readers are told what to install, and an extra in it.
INSTRUCTIONS = [
    *(ROOT.glob("*.md")),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "docker").glob("*.yaml"),
    *(ROOT / "example_dags").glob("*.py"),
    *PACKAGE.rglob("*.py"),
]
_EXTRA = re.compile(rf"(?:{DISTRIBUTION}|['\"]\.)\[([\w, -]+)\]|(?<!connection's )\bextra\s`+([\w-]+)`+")


def test_extras_are_for_users(project: dict[str, Any]) -> None:
    """As the package is installed here. Tools for work on it are in groups, which no installation of a release sees."""
    published = set(distribution(DISTRIBUTION).metadata.get_all("Provides-Extra", []))
    assert published == set(project["optional-dependencies"])
    assert not published & set(PYPROJECT["dependency-groups"])
    tools = {"coverage", "furo", "hatchling", "hypothesis", "mypy", "pytest", "ruff", "sphinx"}
    grouped = {name_of(item) for group in PYPROJECT["dependency-groups"].values() for item in group}
    assert tools <= grouped - requirements(project, list(published))
    told = {extra for path in INSTRUCTIONS for extra in extras_of(path.read_text(encoding="utf-8"))}
    assert told == published, "each extra is told of somewhere, and those that are told of exist"


def extras_of(text: str) -> set[str]:
    named = [match[1] or match[2] for match in _EXTRA.finditer(text)]
    return {extra.strip() for names in named for extra in names.split(",")}


def test_the_lowest_versions_can_be_installed_together(project: dict[str, Any]) -> None:
    """An installer has resolved constraints/lowest.txt; a floor that others do not let it reach is not in there."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    text = (ROOT / "constraints" / "lowest.txt").read_text(encoding="utf-8")
    lowest = dict(re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)$", text, re.MULTILINE))
    of_extras = {item for extra in project["optional-dependencies"].values() for item in extra}
    unreached = {}
    for item in {*project["dependencies"], *of_extras}:
        requirement = Requirement(item)
        if requirement.name == DISTRIBUTION:
            continue
        (floor,) = (part.version for part in requirement.specifier if part.operator == ">=")
        if Version(lowest[requirement.name.lower()]) != Version(floor):
            unreached[item] = lowest[requirement.name.lower()]
    assert unreached == {}


# What may be installed beside the package itself where a room runs.
EXTRAS_OF = {
    "worker": ["onnx", "ray", "registry"],
    "local": ["local", "registry"],
    "standalone": ["local"],
    "lineage": ["openlineage"],
}


# pytest itself loads this module, and nobody else.
LOADED_BY = {"local/pytest_plugin.py": "pytest"}


def requirements(project: dict[str, Any], extras: list[str]) -> set[str]:
    listed = [*project["dependencies"], *(item for extra in extras for item in project["optional-dependencies"][extra])]
    return {name_of(item) for item in listed}


def name_of(requirement: str) -> str:
    return re.split(r"[\s\[<>=~!;]", requirement)[0].lower().replace("_", "-")


def test_what_the_package_imports_is_declared(project: dict[str, Any]) -> None:
    providers = packages_distributions()
    undeclared = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        declared = requirements(project, EXTRAS_OF.get(room, []))
        for name in imported_names(path):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names or top == PACKAGE.name:
                continue
            if LOADED_BY.get(path.relative_to(PACKAGE).as_posix()) == top:
                continue
            # What is not installed here bears the name of its distribution.
            offered = {distribution.lower().replace("_", "-") for distribution in providers.get(top, [top])}
            if not offered & declared:
                undeclared.add(f"{path.relative_to(PACKAGE)} imports {name}")
    assert undeclared == set()


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)


def published_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_machine_or_a_package_index() -> None:
    # Written in pieces, so that this file passes its own test.
    private = re.compile(
        "|".join(
            [
                "/" + r"(?:root|home/\w+|Users/\w+|work)/",
                "--" + r"(?:extra-)?index-url[ =]\S",
                "--" + r"find-links[ =]\S",
                "file:" + r"///(?!\{)\w+/simple",
            ]
        )
    )
    found = []
    for path in published_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in private.finditer(text)]
    assert not found


def test_the_image_has_the_libraries_that_the_worker_is_tested_with() -> None:
    def pins(path: str) -> set[str]:
        lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        return {line for line in lines if line and not line.startswith("#")}

    image = pins("docker/requirements.txt")
    assert image <= pins("constraints/worker-newest.txt")
    assert {line.partition("==")[0] for line in image} == {"numpy", "pandas", "pyarrow", "pyyaml"}
