"""Models for the tests, loaded by the worker as ``sample_models:Class``."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa


class Linear:
    """``y = factor * x + bias``; can be made slow, and can leave a mark for each call."""

    def __init__(self, column: str = "X", factor: float = 2.0, seconds: float = 0.0, marks: str | None = None) -> None:
        self.column, self.factor, self.seconds, self.marks = column, factor, seconds, marks

    def predict(self, frame: pd.DataFrame, *, bias: float = 0.0) -> pd.DataFrame:
        if self.marks:
            with Path(self.marks).open("a") as file:
                file.write(f"{os.getpid()} {int(frame['ID'].iloc[0])} {len(frame)}\n")
        time.sleep(self.seconds)
        return pd.DataFrame({"Y": frame[self.column].to_numpy() * self.factor + bias})


class Held(Linear):
    """Waits until a file is there, once all processes together have been called for more than some rows."""

    def __init__(self, marks: str, rows: int, until: str) -> None:
        super().__init__(marks=marks)
        self._rows, self._until = rows, Path(until)

    def predict(self, frame: pd.DataFrame, *, bias: float = 0.0) -> pd.DataFrame:
        found = super().predict(frame, bias=bias)
        calls = Path(str(self.marks)).read_text().splitlines()
        if sum(int(call.split()[2]) for call in calls) > self._rows:
            while not self._until.exists():
                time.sleep(0.01)
        return found


class TakesX(Linear):
    """Says so."""

    input_columns = ("X",)


class CollectsGarbage:
    """Returns how many objects Python makes between two looks for garbage: while it was loaded, and in its calls."""

    def __init__(self, threshold: int | None = None) -> None:
        self._loaded = gc.get_threshold()[0]
        if threshold is not None:
            gc.set_threshold(threshold)

    def predict(self, frame: pd.DataFrame) -> Any:
        return {"LOADED": [self._loaded] * len(frame), "CALLED": [gc.get_threshold()[0]] * len(frame)}


class Raises:
    """Raises on the row whose ID is 150."""

    def predict(self, frame: pd.DataFrame) -> Any:
        return self.score(frame)

    def score(self, frame: pd.DataFrame) -> Any:
        if (frame["ID"] == 150).any():
            raise ValueError("the tree has no leaf for 150")
        return frame["ID"].to_numpy()


class Stuck:
    """Stays for ever in its constructor or in its function, deaf to signals, and says so first."""

    def __init__(self, loading: bool) -> None:
        self._stay(loading)

    def predict(self, frame: pd.DataFrame) -> Any:
        self._stay(True)

    def _stay(self, here: bool) -> None:
        if here:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
            print("STUCK", flush=True)
            while True:
                time.sleep(1.0)


class RaisesOnLoad:
    def __init__(self) -> None:
        raise RuntimeError("weights are missing")


class Crashes:
    """Dies as native code does, on the row whose ID is 150; if ``once`` names a file, only the first time."""

    def __init__(self, once: str | None = None, number: int = signal.SIGSEGV) -> None:
        self.once, self.number = once, number

    def predict(self, frame: pd.DataFrame) -> Any:
        if (frame["ID"] == 150).any() and not (self.once and Path(self.once).exists()):
            if self.once:
                Path(self.once).touch()
            os.kill(os.getpid(), self.number)
            time.sleep(60)
        return frame["ID"].to_numpy()


class Short:
    def predict(self, frame: pd.DataFrame) -> Any:
        return np.arange(len(frame) - 1)


class OutOfMemory:
    """Has room for ten rows."""

    def predict(self, frame: pd.DataFrame) -> Any:
        if len(frame) > 10:
            raise MemoryError
        return frame["ID"].to_numpy()


class Changing:
    """Returns other types for other batches: nulls, then whole numbers, then floating-point numbers."""

    def predict(self, frame: pd.DataFrame) -> Any:
        first = int(frame["ID"].iloc[0])
        if first < 100:
            return {"value": [None] * len(frame), "more": [[] for _ in range(len(frame))]}
        if first < 200:
            return {"value": frame["ID"].to_numpy(), "more": [[{"a": 1}]] * len(frame)}
        return {"value": frame["ID"].to_numpy() + 0.5, "more": [[{"a": 1.5, "b": "x"}]] * len(frame)}


class Clashing:
    def predict(self, frame: pd.DataFrame) -> Any:
        return pd.DataFrame({"x": frame["X"] * 10, "NEW": 1})


class Forms:
    """Returns the same two columns in the form that is asked for."""

    def __init__(self, form: str) -> None:
        self.form = form

    def predict(self, frame: pd.DataFrame) -> Any:
        ids = frame["ID"].to_numpy()
        a, b = ids.astype("float64"), ids.astype("float64") / 2
        return {
            "frame": lambda: pd.DataFrame(np.column_stack([a, b])),
            "numpy": lambda: np.column_stack([a, b]),
            "tuple": lambda: (a, b),
            "dict": lambda: {"output_feature_0": a, "output_feature_1": list(b)},
            "records": lambda: [
                {"output_feature_0": one, "output_feature_1": two} for one, two in zip(a, b, strict=True)
            ],
            "arrow": lambda: pa.table({"output_feature_0": a, "output_feature_1": b}),
        }[self.form]()


class Arrow:
    input_format = "arrow"

    def predict(self, rows: pa.Table) -> pa.Table:
        assert isinstance(rows, pa.Table)
        return pa.table({"Y": rows["X"]})


class RaisesOnce:
    """Raises until the file ``once`` exists, and makes it."""

    def __init__(self, once: str) -> None:
        self.once = once

    def predict(self, frame: pd.DataFrame) -> Any:
        if not Path(self.once).exists():
            Path(self.once).touch()
            raise ValueError("not yet")
        return frame["ID"].to_numpy()


class Asynchronous:
    async def predict(self, frame: pd.DataFrame) -> Any:
        return {"Y": frame["X"].to_numpy()}


class Sizes:
    """The length of what each file's column holds, and its type."""

    def predict(self, frame: pd.DataFrame) -> Any:
        return {
            "SIZE": [None if pd.isna(value) else len(value) for value in frame["FILE"]],
            "KIND": ["NoneType" if pd.isna(value) else type(value).__name__ for value in frame["FILE"]],
            "HEAD": [None if pd.isna(value) else str(value[:22]) for value in frame["FILE"]],
        }


class Echo:
    """The chat as the engine gets it."""

    def predict(self, frame: pd.DataFrame) -> Any:
        return {"SEEN": frame["MESSAGES"].tolist()}


class Noisy:
    def predict(self, frame: pd.DataFrame) -> Any:
        sys.stderr.write("a warning of the model's library\n")
        raise ValueError("loud")


class Imports:
    """Which of some packages are loaded in the model's process."""

    def predict(self, frame: pd.DataFrame) -> Any:
        names = ["airflow", "snowflake.connector", "snowflake.snowpark", "fastapi"]
        return {"LOADED": [",".join(name for name in names if name in sys.modules)] * len(frame)}


class Threads:
    """Waits until some processes have been called, and so has each."""

    def __init__(self, folder: str, processes: int) -> None:
        self._folder, self._processes = Path(folder), processes

    def predict(self, frame: pd.DataFrame) -> Any:
        (self._folder / str(os.getpid())).touch()
        _wait_until(lambda: len(list(self._folder.iterdir())) >= self._processes)
        return {"THREADS": [os.environ["OMP_NUM_THREADS"]] * len(frame), "PID": [os.getpid()] * len(frame)}


class RaisesInSecondTask:
    def predict(self, frame: pd.DataFrame) -> Any:
        if int(frame["ID"].max()) >= 100_000:
            time.sleep(1.0)
            raise ValueError("no second half")
        return frame["ID"].to_numpy()


class Ranks:
    """The rank of each row within the rows that it is called with."""

    def predict(self, frame: pd.DataFrame) -> Any:
        return {"RANK": frame["X"].rank().to_numpy(), "SIZE": [len(frame)] * len(frame)}


class Summaries:
    """Two rows for each group, none for a group of one row."""

    partitioned = True

    def predict(self, frame: pd.DataFrame) -> Any:
        if len(frame) == 1:
            return pd.DataFrame({"WHAT": pd.Series([], dtype=str), "VALUE": pd.Series([], dtype=float)})
        return pd.DataFrame({"WHAT": ["sum", "count"], "VALUE": [float(frame["X"].sum()), float(len(frame))]})


class ReturnsTheKey:
    partitioned = True

    def predict(self, frame: pd.DataFrame) -> Any:
        return {"store": frame["STORE"].to_numpy()}


class RaisesForAGroup:
    def predict(self, frame: pd.DataFrame) -> Any:
        if (frame["STORE"] == "s3").all():
            raise ValueError("closed")
        return frame["X"].to_numpy()


class Picky:
    """Raises for rows whose ID is among ``bad``, or all if that is None; or leaves them out without a word.

    Each call leaves a line with its number of rows in ``marks``.
    """

    def __init__(
        self, bad: list[int] | None = None, marks: str | None = None, leaves_out: bool = False, seconds: float = 0.0
    ) -> None:
        self.bad, self.marks, self.leaves_out, self.seconds = bad, marks, leaves_out, seconds

    def predict(self, frame: pd.DataFrame) -> Any:
        if self.marks:
            with Path(self.marks).open("a") as file:
                file.write(f"{os.getpid()} {int(frame['ID'].iloc[0])} {len(frame)}\n")
        time.sleep(self.seconds)
        wrong = frame["ID"].isin(self.bad) if self.bad is not None else frame["ID"] >= 0
        if wrong.any() and not self.leaves_out:
            raise ValueError(f"cannot score {frame['ID'][wrong].iloc[0]}")
        return pd.DataFrame({"Y": frame["ID"][~wrong].to_numpy() * 2})


class PickyGroups:
    def predict(self, frame: pd.DataFrame) -> Any:
        if (frame["STORE"] == "s3").all():
            raise ValueError("closed")
        return {"SIZE": [len(frame)] * len(frame)}


class GroupSizes:
    """The bytes of all files of the group, beside each of its rows."""

    def predict(self, frame: pd.DataFrame) -> Any:
        total = sum(len(content) for content in frame["FILE"] if content is not None)
        return {"TOTAL": [total] * len(frame)}


class OutOfDeviceMemory:
    """Has room for ten rows, and says what a library says that has not; each failed call leaves a line in ``marks``."""

    def __init__(self, marks: str) -> None:
        self.marks = marks

    def predict(self, frame: pd.DataFrame) -> Any:
        if len(frame) > 10:
            with Path(self.marks).open("a") as file:
                file.write(f"{len(frame)}\n")
            raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported")
        return frame["ID"].to_numpy()


class DiesInFork:
    """Its process dies when it is forked from, or the one that was forked does."""

    def __init__(self, child: bool) -> None:
        if child:
            os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGKILL))
        else:
            os.register_at_fork(before=lambda: os._exit(7))

    def predict(self, frame: pd.DataFrame) -> Any:
        return frame["ID"].to_numpy()


class Leaves:
    """Ends its process on the row whose ID is 150, or asks Python to."""

    def __init__(self, politely: bool) -> None:
        self.politely = politely

    def predict(self, frame: pd.DataFrame) -> Any:
        if (frame["ID"] == 150).any():
            if self.politely:
                sys.exit(3)
            os._exit(0)
        return frame["ID"].to_numpy()


class Devices:
    """Leaves a file named by its process and the devices it sees, and waits until as many processes have."""

    def __init__(self, folder: str, processes: int) -> None:
        self.folder, self.processes = Path(folder), processes

    def predict(self, frame: pd.DataFrame) -> Any:
        (self.folder / f"{os.getpid()} {os.environ['CUDA_VISIBLE_DEVICES']}").touch()
        while len(list(self.folder.iterdir())) < self.processes:
            time.sleep(0.01)
        return frame["ID"].to_numpy()


class Reuses:
    """Writes every batch into the same memory, and returns that in one of several forms."""

    def __init__(self, form: str) -> None:
        self.form = form
        self.memory = np.zeros((100_000, 2))

    def predict(self, frame: pd.DataFrame) -> Any:
        memory = self.memory[: len(frame)]
        memory[:, 0] = memory[:, 1] = frame["ID"].to_numpy()
        return {
            "numpy": lambda: memory,
            "frame": lambda: pd.DataFrame(memory, copy=False),
            "rows": lambda: [{"Y": one} for one in memory],
            "generator": lambda: (float(one) for one in self.memory[: len(frame), 0]),
        }[self.form]()


class ForkedLate:
    """Of the processes forked from the one that loaded it, only one goes on before there is a file ``release``."""

    def __init__(self, folder: str) -> None:
        os.register_at_fork(after_in_child=lambda: self._wait(Path(folder)))

    def _wait(self, folder: Path) -> None:
        try:
            (folder / "first").touch(exist_ok=False)
        except FileExistsError:
            while not (folder / "release").exists():
                time.sleep(0.01)

    def predict(self, frame: pd.DataFrame) -> Any:
        return frame["ID"].to_numpy()


class SeesOthers:
    """Loads only when another process has been started; scores only when it is loaded as well, or gone.

    :param folder: where each process that loads the model notes which there are.
    """

    def __init__(self, folder: str, forkable: bool) -> None:
        self._folder, self._forkable = Path(folder), forkable
        _wait_until(lambda: len(_children(os.getppid())) == 2)
        (self._folder / str(os.getpid())).write_text(" ".join(map(str, _children(os.getppid()))))
        if not forkable:
            threading.Thread(target=threading.Event().wait, daemon=True).start()

    def predict(self, frame: pd.DataFrame) -> Any:
        if self._forkable:
            coordinator = psutil.Process(os.getppid()).ppid()
            _wait_until(lambda: len(_children(coordinator)) == 1)
        else:
            _wait_until(lambda: len(list(self._folder.iterdir())) == 2)
        return {"PID": [os.getpid()] * len(frame)}


def _children(pid: int) -> list[int]:
    """The model processes among a process's children."""
    living = [child for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in living if any("model_process" in word for word in child.cmdline())]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


class WhereFrom:
    """Tells where the worker's code was loaded from."""

    def predict(self, data: pd.DataFrame) -> dict[str, Any]:
        import airflow_provider_snowflake_batch

        return {"WORKER": [str(Path(airflow_provider_snowflake_batch.__file__).parents[1])] * len(data)}


class Seen:
    """Tells of each value of each column how the model sees it."""

    def predict(self, frame: pd.DataFrame) -> Any:
        return {f"SEEN_{name}": [f"{frame[name].dtype}: {_seen(value)}" for value in frame[name]] for name in frame}


class SeenInArrow(Seen):
    """The same for rows as Arrow."""

    input_format = "arrow"

    def predict(self, table: pa.Table) -> Any:
        return {
            f"SEEN_{name}": [f"{table.schema.field(name).type}: {value!r}" for value in table[name].to_pylist()]
            for name in table.column_names
        }


def _seen(value: Any) -> str:
    return f"{value.dtype} {value.tolist()!r}" if isinstance(value, np.ndarray) else repr(value)


class WideThenFractions:
    """Whole numbers above 2**53 first, then fractions."""

    def predict(self, frame: pd.DataFrame) -> Any:
        return {"Y": [2**53 + int(x) if x < 4 else 0.5 for x in frame["ID"]]}


class SameInArrow:
    """Each column once more, in two record batches."""

    input_format = "arrow"

    def predict(self, table: pa.Table) -> Any:
        half = len(table) // 2
        again = table.rename_columns([f"{name}_AGAIN" for name in table.column_names])
        return [again[:half], again[half:]]


class NanThenTexts:
    """NaN for each row whose ID is below 30, text for those after; and NaN for all."""

    def predict(self, frame: pd.DataFrame) -> Any:
        nan = float("nan")
        return {"TEXT": [nan if one < 30 else "x" for one in frame["ID"]], "NUMBER": [nan] * len(frame)}


class ObjectsAndText:
    """Nothing for the first two rows, an object for the third, text for the fourth."""

    def predict(self, frame: pd.DataFrame) -> Any:
        return [[None, None, {"a": 1}, "x"][one] for one in frame["ID"]]


class Slowed:
    """Waits in its first call until a file is there, and says so by another; not if there is one named ``skip``."""

    def __init__(self, wait_for: str) -> None:
        self.path = Path(wait_for)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        if not self.path.with_name("skip").exists():
            self.path.with_name("waiting").touch()
            while not self.path.exists():
                time.sleep(0.01)
        return pd.DataFrame({"Y": frame["X"] * 2})


class InPlace:
    """Doubles the column ``X`` where it lies, then fails for some rows."""

    def __init__(self, form: str, fails: list[int]) -> None:
        self.input_format, self._fails = form, set(fails)

    def predict(self, rows: Any) -> Any:
        array = (rows["X"].chunk(0) if isinstance(rows, pa.Table) else rows["X"]).to_numpy()
        # As libraries do that do not ask whether they may write.
        memory = np.ctypeslib.as_array((ctypes.c_double * len(array)).from_address(array.ctypes.data))
        memory *= 2
        if self._fails & set(rows["ID"].to_numpy().tolist()):
            raise ValueError("no")
        return {"Y": memory.copy()}


class Sparse:
    """An object for each row whose ID is 30 and more, nothing for those before."""

    def predict(self, frame: pd.DataFrame) -> Any:
        return [None if one < 20 else {} if one < 30 else {"A": {"id": int(one)}} for one in frame["ID"]]


class PadsTexts:
    """Tells the length of each text; a call costs as many characters as its longest text has, for each of them.

    :param marks: gets rows and longest text of each call. :param bad: IDs for which it raises.
    :param says: attributes that it has besides.
    """

    length_of: Any = "TEXT"
    batch_tokens = 100

    def __init__(
        self, marks: str | None = None, bad: list[int] | None = None, says: dict[str, Any] | None = None
    ) -> None:
        self.marks, self.bad = marks, bad or []
        for name, value in (says or {}).items():
            setattr(self, name, value)

    def predict(self, frame: pd.DataFrame) -> dict[str, Any]:
        lengths = [len(text) for text in frame["TEXT"]]
        if frame["ID"].isin(self.bad).any():
            raise ValueError("bad")
        if self.marks:
            with Path(self.marks).open("a") as file:
                file.write(f"{len(lengths)} {max(lengths)}\n")
        return {"Y": np.array(lengths)}


class PadsTokens(PadsTexts):
    """The same by a method, with the rows as Arrow."""

    input_format = "arrow"

    def length_of(self, table: pa.Table) -> Any:  # type: ignore[override]
        return np.array([len(text) for text in table["TEXT"].to_pylist()])

    def predict(self, table: pa.Table) -> dict[str, Any]:  # type: ignore[override]
        return super().predict(table.to_pandas())


class PartByPart:
    """Scores some rows before the others, as one with a model for each country does."""

    def __init__(self, form: str) -> None:
        self.input_format = form

    def predict(self, rows: Any) -> pd.DataFrame:
        frame = rows.to_pandas() if isinstance(rows, pa.Table) else rows
        odd = frame["ID"] % 2 == 1
        return pd.concat([frame[odd], frame[~odd]])[["X"]].rename(columns={"X": "Y"})
