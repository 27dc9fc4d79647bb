"""Take the documentation's pictures of Airflow's pages anew, into ``docs/images``.

Runs ``example_dags/digits.py`` on a real Airflow and the local Snowflake, and photographs what a browser shows. Beside
the packages for development it needs ``pip install playwright`` and Chromium (Debian: ``apt-get install chromium``).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.airflow_stack import AirflowStack  # noqa: E402
from tests.local_server import LocalServer  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

RUN = "first_run"
# The driver greets at each login with the machine that it runs on.
LOCAL_SETTINGS = """
import logging

logging.getLogger("snowflake.connector").setLevel(logging.WARNING)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images", help="folder for the PNG files")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser's executable")
    arguments = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        parser.error("playwright is missing: pip install playwright")
    if not arguments.chromium:
        parser.error("chromium is missing: install it, or name another one with --chromium")

    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder, LocalServer(Path(folder) / "state") as snowflake:
        home, dags_folders = Path(folder) / "airflow", [ROOT / "example_dags"]
        (home / "config").mkdir(parents=True)
        (home / "config" / "airflow_local_settings.py").write_text(LOCAL_SETTINGS)
        with AirflowStack(home, dags_folders, snowflake.airflow_connection_json) as airflow:
            print(f"Running the Dag digits on {airflow.url}", flush=True)
            airflow.trigger("digits", run_id=RUN)
            if airflow.wait_for_run(RUN) != "success":
                for task, state in airflow.task_states(RUN).items():
                    print(f"--- {task} {state}\n{airflow.task_log(RUN, task)}", file=sys.stderr)
                return 1
            with sync_playwright() as playwright:
                # Chromium refuses its sandbox to root, as whom containers often run; it only sees our own pages here.
                browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
                take_pictures(browser, airflow.url, arguments.output)
                browser.close()
    return 0


def take_pictures(browser: Any, url: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    run = f"{url}/dags/digits/runs/{RUN}"
    for name, take, address, height in (
        ("digits-graph", graph, run, 600),
        ("digits-score-log", log, f"{run}/tasks/score", 1000),
    ):
        context = browser.new_context(
            viewport={"width": 1280, "height": height}, color_scheme="light", device_scale_factor=1.25
        )
        page = context.new_page()
        page.goto(address)
        take(page)
        # Airflow slides things into their places.
        page.wait_for_timeout(1500)
        file = folder / f"{name}.png"
        page.screenshot(path=file)
        print(f"{file}: {file.stat().st_size // 1024} KiB")
        context.close()


def graph(page: Page) -> None:
    """The finished run as a graph."""
    page.get_by_label("Show Graph").click()
    page.locator(".react-flow__node").get_by_text("success").nth(4).wait_for()


def log(page: Page) -> None:
    """The log of the task that has run the job: its statement, what the trigger saw, the result."""
    page.get_by_text("is done: 900 rows").first.wait_for()
    page.keyboard.press("w")


if __name__ == "__main__":
    sys.exit(main())
