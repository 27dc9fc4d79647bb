"""Take the documentation's pictures of Airflow's pages anew, into ``docs/images``.

Starts the stack with ``make up``, signs in, triggers ``example_dags/digits.py`` and then a longer job in the browser,
and photographs what it shows. Beside the packages for development it needs ``pip install playwright`` and Chromium
(Debian: ``apt-get install chromium``).
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from airflow_provider_snowflake_batch.standalone.processes import free_ports  # noqa: E402
from airflow_provider_snowflake_batch.standalone.stack import Place, Running  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

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

    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder, stack(Path(folder)) as running:
        airflow = Airflow(running)
        with sync_playwright() as playwright:
            # Chromium refuses its sandbox to root, as whom containers often run; it only sees our own pages here.
            browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
            arguments.output.mkdir(parents=True, exist_ok=True)
            camera = Camera(browser, running, arguments.output)
            run = trigger(camera, airflow, "digits")
            while (state := airflow.run_state("digits", run)) in ("queued", "running"):
                time.sleep(1)
            if state != "success":
                print(f"The run {run} of the Dag digits is {state}", file=sys.stderr)
                return 1
            camera.take("digits-graph", f"/dags/digits/runs/{run}", graph, height=600)
            camera.take("digits-score-log", f"/dags/digits/runs/{run}/tasks/score", log, height=1000)
            run = trigger(camera, airflow, "many_digits")
            wait_for_rows(airflow, run)
            tab = f"/dags/many_digits/runs/{run}/tasks/score/plugin/snowflake-batch-job"
            camera.take("batch-jobs", "/plugin/snowflake-batch-jobs", jobs, height=470)
            camera.take("batch-job", tab, job, height=1500)
            if airflow.run_state("many_digits", run) != "running":
                print("The job had ended before its pictures were taken", file=sys.stderr)
                return 1
            browser.close()
    return 0


@contextmanager
def stack(directory: Path) -> Iterator[Running]:
    """What ``make up`` starts, with the Dag of the longer job beside the examples, on ports that are free."""
    config = directory / "airflow" / "config"
    config.mkdir(parents=True)
    (config / "airflow_local_settings.py").write_text(LOCAL_SETTINGS)
    port, snowflake_port = free_ports(2)
    options = ["--directory", str(directory), "--dags-folder", str(ROOT / "scripts" / "screenshot_dags")]
    options += ["--port", str(port), "--snowflake-port", str(snowflake_port)]
    try:
        subprocess.run(["make", "up", f"OPTIONS={shlex.join(options)}"], cwd=ROOT, check=True)
        running = Place(directory).read()
        if running is None:
            raise RuntimeError("make up has left nothing running")
        yield running
    finally:
        command = [sys.executable, "-m", "airflow_provider_snowflake_batch.standalone", "down"]
        subprocess.run([*command, "--directory", str(directory)], cwd=ROOT, check=True)


class Airflow:
    """What Airflow's REST API tells of the runs that the browser has started."""

    def __init__(self, running: Running) -> None:
        # With SQLite an answer may wait for other transactions.
        self._client = httpx.Client(base_url=str(running.url), timeout=120, trust_env=False)
        login = {"username": running.user, "password": running.password}
        token = self._client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def _get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get(f"/api/v2{path}").raise_for_status().json()
        return found

    def runs(self, dag: str) -> list[str]:
        return [run["dag_run_id"] for run in self._get(f"/dags/{dag}/dagRuns")["dag_runs"]]

    def run_state(self, dag: str, run: str) -> str:
        return str(self._get(f"/dags/{dag}/dagRuns/{run}")["state"])

    def progress(self, dag: str, run: str) -> dict[str, Any]:
        """How far the job of the task ``score`` is."""
        task = f"/dags/{dag}/dagRuns/{run}/taskInstances/score"
        if not any(entry["key"] == "snowflake_batch_job" for entry in self._get(f"{task}/xcomEntries")["xcom_entries"]):
            return {}
        card = self._get(f"{task}/xcomEntries/snowflake_batch_job?deserialize=false&stringify=false")["value"]
        return card.get("progress") or {}


def trigger(camera: Camera, airflow: Airflow, dag: str) -> str:
    """Click *Trigger*, and *Trigger* once more; the run that this has started."""
    with camera.page(f"/dags/{dag}", height=900) as page:
        page.get_by_role("button", name="Trigger").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Trigger", exact=True).click()
        while not (runs := airflow.runs(dag)):
            page.wait_for_timeout(500)
    return runs[0]


def wait_for_rows(airflow: Airflow, run: str) -> None:
    """Wait until Airflow's pages can tell of the longer job's progress."""
    while True:
        progress = airflow.progress("many_digits", run)
        if progress.get("rows_done", 0) > 0.1 * progress.get("rows_total", 1):
            return
        if airflow.run_state("many_digits", run) not in ("queued", "running"):
            raise RuntimeError("The job has ended too early")
        time.sleep(0.5)


class Camera:
    """Takes pictures of Airflow's pages, as the user who signs in once.

    :param running: where Airflow is, and who may sign in.
    :param folder: for the PNG files.
    """

    def __init__(self, browser: Any, running: Running, folder: Path) -> None:
        self.browser, self.url, self.folder = browser, str(running.url), folder
        self._signed_in: Any = None
        with self.page("/", height=900) as page:
            page.locator("input[name=username]").fill(str(running.user))
            page.locator("input[name=password]").fill(str(running.password))
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("link", name="Dags").first.wait_for()
            self._signed_in = page.context.storage_state()

    @contextmanager
    def page(self, address: str, *, height: int) -> Iterator[Page]:
        """One of Airflow's pages in a window of its own."""
        context = self.browser.new_context(
            viewport={"width": 1280, "height": height},
            color_scheme="light",
            device_scale_factor=1.25,
            storage_state=self._signed_in,
        )
        # A machine that is busy takes its time to show a page.
        context.set_default_timeout(120_000)
        try:
            page = context.new_page()
            page.goto(self.url + address)
            yield page
        finally:
            context.close()

    def take(self, name: str, address: str, prepare: Callable[[Page], None], *, height: int) -> None:
        """One picture. :param prepare: brings the page into the state that the picture is to show."""
        with self.page(address, height=height) as page:
            prepare(page)
            # Airflow slides things into their places.
            page.wait_for_timeout(1500)
            file = self.folder / f"{name}.png"
            page.screenshot(path=file)
            print(f"{file}: {file.stat().st_size // 1024} KiB")


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
