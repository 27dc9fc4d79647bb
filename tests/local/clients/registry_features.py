"""The Model Registry client and its batch jobs, of the lines 1 and 2."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.local.clients.catalogue import Client, Local

CLIENT = Client(
    title="snowflake-ml-python",
    distribution="snowflake-ml-python",
    module="registry",
    requires=("snowflake.ml", "sklearn"),
    protocols=("http", "https"),
)
POOL = "SYSTEM_COMPUTE_POOL_CPU"
SECONDS = 180


def is_first_line() -> bool:
    """Whether ``run_batch`` is that of the versions before 2."""
    return CLIENT.version.startswith("1.")


def specifications() -> Any:
    """The module with the blocks of a batch job."""
    return importlib.import_module(
        "snowflake.ml.model.batch" if is_first_line() else "snowflake.ml.model.batch_inference"
    )


class Logged:
    """A session with a model of 2 * A + 3 * B in the registry, and the rows to score.

    :param version: the model's version.
    :param rows: also in the table ``ROWS_IN``.
    """

    def __init__(self, local: Local, session: Any) -> None:
        import pandas as pd
        from sklearn.linear_model import LinearRegression
        from snowflake.ml.registry import Registry

        self.session = session
        self.base = f"@LOCAL.{local.schema}.OUT/results/"
        session.sql("CREATE STAGE OUT").collect()
        self.rows = pd.DataFrame({"ID": range(50), "A": [number / 2 for number in range(50)], "B": [1.0] * 50})
        session.create_dataframe(self.rows).write.save_as_table("ROWS_IN")
        self.inputs = self.rows[["A", "B"]]
        self.model = LinearRegression().fit(self.inputs, 2 * self.rows["A"] + 3 * self.rows["B"])
        self.registry = Registry(session=session, database_name="LOCAL", schema_name=local.schema)
        self.version = self.log("LINEAR", "V1")

    def log(self, name: str, version: str) -> Any:
        return self.registry.log_model(
            self.model, model_name=name, version_name=version, sample_input_data=self.inputs.head(5),
            options={"target_methods": ["predict"]},
        )  # fmt: skip

    def run(self, **blocks: Any) -> Any:
        """Submit a batch job in the way of the installed version."""
        output = {"base_stage_location" if is_first_line() else "stage_location": self.base}
        blocks = {"output_spec": specifications().OutputSpec(**output), **blocks}
        return self.version.run_batch(X=self.session.table("ROWS_IN"), compute_pool=POOL, **blocks)

    def check(self, job: Any) -> None:
        """The job is done and has scored every row once."""
        status = job.wait(timeout=SECONDS)
        assert job.status == "DONE", f"{status}: {job.get_logs()}"
        reader = self.session.read.option("pattern", r".*\.parquet")
        result = reader.parquet(f"{self.base}{job.name}/").to_pandas().sort_values("ID")
        assert result["ID"].tolist() == self.rows["ID"].tolist()
        scores = result["output_feature_0"].tolist()
        assert all(abs(got - (2 * a + 3)) < 1e-9 for got, a in zip(scores, self.rows["A"], strict=True)), scores[:5]
        names = [row["name"] for row in self.session.sql(f"LIST {self.base}{job.name}/").collect()]
        assert any(name.endswith("/_SUCCESS") for name in names), names


@contextmanager
def logged(local: Local) -> Iterator[Logged]:
    from snowflake.snowpark import Session

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = Session.builder.configs(local.options).create()
        try:
            yield Logged(local, session)
        finally:
            session.close()


@CLIENT.works("`Registry`: log, get, show, load, delete")
def registry(local: Local) -> None:
    with logged(local) as place:
        place.log("LINEAR", "V2")
        shown = place.registry.show_models().set_index("name").loc["LINEAR"]
        assert shown["default_version_name"] == "V1"
        model = place.registry.get_model("LINEAR")
        assert [version.version_name for version in model.versions()] == ["V1", "V2"]
        (function,) = model.version("V2").show_functions()
        assert [item.name for item in function["signature"].inputs] == ["A", "B"]
        loaded = model.version("V2").load()
        assert (loaded.predict(place.inputs) == place.model.predict(place.inputs)).all()
        model.delete_version("V2")
        assert [version.version_name for version in model.versions()] == ["V1"]
        place.registry.delete_model("LINEAR")
        assert place.registry.show_models().empty


@CLIENT.works("`Registry`: default version, aliases, comments, metrics, tags")
def versions(local: Local) -> None:
    with logged(local) as place:
        place.log("LINEAR", "V2")
        model = place.registry.get_model("LINEAR")
        model.default = "V2"
        assert model.default.version_name == "V2"
        version = model.version("V1")
        version.set_alias("champion")
        assert model.version("champion").version_name == "V1"
        version.comment = "it's the first"
        version.set_metric("accuracy", 0.97)
        assert (version.comment, version.get_metric("accuracy")) == ("it's the first", 0.97)


@CLIENT.works("`run_batch`, `wait`, `status`, `get_logs`")
def run_batch(local: Local) -> None:
    with logged(local) as place:
        job = place.run()
        place.check(job)
        assert job.get_logs()


@CLIENT.works("`run_batch` with every block, several replicas")
def run_batch_blocks(local: Local) -> None:
    specs, name = specifications(), f"LOCAL.{local.schema}.ALL_BLOCKS"
    with logged(local) as place:
        if is_first_line():
            blocks = {
                "job_spec": specs.JobSpec(
                    job_name=name, function_name="predict", num_workers=1, max_batch_rows=16, replicas=2,
                    cpu_requests="1", memory_requests="2GiB", warehouse="COMPUTE_WH",
                ),
                "output_spec": specs.OutputSpec(base_stage_location=place.base, mode=specs.SaveMode.OVERWRITE),
            }  # fmt: skip
        else:
            blocks = {
                "inference_spec": specs.InferenceSpec(num_workers=1, max_batch_rows=16),
                "resources_spec": specs.ResourcesSpec(cpu_requests="1", memory_requests="2GiB"),
                "output_spec": specs.OutputSpec(stage_location=place.base, mode=specs.SaveMode.OVERWRITE),
                "job_name": name,
                "replicas": 2,
            }
        job = place.run(input_spec=specs.InputSpec(params={}), **blocks)
        place.check(job)
        assert job.target_instances == 2


@CLIENT.works("`list_jobs`, `get_job`, `delete_job`")
def jobs(local: Local) -> None:
    from snowflake.ml.jobs import delete_job, get_job, list_jobs

    with logged(local) as place:
        job = place.run()
        place.check(job)
        listed = list_jobs(session=place.session, limit=50).set_index("name")
        assert listed.loc[job.name, "status"] == "DONE"
        assert get_job(job.id, session=place.session).status == "DONE"
        delete_job(job)
        assert job.name not in set(list_jobs(session=place.session, limit=50)["name"])


@CLIENT.works("`cancel`")
def cancel(local: Local) -> None:
    with logged(local) as place:
        job = place.run()
        job.cancel()
        job.wait(timeout=SECONDS)
        assert job.status in ("CANCELLED", "DELETED"), job.status


@CLIENT.works("`list_stage_files`", absent=("1.",))
def list_stage_files(local: Local) -> None:
    import io

    from snowflake.ml.utils.stage_file import list_stage_files as list_files

    with logged(local) as place:
        for name in ("a.jpg", "b.jpg", "c.txt"):
            place.session.file.put_stream(io.BytesIO(b"x"), f"@OUT/in/{name}", auto_compress=False)
        rows = list_files(place.session, f"@LOCAL.{local.schema}.OUT/in", pattern=r".*\.jpg", column_name="F").collect()
        assert sorted(row["F"].rsplit("/", 1)[1] for row in rows) == ["a.jpg", "b.jpg"]
