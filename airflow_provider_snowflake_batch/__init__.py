"""Run large batch inference on Snowflake from Apache Airflow."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """What Airflow's provider manager reads (entry point ``apache_airflow_provider``)."""
    package = __name__
    integration = "Snowflake Batch Inference"

    def modules(*names: str) -> list[dict[str, Any]]:
        return [{"integration-name": integration, "python-modules": [f"{package}.{name}" for name in names]}]

    return {
        "package-name": "airflow-provider-snowflake-batch",
        "name": integration,
        "description": "Batch inference jobs of Snowflake's Model Registry on Snowpark Container Services.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs",
                # In the source distribution, as with Airflow's own providers: catalogues of providers show it.
                "logo": "/docs/integration-logos/snowflake-batch-inference.svg",
                "tags": ["service", "ai-inference", "machine-learning"],
            }
        ],
        "config": _config(),
        "cli": [f"{package}.cli.definition.get_commands"],
        "hooks": modules("hooks.batch_inference"),
        "operators": modules("operators.batch_inference", "operators.jobs", "operators.load", "operators.verify"),
        "sensors": modules("sensors.batch_inference"),
        "triggers": modules("triggers.batch_inference", "triggers.success"),
        "task-decorators": [
            {"name": "snowflake_batch", "class-name": f"{package}.decorators.snowflake_batch.snowflake_batch_task"}
        ],
        "extra-links": [
            f"{package}.links.job_card.JobCardLink",
            *(
                f"{package}.links.snowsight.{name}"
                for name in ("SnowsightJobLink", "OutputStageLink", "SnowsightTableLink")
            ),
        ],
    }


def _config() -> dict[str, Any]:
    """The section of Airflow's configuration: where jobs of the worker run, unless a task says otherwise."""

    def image(kind: str, pools: str) -> dict[str, Any]:
        return {
            "description": (
                f"Image of the worker's jobs on compute pools {pools}, with its tag. Without one, the account is asked "
                "for its container runtime."
            ),
            "version_added": "0.2.0",
            "type": "string",
            "example": f"/snowflake/images/snowflake_images/container_runtime/{kind}_x86_64:2.10.0",
            "default": None,
        }

    options = {"cpu_image": image("cpu", "without GPUs"), "gpu_image": image("gpu", "with GPUs")}
    prices = {
        "description": (
            "Credits for an hour of one node, by instance family: what the tab of a job estimates its cost with. "
            "It takes precedence over the package's own table."
        ),
        "version_added": "0.2.0",
        "type": "string",
        "example": '{"CPU_X64_S": 0.11}',
        "default": None,
    }
    description = "Jobs of a model that is in no registry, and what jobs cost."
    return {"snowflake_batch": {"description": description, "options": {**options, "credits_per_node_hour": prices}}}
