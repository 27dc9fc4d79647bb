"""What a first run on an account has to show, in the order in which to look. Nothing of it has been seen there yet.

``docs/first-run.md`` has the same table.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_snowflake_batch.contract.output_layout import MANIFEST, STAGED_INPUT


@dataclass(frozen=True, slots=True)
class Step:
    """:param otherwise: what to do, or to set, where it turns out otherwise."""

    what: str
    how: str
    otherwise: str


CHECKLIST = (
    Step(
        "the role sees its own grants, and the account's parameters",
        "`airflow snowflake-batch doctor --write` shows no `?` for privileges and parameters",
        "read the privileges off with a role that may; the jobs do not need to see them",
    ),
    # --- the container
    Step(
        "`EXECUTE JOB SERVICE` takes the image of the container runtime, and the role may ask for it",
        "doctor's line *runtime image*; then a job of a `PythonModel` over ten rows",
        "pin an image by `[snowflake_batch] cpu_image`, or build one from `docker/`",
    ),
    Step(
        "a container that asks for all memory but that of its stages fits on a node",
        "the same job leaves `PENDING`; once for each instance family",
        "lower `job_spec.memory_requests`",
    ),
    Step(
        "the worker's Python is 3.10 or newer, and it is ready within seconds",
        "the first lines of the task's log",
        "an image of your own",
    ),
    Step(
        "a stage volume takes what the worker writes, and shows it to other replicas and to `LIST` within 30 seconds",
        "a job of two replicas over 1 million rows; rows in the result; `verify` of the files that `GET` fetches",
        "keep the log: it names the call that failed",
    ),
    Step(
        "a stage that clients encrypt can be mounted",
        "the same job with its output on a stage without `SNOWFLAKE_SSE`",
        "use a stage with server-side encryption, as the script makes it",
    ),
    Step(
        "rows come through unloading and loading as they were",
        "a table with a column of each type, `BINARY` and `VECTOR` among them, as `X`; `LoadBatchResultsOperator` back",
        "cast that column in the query",
    ),
    Step(
        "a retry does only what is missing",
        "cancel a job of many tasks half-way, let the task retry: its log says how many tasks are reused",
        f"keep both logs and `{MANIFEST}`",
    ),
    Step(
        "`READ` on a registered model lets its files be listed, with their MD5, and fetched",
        "a job of a `RegistryModel` over ten rows, twice: the second time nothing is uploaded",
        "grant `OWNERSHIP`, or use the model with `model_name`",
    ),
    Step(
        "secrets reach the container, and external access opens the network",
        "a model that reads an environment variable of `job_spec.secrets` and fetches a page",
        "look at USAGE on the integration and READ on the secret",
    ),
    Step(
        "a pool with GPUs gives them",
        "`torch.cuda.device_count()` in the model's log",
        "keep `SHOW SERVICE CONTAINERS` of the job",
    ),
    # --- registered models
    Step(
        "`EXECUTE INFERENCE JOB SERVICE` takes the statement as it stands in the task's log",
        "a registered scikit-learn model over ten rows; the first time takes minutes for its image",
        "keep the number and the sentence of the error",
    ),
    Step(
        "quotes and backslashes in the specification arrive as they are",
        "a parameter of the model with the value `a\\b'c`, which it returns",
        "avoid them in parameters and paths",
    ),
    Step(
        "the columns of `SHOW VERSIONS` tell what a version takes",
        "a parameter that the model lacks is refused before the job is submitted",
        "nothing: such a job fails in Snowflake instead",
    ),
    Step(
        "the query of a job may use a temporary file format of its session",
        "stage Parquet with `pattern` as `X`, without a `file_format`",
        "name a `file_format` of your own",
    ),
    Step(
        f"a long list of paths is removed from `{STAGED_INPUT}/`, also when the job fails",
        "`LIST` of the output stage after a job over a list of 2,000 paths",
        "remove it yourself",
    ),
    Step(
        "an image that cannot be built fails the statement, with its reason",
        "a model with a package that does not exist",
        "look into the log of the job `MODEL_BUILD_…`",
    ),
    # --- jobs of both kinds
    Step(
        "`DESCRIBE SERVICE` knows a job as soon as it is submitted",
        "no task fails as lost in its first minute",
        "keep the task's log",
    ),
    Step(
        "one failed replica fails the job, and the others end",
        "a model that raises for one row, with two replicas",
        "cancel the job; keep `SHOW SERVICE INSTANCES`",
    ),
    Step(
        "a container that runs out of memory says so",
        "a model that takes more than the node has: exit code and message in the task's error",
        "keep `SHOW SERVICE CONTAINERS`",
    ),
    Step(
        "a killed task's job is cancelled and keeps its log",
        "mark a deferred task as failed: the job becomes `CANCELLED` within a minute",
        "`airflow tasks` log of the triggerer",
    ),
    Step(
        "a full or suspended pool is told as such",
        "two jobs on a pool of one node; a job on a suspended pool that does not resume by itself",
        "keep `DESCRIBE COMPUTE POOL`",
    ),
    Step(
        "the name of an ended job stays taken",
        "a second job of the same `job_name` is refused with error 2002",
        "nothing",
    ),
    Step(
        "the times on the job's page are those of the job",
        "compare with Snowsight",
        "note which column of `SHOW JOB SERVICES` holds the end",
    ),
    Step(
        "the buttons lead to the job, the stage and the table in Snowsight",
        "click them",
        "note the address that Snowsight shows",
    ),
    Step(
        "a session that waits for longer than four hours goes on",
        "a deferred job of five hours; password or token renewed meanwhile",
        "keep the triggerer's log",
    ),
)
