"""What is said of an account: facts in, findings out.

Also tests ``doctor/facts.py``, ``doctor/findings.py``, ``doctor/object_checks.py``, ``doctor/parameter_checks.py``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_snowflake_batch.doctor.account_checks import check_account, check_login
from airflow_provider_snowflake_batch.doctor.facts import (
    AccountFacts,
    Asked,
    Expected,
    Model,
    Pool,
    Privilege,
    Refused,
    Session,
    Stage,
    Unseen,
    Warehouse,
)
from airflow_provider_snowflake_batch.doctor.findings import Finding, Verdict, is_healthy
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.model_versions import ListedVersion
from airflow_provider_snowflake_batch.jobs.runtime_images import fallback_image

WORKER = Asked("c", "worker", Identifier("POOL"), StagePath.parse("@RESULTS/churn/", field="stage"))
REGISTRY = replace(WORKER, runtime="registry", model=QualifiedName.parse("CHURN", field="model"))
SESSION = Session("ORG", "ACC", "AIRFLOW", "BATCH", "WH", "ML", "S", "9.40.0")
EXPECTED = Expected("airflow", "batch", "wh", "ml", "s")
POOL = Pool("IDLE", "CPU_X64_S", 1, 2, auto_resume=True)
PRIVILEGES = frozenset(
    Privilege(privilege, kind, tuple(name.split(".")))
    for privilege, kind, name in (
        ("USAGE", "WAREHOUSE", "WH"),
        ("MONITOR", "DATABASE", "ML"),
        ("USAGE", "SCHEMA", "ML.S"),
        ("CREATE SERVICE", "SCHEMA", "ML.S"),
        ("CREATE FILE FORMAT", "SCHEMA", "ML.S"),
        ("USAGE", "COMPUTE POOL", "POOL"),
        ("READ", "STAGE", "ML.S.RESULTS"),
        ("WRITE", "STAGE", "ML.S.RESULTS"),
        ("OWNERSHIP", "MODEL", "ML.S.CHURN"),
    )
)
FOUND = Model((ListedVersion("V1", is_default=True), ListedVersion("V2")), ("PREDICT",))
FACTS = AccountFacts(
    expected=EXPECTED,
    session=SESSION,
    warehouse=Warehouse("SUSPENDED", auto_resume=True),
    parameters={"PREVENT_UNLOAD_TO_INTERNAL_STAGES": "false", "STATEMENT_TIMEOUT_IN_SECONDS": "172800"},
    pool=POOL,
    stage=Stage("INTERNAL NO CSE"),
    model=FOUND,
    privileges=PRIVILEGES,
    roles=("BATCH", "LOWER"),
    image="host/snowflake/images/snowflake_images/container_runtime/cpu_x86_64:2.10.0",
)
CREATE_POOL = "CREATE COMPUTE POOL {} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S AUTO_SUSPEND_SECS = 300;"
UNSEEN = Unseen("Insufficient privileges")


def without(*dropped: str) -> frozenset[Privilege]:
    return frozenset(one for one in PRIVILEGES if one.privilege not in dropped)


def bad(findings: list[Finding]) -> list[Finding]:
    return [one for one in findings if one.verdict is not Verdict.OK]


@pytest.mark.parametrize("asked", [WORKER, REGISTRY, replace(REGISTRY, runtime="worker")], ids=["w", "r", "copied"])
def test_nothing_is_wrong_where_everything_is_there(asked: Asked) -> None:
    findings = check_account(asked, FACTS)
    assert bad(findings) == []
    assert is_healthy(findings)
    assert [one.check for one in findings][:4] == ["login", "role", "warehouse", "schema"]
    (privileges,) = [one for one in findings if one.check == "privileges"]
    assert privileges.text.startswith("BATCH, with those of LOWER has all ")


@pytest.mark.parametrize(
    ("changes", "check", "text", "fix"),
    [
        ({"session": replace(SESSION, role=None)}, "role", "no role", ()),
        (
            {"session": replace(SESSION, role="PUBLIC")},
            "role",
            "asks for batch, the session has PUBLIC",
            ("GRANT ROLE BATCH TO USER AIRFLOW;",),
        ),
        (
            {"session": replace(SESSION, warehouse=None)},
            "warehouse",
            "WH does not exist, or the role has no USAGE",
            ("GRANT USAGE ON WAREHOUSE WH TO ROLE BATCH;",),
        ),
        (
            {"session": replace(SESSION, warehouse=None), "expected": replace(EXPECTED, warehouse=None)},
            "warehouse",
            "names none, and the user has no default",
            ("ALTER USER AIRFLOW SET DEFAULT_WAREHOUSE = <warehouse>;",),
        ),
        (
            {"warehouse": Warehouse("SUSPENDED", auto_resume=False)},
            "warehouse",
            "WH is suspended and does not resume",
            ("ALTER WAREHOUSE WH SET AUTO_RESUME = TRUE;",),
        ),
        (
            {"session": replace(SESSION, database=None, schema=None)},
            "schema",
            "database ML does not exist",
            ("GRANT USAGE ON DATABASE ML TO ROLE BATCH;",),
        ),
        (
            {"session": replace(SESSION, schema=None)},
            "schema",
            "ML.S does not exist",
            ("CREATE SCHEMA IF NOT EXISTS ML.S;", "GRANT USAGE, CREATE SERVICE ON SCHEMA ML.S TO ROLE BATCH;"),
        ),
        (
            {
                "session": replace(SESSION, database=None, schema=None),
                "expected": replace(EXPECTED, database=None, schema=None),
            },
            "schema",
            "names no database and schema",
            (),
        ),
        (
            {"parameters": {"ROWS_PER_RESULTSET": "100", "PREVENT_UNLOAD_TO_INTERNAL_STAGES": "false"}},
            "parameters",
            "ROWS_PER_RESULTSET is 100",
            ("ALTER USER AIRFLOW SET ROWS_PER_RESULTSET = 0;",),
        ),
        (
            {"parameters": {"PREVENT_UNLOAD_TO_INTERNAL_STAGES": "true"}},
            "parameters",
            "only files on stages",
            ("ALTER ACCOUNT SET PREVENT_UNLOAD_TO_INTERNAL_STAGES = FALSE;",),
        ),
        (
            {"parameters": FACTS.parameters | {"ALLOWED_SPCS_WORKLOAD_TYPES": "NOTEBOOK, ML_JOB"}},  # type: ignore[operator]
            "parameters",
            "no workloads of type USER",
            ("ALTER ACCOUNT SET ALLOWED_SPCS_WORKLOAD_TYPES = 'ML_JOB,NOTEBOOK,USER';",),
        ),
        (
            {
                "parameters": FACTS.parameters  # type: ignore[operator]
                | {"ALLOWED_SPCS_WORKLOAD_TYPES": "ALL", "DISALLOWED_SPCS_WORKLOAD_TYPES": "USER,STREAMLIT"}
            },
            "parameters",
            "no workloads of type USER",
            ("ALTER ACCOUNT SET DISALLOWED_SPCS_WORKLOAD_TYPES = 'STREAMLIT';",),
        ),
        (
            {"pool": None},
            "compute pool",
            "POOL does not exist",
            (
                CREATE_POOL.format("POOL"),
                "GRANT USAGE ON COMPUTE POOL POOL TO ROLE BATCH;",
            ),
        ),
        (
            {"pool": replace(POOL, state="SUSPENDED", auto_resume=False)},
            "compute pool",
            "suspended and does not resume",
            ("ALTER COMPUTE POOL POOL SET AUTO_RESUME = TRUE;", "ALTER COMPUTE POOL POOL RESUME;"),
        ),
        (
            {"pool": replace(POOL, family="GEN_ARM_G1_8")},
            "compute pool",
            "arm64",
            (CREATE_POOL.format("POOL_X64"),),
        ),
        (
            {"stage": None},
            "stage",
            "ML.S.RESULTS does not exist",
            (
                "CREATE STAGE ML.S.RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE') DIRECTORY = (ENABLE = TRUE);",
                "GRANT READ, WRITE ON STAGE ML.S.RESULTS TO ROLE BATCH;",
            ),
        ),
        (
            {"stage": Stage("EXTERNAL")},
            "stage",
            "external stage",
            ("CREATE STAGE ML.S.RESULTS_SSE ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE') DIRECTORY = (ENABLE = TRUE);",),
        ),
        (
            {"stage": Stage("INTERNAL NO CSE", {"write": "Insufficient privileges to operate on stage"})},
            "stage",
            "cannot write a file: Insufficient privileges",
            ("GRANT WRITE ON STAGE ML.S.RESULTS TO ROLE BATCH;",),
        ),
        (
            {"privileges": without("CREATE SERVICE")},
            "privileges",
            r"BATCH lacks CREATE SERVICE on schema ML.S \(jobs live in it; https://docs.snowflake.com/en/sql-ref",
            ("GRANT CREATE SERVICE ON SCHEMA ML.S TO ROLE BATCH;",),
        ),
        (
            {"privileges": without("WRITE")},
            "privileges",
            "lacks WRITE on stage ML.S.RESULTS",
            ("GRANT WRITE ON STAGE ML.S.RESULTS TO ROLE BATCH;",),
        ),
    ],
)
def test_what_is_wrong_is_told_with_what_mends_it(
    changes: dict[str, Any], check: str, text: str, fix: tuple[str, ...]
) -> None:
    findings = check_account(WORKER, replace(FACTS, **changes))
    assert not is_healthy(findings)
    first = next(one for one in findings if one.verdict is Verdict.WRONG)
    assert (first.check, first.fix) == (check, fix)
    assert re.search(text, first.text)


@pytest.mark.parametrize(
    ("changes", "check", "text", "fix"),
    [
        ({"session": replace(SESSION, role="ACCOUNTADMIN"), "expected": Expected()}, "role", "external access", ()),
        ({"warehouse": UNSEEN}, "warehouse", "WH: Insufficient privileges", ()),
        ({"warehouse": None}, "warehouse", "SHOW WAREHOUSES does not show it", ()),
        ({"parameters": {}}, "parameters", "PREVENT_UNLOAD_TO_INTERNAL_STAGES cannot be seen", ()),
        (
            {"parameters": FACTS.parameters | {"STATEMENT_TIMEOUT_IN_SECONDS": "60"}},  # type: ignore[operator]
            "parameters",
            "is 60: the statement in which rows are unloaded",
            ("ALTER USER AIRFLOW SET STATEMENT_TIMEOUT_IN_SECONDS = 172800;",),
        ),
        (
            {"parameters": FACTS.parameters | {"QUOTED_IDENTIFIERS_IGNORE_CASE": "true"}},  # type: ignore[operator]
            "parameters",
            "differ in case",
            ("ALTER USER AIRFLOW SET QUOTED_IDENTIFIERS_IGNORE_CASE = FALSE;",),
        ),
        ({"pool": UNSEEN}, "compute pool", "POOL: Insufficient", ()),
        ({"pool": replace(POOL, status="CAPACITY_ERROR")}, "compute pool", "says: CAPACITY_ERROR", ()),
        ({"pool": replace(POOL, family="GEN_X64_G9_1")}, "compute pool", "family GEN_X64_G9_1 has is not known", ()),
        ({"stage": UNSEEN}, "stage", "@ML.S.RESULTS/churn/: Insufficient", ()),
        (
            {"stage": Stage("INTERNAL")},
            "stage",
            "encrypted by clients",
            ("CREATE STAGE ML.S.RESULTS_SSE ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE') DIRECTORY = (ENABLE = TRUE);",),
        ),
        (
            {"privileges": without("CREATE FILE FORMAT")},
            "privileges",
            "lacks CREATE FILE FORMAT on schema ML.S .for stage Parquet",
            ("GRANT CREATE FILE FORMAT ON SCHEMA ML.S TO ROLE BATCH;",),
        ),
        ({"privileges": UNSEEN}, "privileges", "grants of BATCH cannot be seen", ()),
        (
            {"image": UNSEEN},
            "runtime image",
            "does not tell its image",
            (f"export AIRFLOW__SNOWFLAKE_BATCH__CPU_IMAGE={fallback_image(gpu=False)}",),
        ),
        ({"image": "cre@MINE", "pool": replace(POOL, family="GPU_NV_S")}, "runtime image", "gpu_x86_64", None),
    ],
)
def test_what_cannot_be_seen_or_may_not_matter_is_open(
    changes: dict[str, Any], check: str, text: str, fix: tuple[str, ...] | None
) -> None:
    findings = check_account(WORKER, replace(FACTS, **changes))
    open_ones = [one for one in findings if one.verdict is Verdict.UNKNOWN]
    assert [one.check for one in open_ones] == [check]
    assert re.search(text, open_ones[0].text)
    assert fix is None or open_ones[0].fix == fix


@pytest.mark.parametrize(
    ("asked", "changes", "verdict", "text", "fix"),
    [
        (
            REGISTRY,
            {"model": None},
            Verdict.WRONG,
            "ML.S.CHURN does not exist",
            ("GRANT USAGE ON MODEL ML.S.CHURN TO ROLE BATCH;",),
        ),
        (replace(REGISTRY, version=Identifier("V9")), {}, Verdict.WRONG, "no version or alias V9; it has V1, V2", ()),
        (replace(REGISTRY, version=Identifier("V2")), {}, Verdict.OK, "version V2; functions: PREDICT", ()),
        (replace(REGISTRY, model=None), {}, Verdict.UNKNOWN, "--model", ()),
        (REGISTRY, {"model": UNSEEN}, Verdict.UNKNOWN, "Insufficient", ()),
        (
            replace(REGISTRY, runtime="worker"),
            {"model": replace(FOUND, files_refused="none are shown")},
            Verdict.WRONG,
            "copies the files of ML.S.CHURN, version V1, but cannot list them: none are shown",
            ("GRANT READ ON MODEL ML.S.CHURN TO ROLE BATCH;",),
        ),
    ],
)
def test_the_model(asked: Asked, changes: dict[str, Any], verdict: Verdict, text: str, fix: tuple[str, ...]) -> None:
    (model,) = [one for one in check_account(asked, replace(FACTS, **changes)) if one.check == "model"]
    assert (model.verdict, model.fix) == (verdict, fix)
    assert text in model.text


def test_what_was_not_asked_about_is_open() -> None:
    findings = check_account(Asked("c", "worker"), FACTS)
    assert [(one.check, one.text) for one in bad(findings)] == [
        ("compute pool", "none was named: --compute-pool"),
        ("stage", "none was named: --stage"),
    ]


def test_snowflakes_own_pools_are_for_registered_models_only() -> None:
    own = {"compute_pool": Identifier("SYSTEM_COMPUTE_POOL_CPU")}
    assert bad(check_account(replace(REGISTRY, **own), FACTS)) == []
    (pool,) = bad(check_account(replace(WORKER, **own), FACTS))
    assert "takes no job of a model of your own" in pool.text


@pytest.mark.parametrize(
    ("pinned", "lacking"),
    [
        ("/db/s/repo/worker:1", ("GRANT READ ON IMAGE REPOSITORY DB.S.REPO TO ROLE BATCH;",)),
        (fallback_image(gpu=False), ()),
    ],
)
def test_an_image_that_is_pinned_is_not_asked_for(pinned: str, lacking: tuple[str, ...]) -> None:
    findings = check_account(WORKER, replace(FACTS, image=None, pinned_image=pinned))
    (image,) = [one for one in findings if one.check == "runtime image"]
    assert image.verdict is Verdict.OK
    assert pinned in image.text
    assert tuple(line for one in bad(findings) for line in one.fix) == lacking


def test_as_what_a_registered_models_job_counts_is_open() -> None:
    parameters = {"ALLOWED_SPCS_WORKLOAD_TYPES": "USER"}
    assert bad(check_account(WORKER, replace(FACTS, parameters=FACTS.parameters | parameters))) == []  # type: ignore[operator]
    (found,) = bad(check_account(REGISTRY, replace(FACTS, parameters=parameters)))
    assert (found.check, found.verdict) == ("parameters", Verdict.UNKNOWN)
    assert "MODEL_SERVING" in found.text


@pytest.mark.parametrize(
    ("number", "fix"),
    [(390189, ("GRANT ROLE BATCH TO USER AIRFLOW;",)), (390100, ()), (None, ())],
)
def test_a_refused_login_is_the_one_thing_that_is_wrong(number: int | None, fix: tuple[str, ...]) -> None:
    (only,) = check_login(Refused(EXPECTED, "Role 'BATCH' does not exist or not authorized.", number))
    assert (only.check, only.verdict, only.fix) == ("login", Verdict.WRONG, fix)


def test_a_snowflake_that_cannot_be_reached_is_no_refusal() -> None:
    (only,) = check_login(Refused(replace(EXPECTED, account="o-a"), "Could not connect.", 250001, unreachable=True))
    assert only.verdict is Verdict.WRONG
    assert only.text.startswith("Snowflake cannot be reached: Could not connect. Is o-a the account")
