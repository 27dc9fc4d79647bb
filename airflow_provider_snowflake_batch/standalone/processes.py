"""Processes and their descendants, free ports, and the ends of logs."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil


def family(root: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """A process and all that descend from it; empty if it has ended."""
    try:
        process = psutil.Process(root.pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(roots: Iterable[subprocess.Popen[bytes]], grace: float) -> None:
    """End processes, each the leader of a group, with all that descend from them.

    :param grace: seconds between the request (SIGTERM) and the end (SIGKILL); 0 does not ask.
    """
    roots = list(roots)
    # Task processes are in other groups than their scheduler, so ending the group would miss them.
    families = [process for root in roots for process in family(root)]
    if grace:
        for root in roots:
            with suppress(ProcessLookupError):
                os.killpg(root.pid, signal.SIGTERM)
        psutil.wait_procs(families, grace)
    kill(families)
    for root in roots:
        root.wait()


def kill(processes: Iterable[psutil.Process]) -> None:
    """End processes without a chance to clean up."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def working_in(directory: Path) -> list[psutil.Process]:
    """The processes whose working directory this is, also those whose parent is gone."""
    return [process for process in psutil.process_iter() if _directory(process) == str(directory)]


def _directory(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return str(process.cwd())
    return ""


def free_ports(count: int) -> list[int]:
    """TCP ports on loopback that nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def new_secrets() -> dict[str, str]:
    """What an Airflow of one's own signs and encrypts with."""
    return {
        "secret_key": secrets.token_hex(16),
        "jwt_secret": secrets.token_hex(32),
        "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log; empty if there is none."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:]) if log.exists() else ""
