"""dbt builds a table of features, a batch inference job scores it.

The dbt project beside this file, `customers_dbt`, makes the table CUSTOMER_FEATURES of customers and their orders. A
model that groups customers is trained on it and scores it. dbt runs as a command, because Airflow and dbt seldom agree
on the versions of what both need: install `dbt-core` and `dbt-snowflake` into an environment of their own and name its
command in `DBT_COMMAND`; without that, `dbt` is looked for on the PATH. Neither is needed where this file is parsed.

The Dag runs unchanged against the local Snowflake and against an account: dbt gets the connection `snowflake_default`
in environment variables. One with a key pair needs other lines in `customers_dbt/profiles.yml`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param, task

from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

PROJECT = Path(__file__).parent / "customers_dbt"
FEATURES = ("ORDERS", "SPENT", "RETURNED_SHARE", "DAYS_SINCE_SIGN_UP", "IS_PRO")


def _of_connection(name: str) -> str:
    return f"{{{{ conn.snowflake_default.extra_dejson.get('{name}', '') }}}}"


with DAG(
    "customers_by_dbt",
    description="Score a table that dbt builds",
    doc_md=__doc__,
    schedule=None,
    tags=["snowflake", "batch-inference", "dbt"],
    params={"compute_pool": Param("CUSTOMERS_POOL", type="string", description="Created if it does not exist.")},
) as dag:
    features = BashOperator(
        task_id="features",
        # Seeds, models, snapshot and tests, in the order of their dependencies. The task's folder is a temporary one.
        bash_command='DBT_TARGET_PATH="$PWD/target" DBT_LOG_PATH="$PWD/logs" "${DBT_COMMAND:-dbt}" build',
        env={
            "DBT_PROJECT_DIR": str(PROJECT),
            "DBT_PROFILES_DIR": str(PROJECT),
            # dbt masks what begins with DBT_ENV_SECRET_ in its logs.
            "DBT_ENV_SECRET_PASSWORD": "{{ conn.snowflake_default.password }}",
            "CUSTOMERS_USER": "{{ conn.snowflake_default.login }}",
            "CUSTOMERS_SCHEMA": "{{ conn.snowflake_default.schema }}",
            **{
                f"CUSTOMERS_{name.upper()}": _of_connection(name)
                for name in ("account", "host", "port", "protocol", "role", "warehouse", "database")
            },
        },
        append_env=True,
        do_xcom_push=False,
    )

    @task
    def train(params: dict[str, Any]) -> str:
        """Create what the job needs, group the customers and log the model; the result is the new version's name."""
        from datetime import UTC, datetime

        from sklearn.cluster import KMeans
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from snowflake.ml.registry import Registry

        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

        pool = Identifier.parse(params["compute_pool"], field="compute_pool")
        hook = SnowflakeBatchHook("snowflake_default")
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE STAGE IF NOT EXISTS CUSTOMER_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        version = f"V{datetime.now(UTC):%Y%m%d_%H%M%S_%f}"
        with hook.get_snowpark_session() as session:
            rows = session.table("CUSTOMER_FEATURES").to_pandas()[list(FEATURES)].astype(float)
            model = make_pipeline(StandardScaler(), KMeans(n_clusters=3, n_init=10, random_state=0)).fit(rows)
            Registry(session).log_model(
                model,
                model_name="CUSTOMER_SEGMENTS",
                version_name=version,
                sample_input_data=rows,
                target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
            )
        return version

    score = RunBatchOperator(
        task_id="score",
        model_name="CUSTOMER_SEGMENTS",
        version_name="{{ ti.xcom_pull('train') }}",
        function_name="predict",
        X="SELECT CUSTOMER_ID, "
        + ", ".join(f"{name}::FLOAT AS {name}" for name in FEATURES)
        + " FROM CUSTOMER_FEATURES",
        compute_pool="{{ params.compute_pool }}",
        output_spec=OutputSpec(stage_location="@CUSTOMER_RESULTS/segments/"),
        job_spec=JobSpec(max_batch_rows=256),
        deferrable=True,
    )

    features >> train() >> score
