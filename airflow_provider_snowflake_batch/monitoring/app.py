"""The endpoints behind the pages. They need a user, and show only the Dags that this user may read.

They only read: what a page changes, Airflow's own API changes.
"""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import fields
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow import __version__ as airflow_version
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from airflow.exceptions import AirflowConfigException
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from packaging.version import Version
from sqlalchemy.orm import Session

from airflow_provider_snowflake_batch.jobs.example_rows import EXAMPLE_ROWS_KEY, readable_example_rows
from airflow_provider_snowflake_batch.jobs.prices import estimated_cost, readable_prices
from airflow_provider_snowflake_batch.jobs.sent_statement import STATEMENT_KEY
from airflow_provider_snowflake_batch.links.snowsight import OutputStageLink, SnowsightJobLink
from airflow_provider_snowflake_batch.monitoring import follow
from airflow_provider_snowflake_batch.monitoring.bundle import bundle_version, scripts
from airflow_provider_snowflake_batch.monitoring.cards import readable_card, with_statement
from airflow_provider_snowflake_batch.monitoring.entries import JobGroup, StoredJob
from airflow_provider_snowflake_batch.monitoring.index import Wanted
from airflow_provider_snowflake_batch.monitoring.listing import find_dags, find_jobs
from airflow_provider_snowflake_batch.monitoring.order import InvalidPlace, Order, Place, Sort
from airflow_provider_snowflake_batch.monitoring.overview import overview as find_overview
from airflow_provider_snowflake_batch.monitoring.overview import roll_up
from airflow_provider_snowflake_batch.monitoring.queries import find_job, find_values

MOST_JOBS = 100
"""Jobs in one answer."""
MOST_DAGS = 500
_FIGURES_HOLD = 10
"""Seconds for which an overview holds if no job changes."""
_PROCESS = secrets.token_hex(4)
"""Each process has an index of its own: what one has answered, another cannot call unchanged."""
_LIST_TEXT, _PAGE_TEXT = 300, 20_000
_TASK = [field.name for field in fields(StoredJob) if field.name != "card"]
_LINKS = (SnowsightJobLink(), OutputStageLink())


def _refuse_nul(request: Request) -> None:
    """Before Airflow's dependency looks for the Dag, which PostgreSQL would refuse."""
    if any("\0" in value for _, value in request.query_params.multi_items()):
        raise HTTPException(422, "No name has the character NUL")


# The card is an XCom, so whoever may read XComs may read it. The endpoints themselves filter by Dag.
_MAY_READ = [Depends(_refuse_nul), Depends(requires_access_dag("GET", DagAccessEntity.XCOM))]

log = logging.getLogger(__name__)
router = APIRouter()


def create_app() -> FastAPI:
    """The application that Airflow's API server mounts."""
    app = FastAPI(title="Snowflake batch inference", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router)
    return app


def _readable_dags(user: GetUserDep) -> set[str]:
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


# No database has the character NUL in a text, and some refuse to look for it.
Id = Annotated[str, Query(max_length=250, pattern=r"^[^\x00]*$")]
PlaceText = Annotated[str, Query(max_length=2_000)]
ReadableDags = Annotated[set[str], Depends(_readable_dags)]


def _unless_unchanged(request: Request, response: Response, session: SessionDep, readable: ReadableDags) -> None:
    """For what changes when a job does."""
    _end_if_unchanged(request, response, session, readable)


def _unless_unchanged_for_long(
    request: Request, response: Response, session: SessionDep, readable: ReadableDags
) -> None:
    """For figures that change with time, too."""
    _end_if_unchanged(request, response, session, readable, since=int(time.time() // _FIGURES_HOLD))


def _end_if_unchanged(
    request: Request, response: Response, session: Session, readable: set[str], since: int = 0
) -> None:
    """End a request with 304 if its answer would be the one that its sender has (header ``If-None-Match``).

    An answer that is made meanwhile may tell of more than its tag says, never of less, so nothing is missed.

    :param since: another answer belongs to another one, even if no job has changed.
    """
    index = follow.FOLLOWER.current(session)
    tag = f'"{_PROCESS}.{index.version}.{hash(frozenset(readable))}.{since}"'
    headers = {"Cache-Control": "no-store", "ETag": tag}
    # A proxy that compresses the answer marks its tag as weak.
    if request.headers.get("If-None-Match", "").removeprefix("W/") == tag:
        raise HTTPException(304, headers=headers)
    response.headers.update(headers)


# Airflow's dependencies look for the Dag under the name dag_id, in the path and then in the query.
@router.get("/jobs", dependencies=[*_MAY_READ, Depends(_unless_unchanged)])
def jobs(
    session: SessionDep,
    readable: ReadableDags,
    dag_id: Id | None = None,
    run_id: Id | None = None,
    task_id: Id | None = None,
    group: JobGroup | None = None,
    text: Id | None = None,
    sort: Sort = Sort.NEWEST,
    reverse: bool = False,
    limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 25,
    after: PlaceText | None = None,
    before: PlaceText | None = None,
) -> dict[str, Any]:
    """A page of jobs, where the pages beside it are, and how many jobs there are of each group."""
    try:
        here, beyond = (Place.decode(place) if place else None for place in (before, after))
        order = Order(sort, reverse=reverse, now=next((place.now for place in (here, beyond) if place), None))
        wanted = Wanted(readable, dag_id or None, run_id or None, task_id or None, text)
        page = find_jobs(session, wanted, order, limit=limit, group=group, before=here, after=beyond)
    except InvalidPlace as error:
        raise HTTPException(422, "There is no such page") from error
    return {
        "jobs": [_shown(job, brief=True) for job in page.jobs],
        "older": page.older.encode() if page.older else None,
        "newer": page.newer.encode() if page.newer else None,
        "counts": page.counts,
        "now": time.time(),
    }


@router.get("/overview", dependencies=[*_MAY_READ, Depends(_unless_unchanged_for_long)])
def overview(
    session: SessionDep,
    readable: ReadableDags,
    dag_id: Id | None = None,
    timezone: Annotated[str, Query(max_length=100)] = "UTC",
) -> dict[str, Any]:
    """What runs, and what has ended in the last days of a time zone."""
    zone, now = _zone(timezone), time.time()
    return {**find_overview(session, Wanted(readable, dag_id or None), now, zone), "timezone": zone.key, "now": now}


@router.get("/run", dependencies=[*_MAY_READ, Depends(_unless_unchanged_for_long)])
def run(session: SessionDep, readable: ReadableDags, dag_id: Id, run_id: Id) -> dict[str, Any]:
    """The jobs of a Dag run, taken together."""
    now = time.time()
    found = roll_up(session, Wanted(readable, dag_id, run_id), now)
    return {
        **found.figures,
        "tasks": found.tasks,
        "tasks_left_out": found.tasks_left_out,
        "slowest": [_shown(job, brief=True) for job in found.slowest],
        "failed": [_shown(job, brief=True) for job in found.failed],
        "now": now,
    }


@router.get("/dags", dependencies=_MAY_READ)
def dags(response: Response, session: SessionDep, readable: ReadableDags) -> dict[str, Any]:
    """The Dags by which jobs can be filtered."""
    response.headers["Cache-Control"] = "no-store"
    return {"dags": find_dags(session, readable, limit=MOST_DAGS)}


@router.get("/job", dependencies=_MAY_READ)
def job(
    response: Response,
    session: SessionDep,
    readable: ReadableDags,
    user: GetUserDep,
    dag_id: Id,
    run_id: Id,
    task_id: Id,
    map_index: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
) -> dict[str, Any]:
    """The job of one task instance; ``job`` is None if it has none."""
    response.headers["Cache-Control"] = "no-store"
    if dag_id not in readable:
        raise HTTPException(403, "Forbidden")
    found = find_job(session, dag_id, run_id, task_id, map_index)
    if found is None:
        return {"job": None, "links": {}, "now": time.time()}
    keys = [STATEMENT_KEY, EXAMPLE_ROWS_KEY, *(link.xcom_key for link in _LINKS)]
    stored = find_values(session, dag_id, run_id, task_id, map_index, keys)
    links = {link.name: stored.get(link.xcom_key) for link in _LINKS}
    shown, now = _shown(found, brief=False), time.time()
    shown["card"] = with_statement(shown["card"], stored.get(STATEMENT_KEY), longest=_PAGE_TEXT)
    return {
        "job": shown,
        "example_rows": readable_example_rows(stored.get(EXAMPLE_ROWS_KEY), shown["card"]["job_name"]),
        "cost": estimated_cost(shown["card"], _last_seen(shown, now), _own_prices()),
        "may": _may(user, dag_id),
        "now": time.time(),
        "links": {name: url for name, url in links.items() if isinstance(url, str) and url.startswith("https://")},
    }


@router.get("/static/{version}/{name}")
def script(version: str, name: str) -> Response:
    """A script of the pages. The same for everyone, like Airflow's own."""
    content = scripts().get(name)
    if content is None:
        raise HTTPException(404, "Not found")
    # During an upgrade, a page of one server may ask another server for its scripts. Browsers must not keep these.
    kept = "public, max-age=31536000, immutable" if version == bundle_version() else "no-store"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="text/javascript", headers=headers)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        # A browser may know a time zone that this machine does not. The answer names the time zone of its days.
        return ZoneInfo("UTC")


def _last_seen(shown: dict[str, Any], now: float) -> float:
    """Until when a job is known to have run, if it has not ended."""
    seen: float | None = shown["card"]["updated_at"]
    return now if seen is None or shown["group"] == JobGroup.ACTIVE else seen


def _own_prices() -> dict[str, float]:
    try:
        return readable_prices(conf.getjson("snowflake_batch", "credits_per_node_hour", fallback={}))
    except AirflowConfigException:
        # The page estimates with the known prices and says so, which is better than no estimate.
        log.warning("[snowflake_batch] credits_per_node_hour is no JSON: it is not used.")
        return {}


def _may(user: BaseUser, dag_id: str) -> dict[str, bool]:
    """What the user can do with the task instances of a Dag. It decides what is offered: Airflow's own endpoints, which
    do it, ask again."""
    auth = get_auth_manager()
    task_instance, dag = DagAccessEntity.TASK_INSTANCE, DagDetails(id=dag_id)
    return {
        "edit": auth.is_authorized_dag(method="PUT", user=user, access_entity=task_instance, details=dag),
        # Airflow 3.3 is the first that tells triggers of a deferred task that a user has ended it.
        "cancel_deferred": Version(airflow_version).release >= (3, 3),
    }


def _shown(job: StoredJob, *, brief: bool) -> dict[str, Any]:
    card = readable_card(job.card, longest=_LIST_TEXT if brief else _PAGE_TEXT, brief=brief)
    # Not asdict, which would copy all of the stored card first.
    return {**{name: getattr(job, name) for name in _TASK}, "card": card}
