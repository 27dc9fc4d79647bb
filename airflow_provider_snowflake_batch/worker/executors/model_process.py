"""A model process: loads the model, then works, or forks workers that do.

Loading once and forking makes further processes cost milliseconds and share the model's memory. Only a process with a
single thread can be forked safely, so one that has more after loading (a CUDA context, a native thread pool) is not:
every worker then loads the model itself.

It ends when the coordinator does: the kernel is asked to kill it, and its connection is watched.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import gc
import os
import random
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn

from airflow_provider_snowflake_batch.worker.errors import ModelError, WorkerError
from airflow_provider_snowflake_batch.worker.processes import limits, parent
from airflow_provider_snowflake_batch.worker.scoring import messages

_REAP_SECONDS = 0.1
# Short, since the batch waits for it.
_STOP_SECONDS = 0.002
# Seconds for what the model has registered for the end of its process.
_CLEAN_UP_SECONDS = 5.0


def main(address: Path, worker: int, coordinator: int, threads: int | None = None) -> None:
    """Serve the coordinator at ``address`` as the given worker until it is done with us.

    :param threads: that numeric libraries may start, if that is known already.
    """
    parent.end_with(coordinator)
    parent.leave_signals_to_parent()
    faulthandler.enable(all_threads=False)
    connection = messages.connect(address)
    connection.send(messages.Hello(worker, os.getpid()))
    if threads is not None:
        # While the coordinator loads its own libraries and plans.
        _limit(threads)
        _load_first_libraries()
    limit = connection.recv()
    _limit(limit.threads)
    process = _Process(connection, address, limit.threads, connection.recv())
    os.register_at_fork(after_in_child=process.forked)
    try:
        process.wait()
        process.load_model()
        process.serve()
    except (EOFError, ConnectionError):
        os._exit(1)


def _limit(threads: int) -> None:
    limits.limit_threads(threads)
    limits.choose_allocator()


class _Process:
    def __init__(self, connection: Connection[Any, Any], address: Path, threads: int, load: messages.Load) -> None:
        self._connection = connection
        self._address = address
        self._threads = threads
        self._load = load
        self._sending = threading.Lock()
        self._model: Any = None
        self._files: Any = None
        self._children: dict[int, int] = {}

    def forked(self) -> None:
        """Close the connection in a process that was forked from this one, by this class or by the model."""
        self._connection.close()

    def _send(self, message: Any) -> None:
        with self._sending:
            self._connection.send(message)

    def wait(self) -> None:
        """Until the model is to be loaded: whether this process is needed may not be known yet."""
        if not self._load.later:
            return
        _load_libraries()
        if not isinstance(self._connection.recv(), messages.LoadNow):
            os._exit(0)

    def load_model(self) -> None:
        """Load the model, or report why it cannot be; then the process is of no more use."""
        from airflow_provider_snowflake_batch.worker import models
        from airflow_provider_snowflake_batch.worker.model_files import WatchedFiles

        begun, pid = time.monotonic(), os.getpid()
        try:
            try:
                self._files = WatchedFiles(self._load.job)
                with _seldom_collecting():
                    self._model = models.load_model(self._load.job)
            finally:
                # The model has forked and its child has returned here.
                if os.getpid() != pid:
                    os._exit(0)
        except WorkerError as error:
            self._give_up(error)
        except BaseException as error:
            from airflow_provider_snowflake_batch.worker.scoring.model_calls import own_traceback

            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._give_up(ModelError(f"{text} (while loading the model)", own_traceback(error)))
        # Now, so that forked processes have them as well.
        _load_libraries()
        forkable = self._load.fork and limits.forkable()
        if forkable:
            # The collector does not visit frozen objects, so that processes go on sharing their pages.
            gc.collect()
            gc.freeze()
        self._send(messages.Loaded(time.monotonic() - begun, limits.resident_bytes(), forkable))

    def _give_up(self, error: WorkerError) -> NoReturn:
        _flush()
        self._send(messages.Failed(type(error).__name__, error.message, error.details))
        os._exit(1)

    def serve(self) -> None:
        """Obey the coordinator: fork workers, or become one."""
        while True:
            self._reap()
            if not self._connection.poll(_REAP_SECONDS if self._children else None):
                continue
            order = self._connection.recv()
            if isinstance(order, messages.Fork):
                self._fork(order.worker)
            elif isinstance(order, messages.Begin):
                self._work()
            elif isinstance(order, messages.Stop):
                while self._children:
                    self._reap()
                    time.sleep(_STOP_SECONDS)
                _end()

    def _reap(self) -> None:
        # Only these processes: the model may have started others, for which it waits itself.
        for child, worker in list(self._children.items()):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                del self._children[child]
                self._send(messages.Exited(worker, os.waitstatus_to_exitcode(status)))

    def _fork(self, worker: int) -> None:
        _flush()
        mother = os.getpid()
        with warnings.catch_warnings():
            # Python 3.12 and newer count the thread of Arrow's allocator, which stops and starts around a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid:
            self._children[pid] = worker
            return
        try:
            parent.end_with(mother)
            self._connection.close()
            self._children = {}
            _leave_clean_up_to_mother()
            _reseed()
            self._sending = threading.Lock()
            self._connection = messages.connect(self._address)
            self._send(messages.Hello(worker, os.getpid()))
            self._work()
        except BaseException:
            traceback.print_exc()
        os._exit(1)

    def _work(self) -> None:
        """Run the pipeline until told to stop, then end the process."""
        from airflow_provider_snowflake_batch.worker.scoring.assembly import assemble

        load = self._load
        tasks: SimpleQueue[messages.Assignment | None] = SimpleQueue()
        reporter = _ConnectionReporter(self._send)
        try:
            pipeline = assemble(
                load.job,
                load.schema,
                load.attempt,
                self._model,
                tasks,
                reporter,
                use_threads=self._threads > 1,
                still_of=self._files.check,
            )
        except WorkerError as error:
            self._give_up(error)
        threading.Thread(target=self._receive, args=(pipeline, tasks), name="orders", daemon=True).start()
        pipeline.run()
        _end()

    def _receive(self, pipeline: Any, tasks: SimpleQueue[Any]) -> None:
        try:
            while True:
                order = self._connection.recv()
                if isinstance(order, messages.Stop):
                    pipeline.stop()
                else:
                    tasks.put(order)
        except (EOFError, OSError):
            # The coordinator is gone. A part that is being written has no record, and its task will be done again.
            os._exit(1)


class _ConnectionReporter:
    def __init__(self, send: Any) -> None:
        self._send = send

    def done(self, record: Any) -> None:
        self._send(messages.Finished(record))

    def widened(self, task: Any, schema: Any) -> None:
        self._send(messages.Widened(task, schema))

    def not_written(self, task: Any, message: str, *, passing: bool) -> None:
        self._send(messages.NotWritten(task, message, passing))

    def rows(self, count: int, batch: int) -> None:
        if count:
            self._send(messages.Rows(count, batch))

    def set_aside(self, count: int, latest: str) -> None:
        self._send(messages.SetAside(count, latest))

    def failed(self, error: WorkerError) -> None:
        _flush()
        self._send(messages.Failed(type(error).__name__, error.message, error.details))


@contextlib.contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for garbage less often while libraries are imported, since hardly any of their objects is garbage.

    It is not switched off, since loading a model may do more than import.
    """
    before, seldom = gc.get_threshold(), (20_000, 100, 100)
    gc.set_threshold(*seldom)
    try:
        yield
    finally:
        # A threshold that the model has set meanwhile stays.
        if gc.get_threshold() == seldom:
            gc.set_threshold(*before)


def _load_first_libraries() -> None:
    """Load what is always loaded before the model's own folders are looked into.

    Not pandas, of which these may hold another version.
    """
    with _seldom_collecting():
        from airflow_provider_snowflake_batch.worker import model_files, models  # noqa: F401


def _load_libraries() -> None:
    """Load what the work needs besides the model."""
    from airflow_provider_snowflake_batch.worker import models  # noqa: F401
    from airflow_provider_snowflake_batch.worker.scoring import assembly  # noqa: F401


def _reseed() -> None:
    """Forked processes would otherwise draw the same random numbers."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _leave_clean_up_to_mother() -> None:
    """Drop, in a forked process, what was registered for the end of its mother, which does it itself."""
    atexit._clear()
    # For example the removal of the model's temporary folders. Later ones are registered again.
    for one in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        one.atexit = False
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]


def _end() -> NoReturn:
    """End the process as Python would: threads are joined, and what the model has registered for the end is done.

    But not for ever, and nothing of it is a reason for a failure: the rows are written.
    """

    def give_up() -> None:
        time.sleep(_CLEAN_UP_SECONDS)
        os._exit(0)

    threading.Thread(target=give_up, name="give-up", daemon=True).start()
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    _flush()
    os._exit(0)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
