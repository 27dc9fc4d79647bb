"""Looks at an account through a hook; nothing is judged here. Only :class:`Asked.write` has it change anything."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_snowflake_batch.doctor.facts import (
    WORKER,
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
from airflow_provider_snowflake_batch.doctor.parameter_checks import OF_ACCOUNT, OF_SESSION
from airflow_provider_snowflake_batch.doctor.privileges import inherited, privilege
from airflow_provider_snowflake_batch.jobs import account_statements, statements
from airflow_provider_snowflake_batch.jobs.errors import does_not_exist, error_number, error_text, is_transient
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.instance_families import has_gpus
from airflow_provider_snowflake_batch.jobs.model_versions import ListedVersion, choose_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

_T = TypeVar("_T")
# Roles may be granted to each other by the hundreds; each costs a statement.
_MOST_ROLES = 200


def look_at_account(hook: SnowflakeBatchHook, asked: Asked, images: Mapping[str, str]) -> AccountFacts | Refused:
    """Look at the objects that were asked about, with about ten short statements.

    :param images: ``cpu_image`` and ``gpu_image`` of Airflow's configuration, where they are set.
    """
    names = ("user", "role", "warehouse", "database", "schema", "account")
    expected = Expected(**{name: hook.expected(name) for name in names})
    try:
        (row,) = hook.rows(account_statements.current_session())
    except Exception as error:
        return Refused(expected, error_text(error), error_number(error), is_transient(error))
    session = Session(**{name: row[name] for name in account_statements.SESSION_FUNCTIONS})
    asked = asked.qualify(session)
    pool = _seen(lambda: _pool(hook, asked.compute_pool)) if asked.compute_pool is not None else None
    image, pinned = _image(hook, asked, pool, images)
    roles, privileges = _privileges(hook, session.role)
    return AccountFacts(
        expected=expected,
        session=session,
        warehouse=_seen(lambda: _warehouse(hook, session.warehouse)),
        parameters=dict(_parameters(hook)),
        pool=pool,
        stage=_seen(lambda: _stage(hook, asked.stage, write=asked.write)) if asked.stage is not None else None,
        model=_seen(lambda: _model(hook, asked)) if asked.model is not None else None,
        privileges=privileges,
        roles=roles,
        image=image,
        pinned_image=pinned,
    )


def _seen(look: Callable[[], _T | None]) -> _T | Unseen | None:
    """What a look sees; None for what does not exist or is hidden."""
    try:
        return look()
    except Exception as error:
        return None if does_not_exist(error) else Unseen(error_text(error))


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


def _warehouse(hook: SnowflakeBatchHook, name: str | None) -> Warehouse | None:
    if name is None:
        return None
    rows = [row for row in hook.rows(account_statements.show_warehouse(Identifier(name))) if row["name"] == name]
    return Warehouse(str(rows[0]["state"]), _flag(rows[0]["auto_resume"])) if rows else None


def _parameters(hook: SnowflakeBatchHook) -> Iterator[tuple[str, str]]:
    for name in (*OF_SESSION, *OF_ACCOUNT):
        sql = account_statements.show_parameter(name, of_account=name in OF_ACCOUNT)
        rows = _seen(lambda sql=sql: hook.rows(sql))  # type: ignore[misc]
        for row in rows if isinstance(rows, list) else ():
            if row["key"] == name:
                yield name, str(row["value"])


def _pool(hook: SnowflakeBatchHook, name: Identifier | None) -> Pool | None:
    rows = hook.rows(statements.describe_compute_pool(name)) if name is not None else []
    if not rows:
        return None
    row = rows[0]
    return Pool(
        state=str(row["state"]),
        family=str(row["instance_family"]),
        min_nodes=int(row["min_nodes"]),
        max_nodes=int(row["max_nodes"]),
        auto_resume=_flag(row["auto_resume"]),
        status=str(row["status_message"]) if row.get("error_code") and row.get("status_message") else None,
    )


def _stage(hook: SnowflakeBatchHook, location: StagePath | None, *, write: bool) -> Stage | None:
    if location is None:
        return None
    location = hook.qualify_location(location, field="--stage")
    rows = [row for row in hook.rows(statements.show_stages(location.stage)) if row["name"] == location.stage.name]
    if not rows:
        return None
    kind = str(rows[0]["type"])
    return Stage(kind, dict(_probe(hook, location, write=write and kind.upper().startswith("INTERNAL"))))


def _probe(hook: SnowflakeBatchHook, location: StagePath, *, write: bool) -> Iterator[tuple[str, str]]:
    """What cannot be done with a file there. Whatever was written is removed."""
    content = b"written by airflow snowflake-batch doctor\n"
    file = location.child(f"_doctor_{secrets.token_hex(4)}.txt")

    def read() -> None:
        if hook.read_file(file) != content:
            raise OSError("it is not what was written")

    def remove() -> None:
        if not hook.remove_files(file):
            raise OSError("it is still there")

    # Lists the new file's name, under which there is nothing: a stage may hold a million files.
    steps: list[tuple[str, Callable[[], object]]] = [("list", lambda: hook.list_files(file))]
    if write:
        steps += [("write", lambda: hook.write_file(file, content)), ("read", read), ("remove", remove)]
    for action, step in steps:
        try:
            step()
        except Exception as error:
            yield action, error_text(error)
            if action == "write":
                return


def _model(hook: SnowflakeBatchHook, asked: Asked) -> Model | None:
    if asked.model is None:
        return None
    name = hook.qualify_name(asked.model, field="--model", allow_quoted=True)
    listed = tuple(ListedVersion.from_row(row) for row in hook.rows(statements.show_model_versions(name)))
    try:
        version = choose_version(listed, asked.version)
    except LookupError:
        version = None
    if version is None:
        return Model(listed)
    rows = _seen(lambda: hook.rows(statements.show_model_functions(name, version)))
    functions = tuple(str(row["name"]) for row in rows) if isinstance(rows, list) else None
    return Model(listed, functions, _files_refused(hook, name, version) if asked.runtime == WORKER else None)


def _files_refused(hook: SnowflakeBatchHook, name: QualifiedName, version: Identifier) -> str | None:
    try:
        rows = hook.rows(statements.list_url(statements.model_version_url(name, version)))
    except Exception as error:
        return error_text(error)
    return None if rows else "none are shown"


def _image(
    hook: SnowflakeBatchHook, asked: Asked, pool: Pool | Unseen | None, images: Mapping[str, str]
) -> tuple[str | Unseen | None, str | None]:
    """What the account tells of the pool's image, and the pinned one, which is taken without asking."""
    name = asked.compute_pool
    if asked.runtime != WORKER or name is None or not isinstance(pool, Pool):
        return None, None
    pinned = images.get("gpu_image" if has_gpus(pool.family) else "cpu_image")
    if pinned:
        return None, pinned
    rows = _seen(lambda: hook.rows(statements.ml_job_runtime(name)))
    if not isinstance(rows, list):
        return rows or Unseen("there is no such function, or it is hidden from this role"), None
    return next((str(cell) for row in rows for cell in row.values() if cell is not None), None), None


def _privileges(hook: SnowflakeBatchHook, role: str | None) -> tuple[tuple[str, ...], frozenset[Privilege] | Unseen]:
    """The roles whose privileges the session has, its own first, and these privileges.

    Secondary roles are left out: what a session creates belongs to its primary role, and a job has the privileges of
    the role that owns it (https://docs.snowflake.com/en/user-guide/security-access-control-overview).
    """
    if role is None:
        return (), frozenset()
    # Every role inherits from PUBLIC.
    left, found, known = [QualifiedName(role), QualifiedName("PUBLIC")], set[Privilege](), list[str]()
    while left and len(known) < _MOST_ROLES:
        one = left.pop(0)
        if str(one) in known:
            continue
        rows = _seen(lambda one=one: hook.rows(account_statements.show_grants_to_role(one)))  # type: ignore[misc]
        if not isinstance(rows, list):
            if not known:
                return (str(one),), rows or Unseen("the role is hidden")
            continue
        known.append(str(one))
        found.update(privilege(row) for row in rows)
        left += inherited(rows)
    return tuple(name for name in known if name != "PUBLIC" or name == role), frozenset(found)
