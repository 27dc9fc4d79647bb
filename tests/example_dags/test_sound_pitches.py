"""The example of sound files from a list, with nested results."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.example_dags.run_example import ROOT, load_example, run_example

DAG_FILE = ROOT / "example_dags" / "sound_pitches.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    return load_example("sound_pitches")


def test_the_dag_file_parses(example: ModuleType) -> None:
    assert example.dag.get_task("score").upstream_task_ids == {"upload", "log_model"}
    assert example.dag.get_task("evaluate").upstream_task_ids == {"load"}


@pytest.mark.slow
def test_each_sounds_pitches_are_in_the_table(example: ModuleType, local_server: LocalServer, tmp_path: Path) -> None:
    from scipy.io import wavfile
    from scipy.signal import periodogram

    results = run_example(DAG_FILE, local_server, tmp_path)
    assert results["score"]["rows"] == len(example.SOUNDS)
    assert [path.rpartition("/")[2] for path in results["upload"]] == list(example.SOUNDS)

    pieces = results["evaluate"]["pieces"]
    assert {piece[0] for piece in pieces} == set(example.SOUNDS)
    for file in example.sound_files():
        rate, samples = wavfile.read(file)
        first = samples if samples.ndim == 1 else samples[:, 0]
        step = rate // 100
        found = [piece[1:] for piece in pieces if piece[0] == file.name]
        assert len(found) == len(first) // step > 0
        for number, (found_rate, channels, start, hertz) in enumerate(found):
            assert (found_rate, channels) == (rate, 1 if samples.ndim == 1 else samples.shape[1])
            assert start == number * step / rate
            frequencies, power = periodogram(first[number * step :][:step].astype(float), rate, detrend="constant")
            assert power[np.isclose(frequencies, hertz)] == pytest.approx(power.max())
