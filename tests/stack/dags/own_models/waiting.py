"""The models of the stack's Dags that are in no registry."""

import json
import os
import time
from pathlib import Path


class Patience:
    """Waits for each batch as long as its most patient row says; a job of any length, or of none."""

    def predict(self, rows):
        time.sleep(float(rows["SECONDS"].max()))
        return {"WAITED": rows["SECONDS"]}


class Witness:
    """Notes which rows it is given, before it scores them.

    :param notes: a folder; each process adds lines to a file of its own there.
    :param rows_per_second: how fast it is.
    :param waits_from: with a row of this ID, or a larger one, it waits until there is a file ``finish`` in the folder.
    """

    def __init__(self, notes, rows_per_second, waits_from):
        self.notes, self.rows_per_second, self.waits_from = notes, float(rows_per_second), int(waits_from)

    def predict(self, rows):
        job, process = os.environ["SNOWFLAKE_SERVICE_NAME"], os.getpid()
        with open(f"{self.notes}/{job}-{process}.jsonl", "a") as file:
            file.write(json.dumps({"job": job, "ids": rows["ID"].tolist()}) + "\n")
        time.sleep(len(rows) / self.rows_per_second)
        while rows["ID"].max() >= self.waits_from and not Path(self.notes, "finish").exists():
            time.sleep(0.05)
        return {"SCORE": rows["ID"] * 3}
