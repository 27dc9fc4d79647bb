"""Compute pool, stage, image and model of a job: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_snowflake_batch.doctor.facts import WORKER, AccountFacts, Asked, Pool, Stage, Unseen
from airflow_provider_snowflake_batch.doctor.findings import Finding, ok, unknown, wrong
from airflow_provider_snowflake_batch.jobs import account_statements as sql
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.instance_families import FAMILIES, GIB, has_arm_processors, has_gpus
from airflow_provider_snowflake_batch.jobs.model_versions import choose_version
from airflow_provider_snowflake_batch.jobs.runtime_images import fallback_image, image_in_answer, problem_with_image
from airflow_provider_snowflake_batch.jobs.worker_resources import SYSTEM_POOLS

_GRANT_FOR = {"list": "READ", "read": "READ", "write": "WRITE", "remove": "WRITE"}


def grant(facts: AccountFacts, privileges: str, kind: str, name: QualifiedName) -> tuple[str, ...]:
    """The statement that gives the session's role privileges; nothing for a session without one."""
    role = facts.session.role
    return (sql.grant(privileges, kind, name, Identifier(role)),) if role else ()


def check_pool(asked: Asked, facts: AccountFacts) -> Iterator[Finding]:
    name, pool = asked.compute_pool, facts.pool
    if name is None:
        yield unknown("compute pool", "none was named: --compute-pool")
    elif isinstance(pool, Unseen):
        yield unknown("compute pool", f"{name}: {pool.why}")
    elif pool is None:
        fix = sql.create_compute_pool(name, "CPU_X64_S")
        usage = grant(facts, "USAGE", "COMPUTE POOL", QualifiedName(name.value))
        yield wrong("compute pool", f"{name} does not exist, or the role has no USAGE on it", fix, *usage)
    else:
        yield from _judge_pool(asked, name, pool)


def _judge_pool(asked: Asked, name: Identifier, pool: Pool) -> Iterator[Finding]:
    problems = []
    if asked.runtime == WORKER and name.value.startswith(SYSTEM_POOLS):
        text = f"{name} is Snowflake's own, which takes no job of a model of your own"
        problems.append(wrong("compute pool", text, sql.create_compute_pool(Identifier("BATCH_POOL"), "CPU_X64_S")))
    if has_arm_processors(pool.family):
        text = f"{name} is of family {pool.family}, whose processors are arm64: there is no image for them"
        problems.append(
            wrong("compute pool", text, sql.create_compute_pool(Identifier(f"{name.value}_X64"), "CPU_X64_S"))
        )
    if pool.state in ("SUSPENDED", "STOPPING") and not pool.auto_resume:
        text = f"{name} is {pool.state.lower()} and does not resume by itself"
        problems.append(wrong("compute pool", text, *sql.resume_compute_pool(name)))
    if pool.status:
        problems.append(unknown("compute pool", f"{name} says: {pool.status}"))
    if pool.family.upper() not in FAMILIES and not problems:
        text = f"{name}: what a node of family {pool.family} has is not known here, so a job's size is not checked"
        problems.append(unknown("compute pool", text))
    yield from problems or [ok("compute pool", _describe(name, pool))]


def _describe(name: Identifier, pool: Pool) -> str:
    family = FAMILIES[pool.family.upper()]
    gpus = f", {family.gpu} GPU(s)" if family.gpu else ""
    resumes = ", resumes by itself" if pool.auto_resume else ""
    nodes = (
        f"{pool.min_nodes} to {pool.max_nodes} nodes"
        if pool.min_nodes != pool.max_nodes
        else f"{pool.max_nodes} node(s)"
    )
    return (
        f"{name}, {pool.state.lower()}{resumes}: {nodes} of {pool.family} "
        f"({family.cpu:g} CPUs, {family.memory / GIB:g} GiB{gpus})"
    )


def check_stage(asked: Asked, facts: AccountFacts) -> Iterator[Finding]:
    location, stage = asked.stage, facts.stage
    if location is None:
        yield unknown("stage", "none was named: --stage")
    elif isinstance(stage, Unseen):
        yield unknown("stage", f"{location}: {stage.why}")
    elif stage is None:
        usage = grant(facts, "READ, WRITE", "STAGE", location.stage)
        text = f"{location.stage} does not exist, or the role has no privilege on it"
        yield wrong("stage", text, sql.create_stage(location.stage), *usage)
    else:
        yield from _judge_stage(asked, facts, location.stage, stage)


def _judge_stage(asked: Asked, facts: AccountFacts, name: QualifiedName, stage: Stage) -> Iterator[Finding]:
    problems = []
    kind = stage.kind.upper()
    another = sql.create_stage(QualifiedName(f"{name.name}_SSE", name.schema, name.database))
    if not kind.startswith("INTERNAL"):
        text = f"{name} is an external stage: results go to internal ones only"
        problems.append(wrong("stage", text, another))
    elif "NO CSE" not in kind:
        text = (
            f"{name} is encrypted by clients: jobs cannot read images, audio or video on it, and no page says that a "
            "container can read it. A stage's encryption cannot be changed"
        )
        problems.append(unknown("stage", text, another))
    for action, why in stage.refused.items():
        text = f"{name}: the role cannot {action} a file: {why}"
        problems.append(wrong("stage", text, *grant(facts, _GRANT_FOR[action], "STAGE", name)))
    done = "a file was written, listed, read and removed" if asked.write else "listed; --write also writes a file"
    yield from problems or [ok("stage", f"{name}, internal, server-side encryption: {done}")]


def check_image(asked: Asked, facts: AccountFacts) -> Iterator[Finding]:
    """The image that the worker runs in; a registered model's is built by Snowflake."""
    if asked.runtime != WORKER or not isinstance(facts.pool, Pool) or has_arm_processors(facts.pool.family):
        return
    option = "gpu_image" if has_gpus(facts.pool.family) else "cpu_image"
    told = facts.image
    if facts.pinned_image is not None:
        # A text that names no image has a finding among those of Airflow's configuration.
        if problem_with_image(facts.pinned_image) is None:
            yield ok("runtime image", f"{facts.pinned_image}, from [snowflake_batch] {option}")
    elif isinstance(told, str) and (image := image_in_answer([[told]])) is not None:
        yield ok("runtime image", f"{image}, as the account tells")
    else:
        why = told.why if isinstance(told, Unseen) else f"it answers {told!r}"
        image = fallback_image(gpu=has_gpus(facts.pool.family))
        yield unknown(
            "runtime image",
            f"the account does not tell its image ({why}): {image} is tried, which it need not have",
            f"export AIRFLOW__SNOWFLAKE_BATCH__{option.upper()}={image}",
        )


def check_model(asked: Asked, facts: AccountFacts) -> Iterator[Finding]:
    name, model = asked.model, facts.model
    if name is None:
        if asked.runtime != WORKER:
            yield unknown("model", "none was named: --model")
        return
    if isinstance(model, Unseen):
        yield unknown("model", f"{name}: {model.why}")
        return
    if model is None:
        usage = grant(facts, "USAGE", "MODEL", name)
        yield wrong("model", f"{name} does not exist, or the role has no USAGE on it", *usage)
        return
    try:
        version = choose_version(model.versions, asked.version)
    except LookupError:
        known = ", ".join(one.name for one in model.versions)
        yield wrong("model", f"{name} has no version or alias {asked.version}; it has {known}")
        return
    if model.files_refused is not None:
        text = f"the worker copies the files of {name}, version {version}, but cannot list them: {model.files_refused}"
        yield wrong("model", text, *grant(facts, "READ", "MODEL", name))
        return
    functions = ", ".join(model.functions) if model.functions else "not seen"
    yield ok("model", f"{name}, version {version}; functions: {functions}")
