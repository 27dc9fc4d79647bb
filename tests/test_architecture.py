"""Which room of the package may import which (docs/architecture.md), read from the source, not from what runs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_snowflake_batch"
ROOT = Path(__file__).parent.parent / PACKAGE

# What runs a job from a Dag. Beneath it lies what all of it may import.
FACES = {"operators", "decorators", "triggers", "sensors", "links"}
BENEATH_FACES = {"hooks", "exceptions", "jobs", "contract"}
KNOWS = {
    "__init__": set(),
    "contract": {"contract"},
    "jobs": {"jobs", "contract"},
    "exceptions": {"jobs"},
    "hooks": {"hooks", "exceptions", "jobs", "contract"},
    "links": {"links", *BENEATH_FACES},
    "lineage": {"lineage", *BENEATH_FACES},
    "triggers": {"triggers", *BENEATH_FACES},
    "operators": {"operators", "triggers", "links", "lineage", *BENEATH_FACES},
    "decorators": {"decorators", "operators", *BENEATH_FACES},
    "sensors": {"sensors", "operators", "triggers", "links", *BENEATH_FACES},
    "worker": {"worker", "contract"},
    "local": {"local", "jobs", "contract"},
    "monitoring": {"monitoring", "links", "jobs", "contract"},
    "doctor": {"doctor", "hooks", "jobs", "contract"},
    "standalone": {"standalone"},
    "cli": {"cli", "doctor", "standalone", "hooks", "exceptions", "jobs"},
}
ALSO_KNOWS = {
    # The worker as one file, which is uploaded.
    Path("hooks/worker_job.py"): {f"{PACKAGE}.worker.archive"},
    # The server as a process.
    Path("standalone/stack.py"): {f"{PACKAGE}.local.server_process"},
}
MOST_LINES = 60
DRIVER = {"snowflake.connector", "snowflake.snowpark", "snowflake.sqlalchemy"}
SERVER = {"fakesnow", "duckdb", "starlette", "uvicorn"}


def modules() -> list[Path]:
    return sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.parts[0] if len(module.parts) > 1 else module.stem


@cache
def nodes(file: Path) -> list[ast.AST]:
    """The syntax tree of a file, read once for all tests."""
    return list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


@cache
def imports(module: Path) -> list[tuple[int, str]]:
    """Every import of a module as (line, absolute dotted name), also those inside functions and for types only."""
    package = [PACKAGE, *module.parts[:-1]]
    found: list[tuple[int, str]] = []
    for node in nodes(ROOT / module):
        if isinstance(node, ast.Import):
            found += ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            found += ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
    return found


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def room_imported(name: str) -> str | None:
    """The room of ours that an import reaches, None if it reaches none (``from package import __version__`` too)."""
    parts = name.split(".")
    if parts[0] != PACKAGE or len(parts) < 2:
        return None
    return parts[1] if (ROOT / parts[1]).is_dir() or (ROOT / f"{parts[1]}.py").is_file() else None


def test_imports_follow_the_arrows() -> None:
    assert {str(module) for module in modules() if room_of(module) not in KNOWS} == set(), "no room of architecture.md"
    wrong = [
        f"{module}:{line} imports {name}"
        for module in modules()
        for line, name in imports(module)
        if (target := room_imported(name)) is not None
        and target not in KNOWS[room_of(module)]
        and not within(name, ALSO_KNOWS.get(module, set()))
    ]
    assert not wrong


NUMBERS = {"eight": 8, "eleven": 11, "eighteen": 18}


def test_the_walks_of_the_page_lead_through_modules_that_are_there() -> None:
    page = (ROOT.parent / "docs/architecture.md").read_text(encoding="utf-8")
    walks = page.partition("## Three walks\n")[2].partition("\n## ")[0].split("\n\n**")[1:]
    assert len(walks) == 3
    for walk in walks:
        files = list(dict.fromkeys(re.findall(r"`([\w/]+\.py)`", walk.replace("`operators/named_jobs.py`", ""))))
        count = re.search(r"\*\*: (\w+) files\.", walk)
        assert count is not None
        assert NUMBERS[count[1]] == len(files)
        assert [file for file in files if not (ROOT / file).is_file()] == []


def test_every_room_has_its_rule() -> None:
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    files = {path.stem for path in ROOT.glob("*.py")}
    assert rooms | files == set(KNOWS)


@pytest.fixture(scope="module")
def imported_by() -> dict[Path, set[Path]]:
    """Which modules of ours each module imports, also inside functions and for types only."""
    known = {module_name(module): module for module in modules()}
    found: dict[Path, set[Path]] = {module: set() for module in known.values()}
    for module, reached in found.items():
        for _, name in imports(module):
            # What is imported may be a name inside a module.
            targets = [name, name.rpartition(".")[0]]
            reached.update(known[target] for target in targets[: 1 if name in known else 2] if target in known)
    return found


def module_name(module: Path) -> str:
    return ".".join((PACKAGE, *module.with_suffix("").parts)).removesuffix(".__init__")


def test_files_of_different_folders_import_each_other_in_no_circle(imported_by: dict[Path, set[Path]]) -> None:
    def leads_to(start: Path) -> set[Path]:
        reached, left = set(), [start]
        while left:
            module = left.pop()
            if module not in reached:
                reached.add(module)
                left.extend(imported_by[module])
        return reached

    wrong = [
        f"{module} imports {target}, which leads back to it"
        for module, targets in imported_by.items()
        for target in targets
        if module.parent != target.parent and module in leads_to(target)
    ]
    assert not wrong


def test_functions_are_short() -> None:
    """Their docstrings are not counted."""
    wrong = []
    for module, node in ((each, node) for each in modules() for node in nodes(ROOT / each)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            text = node.body[0]
            documented = text.end_lineno - text.lineno + 1 if ast.get_docstring(node) and text.end_lineno else 0
            lines = node.end_lineno - node.lineno + 1 - documented
            if lines > MOST_LINES:
                wrong.append(f"{module}:{node.lineno} {node.name} has {lines} lines")
    assert not wrong


# In doctor/, what looks is apart from what judges.
PURE = [
    module
    for module in modules()
    if room_of(module) in ("contract", "jobs", "__init__")
    or (room_of(module) == "doctor" and not module.name.startswith("look"))
]


def test_what_only_knows_and_judges_is_pure() -> None:
    allowed = {*sys.stdlib_module_names, PACKAGE}
    io = {"socket", "subprocess", "sqlite3", "asyncio", "threading", "http", "urllib.request", "shutil", "tempfile"}
    wrong = [
        f"{module}:{line} imports {name}"
        for module in PURE
        for line, name in imports(module)
        if (name.split(".")[0] not in allowed and not (room_of(module) == "jobs" and within(name, {"yaml"})))
        or within(name, io)
        or room_imported(name) == "hooks"
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("worker", {"airflow", *DRIVER, *SERVER}),
        ("local", {"airflow"}),
        ("monitoring", {*DRIVER, *SERVER, "pandas", "pyarrow", "numpy"} - {"starlette"}),
        ("hooks", SERVER),
        *((face, {*SERVER, "fastapi", "pandas", "pyarrow", "numpy"}) for face in sorted(FACES)),
    ],
)
def test_rooms_do_without(room: str, forbidden: set[str]) -> None:
    wrong = [
        f"{module}:{line} imports {name}"
        for module in modules()
        if room_of(module) == room
        for line, name in imports(module)
        if within(name, forbidden)
    ]
    assert not wrong


# The rooms inside local/: each folder, and the folders that it may import. All may import what lies beside them.
LOCAL_KNOWS = {
    "faults": set(),
    "sql": set(),
    "protocol": {"sql"},
    "stages": {"faults", "sql"},
    "registry": {"stages", "sql"},
    "spcs": {"registry", "stages", "sql", "faults"},
    "tasks": {"protocol", "sql"},
}
LOCAL_ENTRANCES = {"__main__", "answers", "server"}


def local_modules() -> list[Path]:
    return [module for module in modules() if room_of(module) == "local"]


def test_imports_inside_the_local_snowflake_follow_the_arrows() -> None:
    wrong = []
    for module in local_modules():
        folder = module.parts[1] if len(module.parts) > 2 else ""
        assert not folder or folder in LOCAL_KNOWS, f"{module} lies in no folder of LOCAL_KNOWS"
        allowed = {folder, *LOCAL_KNOWS.get(folder, ())} if folder else set()
        if module.stem in LOCAL_ENTRANCES and not folder:
            allowed = set(LOCAL_KNOWS)
        wrong += [
            f"{module}:{line} imports {name}"
            for line, name in imports(module)
            if within(name, {f"{PACKAGE}.local"}) and not may_import(name.split(".")[2], folder, allowed)
        ]
    assert not wrong


def may_import(imported: str, folder: str, allowed: set[str]) -> bool:
    """Whether a module in this folder of local/ may import this folder or module of it."""
    if imported in LOCAL_KNOWS:
        return imported in allowed
    # Only what starts the server knows those that know every folder.
    return imported not in LOCAL_ENTRANCES or not folder


@pytest.mark.parametrize("room", ["local", "worker"])
def test_folders_of_a_room_know_each_other_one_way(room: str) -> None:
    knows = {"local": LOCAL_KNOWS, "worker": WORKER_KNOWS}[room]
    reached: set[str] = set()
    while left := {folder for folder in knows if folder not in reached}:
        free = {folder for folder in left if knows[folder] <= reached}
        assert free, f"a circle among {sorted(left)}"
        reached |= free


# The folders inside worker/: each, and the folders that it may import. All may import what lies beside them.
WORKER_KNOWS = {
    "values": set(),
    "processes": set(),
    "input": {"values", "processes"},
    "models": {"input", "values"},
    "stage_files": {"input", "models"},
    "output": {"input", "values"},
    "scoring": {"input", "models", "output", "stage_files", "values"},
    "cluster": {"processes"},
    "executors": {"cluster", "input", "models", "output", "processes", "scoring", "values"},
}
WORKER_ENTRANCES = {"__main__", "ray_replicas", "run", "sample"}


def test_imports_inside_the_worker_follow_the_arrows() -> None:
    in_folders = [module for module in modules() if room_of(module) == "worker" and len(module.parts) > 2]
    assert {str(module) for module in in_folders if module.parts[1] not in WORKER_KNOWS} == set()
    beside = worker_modules() - WORKER_ENTRANCES
    wrong = [
        f"{module}:{line} imports {name}"
        for module in in_folders
        for line, name in imports(module)
        if within(name, {f"{PACKAGE}.worker"})
        and (target := name.split(".")[2]) != module.parts[1]
        and target not in (WORKER_KNOWS[module.parts[1]] if target in WORKER_KNOWS else beside)
    ]
    assert not wrong


def worker_modules() -> set[str]:
    """Those beside the folders."""
    return {module.stem for module in modules() if module.parent == Path("worker")}


@pytest.mark.parametrize(
    ("room", "folder"), [("local", folder) for folder in LOCAL_KNOWS] + [("worker", folder) for folder in WORKER_KNOWS]
)
def test_modules_beside_the_folders_lead_around_no_arrow(
    room: str, folder: str, imported_by: dict[Path, set[Path]]
) -> None:
    known = {"local": LOCAL_KNOWS, "worker": WORKER_KNOWS}[room][folder]
    reached: set[str] = set()
    seen: set[Path] = set()
    left = [module for module in imported_by if module.parts[:2] == (room, folder)]
    while left:
        module = left.pop()
        if module in seen:
            continue
        seen.add(module)
        if len(module.parts) > 2:
            reached.add(module.parts[1])
        # What another folder imports is that folder's affair.
        if len(module.parts) == 2 or module.parts[1] == folder:
            left += (target for target in imported_by[module] if target.parts[0] == room)
    assert reached <= {folder, *known}


# What prepares a job for submission. All else knows jobs/batch_job.py only.
KNOW_KINDS = {Path(f"hooks/{name}.py") for name in ("inputs", "models", "preflight", "unload", "worker_job")}


def test_kinds_of_jobs_are_named_where_they_are_made_and_prepared_only() -> None:
    kinds = {f"{PACKAGE}.jobs.{kind}" for kind in ("job.RegistryJob", "job.ContainerJob", "worker_job.WorkerJob")}
    wrong = [
        f"{module}:{line} imports {name}"
        for module in modules()
        if room_of(module) != "jobs" and module not in KNOW_KINDS
        for line, name in imports(module)
        if name in kinds
    ]
    assert not wrong


HEAVY = {
    "pandas",
    "pyarrow",
    "numpy",
    "snowflake",
    "fastapi",
    "starlette",
    "duckdb",
    "fakesnow",
    "sklearn",
    "sqlalchemy",
    "airflow.providers.snowflake",
}


# Airflow parses every Dag file every few seconds. One import of the stock provider's operators adds over 200 modules.
MOST_MODULES = 40
# Loaded by the operators when a task runs, not by a Dag file.
LOADED_BY_TASKS = {f"{PACKAGE}.operators.job_run"}
FACE_MODULES = sorted(
    ".".join((PACKAGE, *module.with_suffix("").parts))
    for module in modules()
    if room_of(module) in FACES and module.name != "__init__.py"
)


def python(code: str, home: Path) -> str:
    """What a program prints in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"AIRFLOW_HOME": str(home), "PATH": "", "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# What every Dag file with an operator, sensor or trigger loads anyway; then each module is imported in a fork.
_IMPORT_EACH = """
import json, os, sys
from airflow.sdk import BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger
for name in {names!r}:
    if not (child := os.fork()):
        before = set(sys.modules)
        __import__(name)
        print(json.dumps([name, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, name
"""


@pytest.fixture(scope="module")
def added_by(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What each face adds to the modules that are loaded in a process that parses Dag files."""
    output = python(_IMPORT_EACH.format(names=FACE_MODULES), tmp_path_factory.mktemp("home"))
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("[")]
    return {name: set(added) for name, added in lines}


@pytest.mark.parametrize("module", FACE_MODULES)
def test_parsing_a_dag_loads_little_and_nothing_heavy(module: str, added_by: dict[str, set[str]]) -> None:
    added = added_by[module]
    assert module in added
    assert sorted(name for name in added if within(name, HEAVY)) == []
    assert len(added) < MOST_MODULES or module in LOADED_BY_TASKS, sorted(added)


@pytest.mark.parametrize("module", sorted(LOADED_BY_TASKS))
def test_what_tasks_load_is_loaded_by_no_dag_file(module: str, added_by: dict[str, set[str]]) -> None:
    assert sorted(name for name, added in added_by.items() if module in added) == [module]


def test_provider_info_loads_no_airflow(tmp_path: Path) -> None:
    code = f"import json, sys, {PACKAGE}\n{PACKAGE}.get_provider_info()\nprint(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(python(code, tmp_path).splitlines()[-1])
    # The packages of the snowflake namespace have .pth files, which name it in every process.
    heavy = (HEAVY | DRIVER) - {"snowflake"}
    assert sorted(name for name in loaded if within(name, {"airflow", "yaml", *heavy})) == []


TESTS = Path(__file__).parent
# Folders of tests that are of no one room: whole systems, and what the source document writes.
OF_NO_ROOM = {"document", "example_dags", "stack"}


def files_of_tests() -> list[Path]:
    return sorted(path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))


def test_tests_are_found_by_the_path_of_what_they_test() -> None:
    of_rooms = [path for path in files_of_tests() if path.parts[0] not in OF_NO_ROOM and path.parent.name != "clients"]
    assert [str(path) for path in of_rooms if not (ROOT / path.parent).is_dir()] == []


def own_test_file(module: Path) -> Path:
    return module.parent / f"test_{module.stem.strip('_')}.py"


@cache
def modules_named_by(path: Path) -> frozenset[Path]:
    """The modules that a test file names in its docstring, as ``worker/errors.py``."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return frozenset(Path(name) for name in re.findall(r"``([\w/]+\.py)``", ast.get_docstring(tree) or ""))


def test_the_tests_of_a_module_are_found_by_its_path() -> None:
    """In the file of its name; or in one that names it, which ``grep -rl worker/errors.py tests`` finds."""
    named = {module for path in files_of_tests() for module in modules_named_by(path)}
    others = [module for module in modules() if module.name != "__init__.py" and module not in named]
    assert [str(module) for module in others if not (TESTS / own_test_file(module)).is_file()] == []


def test_modules_that_a_test_file_names_are_there() -> None:
    """Names without a folder are those of other test files, or of modules beside the rooms."""
    named = [(path, module) for path in files_of_tests() for module in modules_named_by(path)]
    with_folder = [(path, module) for path, module in named if len(module.parts) > 1 and module.parts[0] != "tests"]
    assert [f"{path} names {module}" for path, module in with_folder if not (ROOT / module).is_file()] == []


def test_every_folder_of_the_package_has_tests() -> None:
    folders = {module.parent for module in modules() if module.name != "__init__.py"}
    assert {str(folder) for folder in folders - {path.parent for path in files_of_tests()}} == set()


def test_no_test_file_imports_another() -> None:
    wrong = [
        f"{path}:{node.lineno} imports {node.module}.{alias.name}"
        for path in files_of_tests()
        for node in nodes(TESTS / path)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (name := f"{node.module}.{alias.name}").startswith("tests.") and ".test_" in name
    ]
    assert not wrong


# Run with Airflow 3.3 alone: they start whole systems.
WITH_ONE_AIRFLOW = {"stack", "local/clients"}


def test_with_another_airflow_everything_is_tested_that_imports_it() -> None:
    makefile = (TESTS.parent / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    line = next(line for line in makefile.splitlines() if line.startswith("TESTS_airflow-3.2 :="))
    run = {path.partition("::")[0] for path in line.partition("tests/,")[2].rstrip(")").split()} | WITH_ONE_AIRFLOW

    rooms = {room_of(module) for module in modules() if any(within(name, {"airflow"}) for _, name in imports(module))}
    needed = {path for path in files_of_tests() if path.parts[0] in rooms or "airflow" in roots_of(TESTS / path)}
    assert len(needed) > 50
    assert {str(path) for path in needed if not {str(path), *map(str, path.parents)} & run} == set()


def roots_of(file: Path) -> set[str]:
    """The packages from which a file imports, also inside functions."""
    plain = {alias.name for node in nodes(file) if isinstance(node, ast.Import) for alias in node.names}
    return {
        name.partition(".")[0]
        for name in plain | {str(node.module) for node in nodes(file) if isinstance(node, ast.ImportFrom)}
    }
