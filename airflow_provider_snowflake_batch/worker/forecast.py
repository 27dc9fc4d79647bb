"""Time and memory of a batch, calculated from a short sample of it. Pure arithmetic."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DEFAULT_SECONDS = 20.0
"""Of a sample, for all batch sizes together."""
# Parts of a sample whose speeds are compared.
_PARTS = 5
# The mean lies within two standard errors in about 95 of 100 cases.
_ERRORS = 2.0


@dataclass(frozen=True)
class Sample:
    """What was seen while some of the input was scored.

    :param max_batch_rows: rows in one call, None where the worker has chosen.
    :param points: seconds since the model was loaded, and rows scored by then; when it was told of more of them.
    :param start_seconds: from the process's start until the model was loaded.
    :param memory: most bytes that all processes held at once, None where the system does not tell.
    :param workers: model processes. :param whole: all of the input was scored.
    """

    max_batch_rows: int | None
    points: tuple[tuple[float, int], ...]
    start_seconds: float
    memory: int | None
    workers: int
    whole: bool = False

    @property
    def _used(self) -> tuple[tuple[float, int], ...]:
        # The time before the first rows is left out, since it is no steady state, unless there are no other points.
        return self.points if len(self.points) > 2 else ((0.0, 0), *self.points)

    @property
    def rows(self) -> int:
        """Rows scored."""
        return self.points[-1][1] if self.points else 0

    @property
    def rows_per_second(self) -> float:
        """Speed of this machine, 0 if nothing was scored."""
        (since, before), (until, after) = self._used[0], self._used[-1]
        return (after - before) / (until - since) if until > since else 0.0

    @property
    def uncertainty(self) -> float | None:
        """Two standard errors of the speed, as a share of it; None if the sample is too short to tell."""
        speeds = _speeds(self._used)
        if len(speeds) < 3 or not self.rows_per_second:
            return None
        return _ERRORS * statistics.stdev(speeds) / math.sqrt(len(speeds)) / self.rows_per_second


def _speeds(points: Sequence[tuple[float, int]]) -> list[float]:
    """Rows per second in parts of about the same duration, each from one point to another."""
    found, begin = [], points[0]
    for end in points[1:]:
        if end[0] - begin[0] >= (points[-1][0] - points[0][0]) / _PARTS * 0.999:
            found.append((end[1] - begin[1]) / (end[0] - begin[0]))
            begin = end
    return found


def best(samples: Sequence[Sample]) -> Sample:
    """The fastest sample, but the first one unless another is faster by more than both are uncertain."""

    def margin(sample: Sample) -> float:
        return sample.rows_per_second * (sample.uncertainty or 0.0)

    first, fastest = samples[0], max(samples, key=lambda sample: sample.rows_per_second)
    ahead = fastest.rows_per_second - first.rows_per_second
    return fastest if ahead > margin(first) + margin(fastest) else first


@dataclass(frozen=True)
class Forecast:
    """The whole input on some replicas, each like this machine.

    :param seconds: from the first container's start. :param least: at least so many, with the sample's uncertainty;
        None where that is not known. :param most: at most so many.
    """

    replicas: int
    seconds: float
    least: float | None
    most: float | None

    @property
    def node_hours(self) -> float:
        """Of replicas that each have a node of their own."""
        return self.replicas * self.seconds / 3600


def forecasts(sample: Sample, task_rows: Sequence[int]) -> list[Forecast]:
    """On 1, 2, 4 … replicas, as long as each has a task to do.

    The one with most rows decides; tasks are shared in turn.

    :param task_rows: the rows of each task, in order.
    """
    found, replicas, rate = [], 1, sample.rows_per_second
    while rate and replicas <= max(len(task_rows), 1):
        rows = max(sum(task_rows[first::replicas]) for first in range(replicas))
        least = most = None
        if sample.uncertainty is not None:
            least = sample.start_seconds + rows / (rate * (1 + sample.uncertainty))
            most = sample.start_seconds + rows / (rate * (1 - min(sample.uncertainty, 0.9)))
        found.append(Forecast(replicas, sample.start_seconds + rows / rate, least, most))
        replicas *= 2
    return found


def to_document(samples: Sequence[Sample], task_rows: Sequence[int]) -> dict[str, Any]:
    """All of it, for programs."""
    chosen = best(samples)
    return {
        "rows": sum(task_rows),
        "tasks": len(task_rows),
        "sampled_rows": chosen.rows,
        "rows_per_second": round(chosen.rows_per_second, 3),
        "uncertainty": None if chosen.uncertainty is None else round(chosen.uncertainty, 3),
        "best_max_batch_rows": chosen.max_batch_rows,
        "start_seconds": round(chosen.start_seconds, 3),
        "memory": chosen.memory,
        "workers": chosen.workers,
        "batch_sizes": [
            {
                "max_batch_rows": one.max_batch_rows,
                "rows_per_second": round(one.rows_per_second, 3),
                "uncertainty": None if one.uncertainty is None else round(one.uncertainty, 3),
                "memory": one.memory,
            }
            for one in samples
        ],
        "replicas": [
            {
                "replicas": one.replicas,
                "seconds": round(one.seconds, 1),
                "least_seconds": None if one.least is None else round(one.least, 1),
                "most_seconds": None if one.most is None else round(one.most, 1),
                "node_hours": round(one.node_hours, 6),
            }
            for one in forecasts(chosen, task_rows)
        ],
    }


def to_text(document: dict[str, Any]) -> str:
    """What :func:`to_document` says, for people."""
    auto = "chosen by the worker"
    lines = [
        f"{document['rows']:,} rows in {document['tasks']:,} tasks; sampled {document['sampled_rows']:,} of the first",
        f"rows per second   {_speed(document)}, with {document['workers']} model processes",
        f"memory            {_bytes(document['memory'])}",
        f"start             {document['start_seconds']:.1f} s until the model is loaded",
        f"max_batch_rows    {document['best_max_batch_rows'] or auto}",
        *(
            f"  {one['max_batch_rows'] or auto!s:>22}   {_speed(one)} rows/s, {_bytes(one['memory'])}"
            for one in document["batch_sizes"]
        ),
        "",
        "replicas   time                              node-hours",
    ]
    for one in document["replicas"]:
        time = _duration(one["seconds"])
        if one["least_seconds"] is not None:
            time += f" ({_duration(one['least_seconds'])} to {_duration(one['most_seconds'])})"
        lines.append(f"{one['replicas']:>8}   {time:<32}  {one['node_hours']:.3g}")
    if document["tasks"] < 2 * (document["replicas"] or [{"replicas": 1}])[-1]["replicas"]:
        lines.append("More replicas would have nothing to do: each task is one replica's.")
    lines.append("For machines like this one, and rows like the first; waiting for nodes and images comes on top.")
    return "\n".join(lines)


def _speed(entry: dict[str, Any]) -> str:
    share = entry["uncertainty"]
    told = "±?, too short to tell" if share is None else f"± {100 * share:.0f} %"
    return f"{entry['rows_per_second']:,.1f} {told}"


def _bytes(count: int | None) -> str:
    return "not known here" if count is None else f"{count / 2**20:,.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
