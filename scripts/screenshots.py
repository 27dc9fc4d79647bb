"""Take the documentation's pictures of Airflow's pages anew, into ``docs/images``.

Runs ``example_dags/digits.py``, then a longer job, on a real Airflow and the local Snowflake, and photographs what a
browser shows. Beside the packages for development it needs ``pip install playwright`` and Chromium (Debian: ``apt-get
install chromium``).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from airflow_provider_snowflake_batch.local.server_process import LocalServer  # noqa: E402
from tests.airflow_stack import AirflowStack  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

RUN, LONG_RUN = "first_run", "second_run"
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
        home, dags_folders = Path(folder) / "airflow", [ROOT / "example_dags", ROOT / "scripts" / "screenshot_dags"]
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
                arguments.output.mkdir(parents=True, exist_ok=True)
                camera = Camera(browser, airflow.url, arguments.output)
                camera.take("digits-graph", f"/dags/digits/runs/{RUN}", graph, height=600)
                camera.take("digits-score-log", f"/dags/digits/runs/{RUN}/tasks/score", log, height=1000)
                wait_for_rows(airflow)
                tab = f"/dags/many_digits/runs/{LONG_RUN}/tasks/score/plugin/snowflake-batch-job"
                camera.take("batch-jobs", "/plugin/snowflake-batch-jobs", jobs, height=470)
                camera.take("batch-job", tab, job, height=1500)
                if airflow.run_state(LONG_RUN) != "running":
                    print("The job had ended before its pictures were taken", file=sys.stderr)
                    return 1
                browser.close()
    return 0


def wait_for_rows(airflow: AirflowStack) -> None:
    """Start a longer job and wait until Airflow's pages can tell of its progress."""
    airflow.trigger("many_digits", run_id=LONG_RUN)
    airflow.wait_for_task(LONG_RUN, "score", "deferred")
    while True:
        card = airflow.xcom(LONG_RUN, "score", "snowflake_batch_job") or {}
        progress = card.get("progress") or {}
        if progress.get("rows_done", 0) > 0.1 * progress.get("rows_total", 1):
            return
        if airflow.run_state(LONG_RUN) != "running":
            raise RuntimeError(f"The job has ended too early: {airflow.task_log(LONG_RUN, 'score')}")
        time.sleep(0.5)


class Camera:
    """Takes pictures of Airflow's pages.

    :param url: of Airflow.
    :param folder: for the PNG files.
    """

    def __init__(self, browser: Any, url: str, folder: Path) -> None:
        self.browser, self.url, self.folder = browser, url, folder

    def take(
        self, name: str, address: str, prepare: Callable[[Page], None], *, height: int, theme: str = "light"
    ) -> None:
        """One picture. :param prepare: brings the page into the state that the picture is to show."""
        context = self.browser.new_context(
            viewport={"width": 1280, "height": height}, color_scheme="light", device_scale_factor=1.25
        )
        page = context.new_page()
        page.goto(self.url + address)
        prepare(page)
        # Airflow slides things into their places.
        page.wait_for_timeout(1500)
        file = self.folder / f"{name}.png"
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


def jobs(page: Page) -> None:
    """The list of all jobs."""
    page.get_by_text("digits · score").nth(1).wait_for()
    page.get_by_text("Node-hours in 7 days").wait_for()


def job(page: Page) -> None:
    """The tab of the task instance whose job runs."""
    page.get_by_text("rows/s").first.wait_for()


if __name__ == "__main__":
    sys.exit(main())
