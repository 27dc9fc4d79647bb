"""What ``airflow snowflake-batch --help`` shows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.cli.cli_config import DefaultHelpParser

from tests.cli.command_lines import command, commands

NAMES = sorted(commands())


@pytest.mark.parametrize("name", NAMES)
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = DefaultHelpParser(prog=name)
    for arg in command(name).args:
        arg.add_to_parser(parser)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--help"])
    assert caught.value.code == 0
    # A terminal may be too narrow for a default beside its help.
    told = " ".join(capsys.readouterr().out.split())
    assert ("--conn-id" in told) is not (name == "plan" or name.startswith("local "))
    options = [arg.kwargs.get("default") for arg in command(name).args if arg.kwargs.get("action") != "store_true"]
    assert told.count("(default: ") == len([default for default in options if default not in (None, [])])


@pytest.mark.parametrize("name", NAMES)
def test_what_a_command_runs_is_there(name: str) -> None:
    # Airflow imports the function with the call; a misspelt one shows only then.
    path = command(name).func.__closure__
    assert path is not None
    (dotted,) = [cell.cell_contents for cell in path if isinstance(cell.cell_contents, str)]
    module, _, function = dotted.rpartition(".")
    assert callable(getattr(__import__(module, fromlist=[function]), function))


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("airflow snowflake-b", {"snowflake-batch"}),
        ("airflow snowflake-batch ", {name.partition(" ")[0] for name in NAMES}),
        ("airflow snowflake-batch de", {"describe", "delete"}),
        ("airflow snowflake-batch local ", {"up", "down", "status"}),
        ("airflow snowflake-batch verify --", {"--contents", "--require-manifest", "--output", "--conn-id"}),
        ("airflow snowflake-batch cancel JOB --output ", {"table", "json", "yaml", "plain"}),
        ("airflow snowflake-batch doctor --runtime w", {"worker"}),
    ],
)
def test_a_shell_completes_commands_options_and_their_values(typed: str, offered: set[str], tmp_path: Path) -> None:
    """Through what docs/terminal.md has a shell load: `register-python-argcomplete airflow`, and the tabulator key."""
    bash, here = shutil.which("bash"), Path(sys.executable).parent
    assert bash is not None
    script = (
        'eval "$(register-python-argcomplete airflow)"; COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; '
        '_python_argcomplete airflow; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    settings = {"AIRFLOW_HOME": str(tmp_path), "PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        [bash, "--norc", "-c", script, "bash", typed],
        env=settings, capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    found = {word.strip() for word in done.stdout.splitlines() if not word.strip().startswith("-h")} - {"--help"}
    if typed.endswith("--"):
        assert found > offered
    else:
        assert found - {"-h"} == offered


def test_airflows_parser_loads_nothing_of_ours_but_the_definition(tmp_path: Path) -> None:
    package = "airflow_provider_snowflake_batch"
    code = (
        f"import sys; from {package}.cli.definition import get_commands; get_commands(); "
        f"print(sorted(name for name in sys.modules if name.startswith('{package}.')))"
    )
    settings = {"AIRFLOW_HOME": str(tmp_path), "PATH": ""}
    loaded = subprocess.check_output([sys.executable, "-c", code], env=settings, text=True).splitlines()[-1]
    assert loaded == str([f"{package}.cli", f"{package}.cli.definition"])
