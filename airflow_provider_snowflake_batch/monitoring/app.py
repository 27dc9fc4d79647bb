"""The endpoints behind the pages. They only read, need a user, and show only the Dags that this user may read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Response

from airflow_provider_snowflake_batch.links.snowsight import OutputStageLink, SnowsightJobLink
from airflow_provider_snowflake_batch.monitoring.bundle import bundle_version, scripts
from airflow_provider_snowflake_batch.monitoring.cards import readable_card
from airflow_provider_snowflake_batch.monitoring.queries import (
    JobGroup,
    StoredJob,
    find_dags,
    find_job,
    find_jobs,
    find_links,
)

MOST_JOBS = 100
"""Jobs in one answer."""
MOST_DAGS = 500
MOST_OFFSET = 10_000
_LIST_TEXT, _PAGE_TEXT = 300, 20_000
_LINKS = (SnowsightJobLink(), OutputStageLink())

# The card is an XCom, so whoever may read XComs may read it. The endpoints themselves filter by Dag.
_MAY_READ = [Depends(requires_access_dag("GET", DagAccessEntity.XCOM))]

router = APIRouter()


def create_app() -> FastAPI:
    """The application that Airflow's API server mounts."""
    app = FastAPI(title="Snowflake batch inference", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router)
    return app


def _readable_dags(user: GetUserDep) -> set[str]:
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


ReadableDags = Annotated[set[str], Depends(_readable_dags)]


# Airflow's dependencies look for the Dag under the name dag_id, in the path and then in the query.
@router.get("/jobs", dependencies=_MAY_READ)
def jobs(
    response: Response,
    session: SessionDep,
    readable: ReadableDags,
    dag_id: Annotated[str | None, Query(max_length=250)] = None,
    group: JobGroup | None = None,
    text: Annotated[str | None, Query(max_length=250)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 25,
    offset: Annotated[int, Query(ge=0, le=MOST_OFFSET)] = 0,
) -> dict[str, Any]:
    """Jobs, the newest first; ``more`` tells whether there are older ones."""
    response.headers["Cache-Control"] = "no-store"
    found = find_jobs(
        session, readable, limit=limit + 1, offset=offset, dag_id=dag_id or None, group=group, text=text or None
    )
    return {"jobs": [_shown(job, _LIST_TEXT) for job in found[:limit]], "more": len(found) > limit}


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
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int = -1,
) -> dict[str, Any]:
    """The job of one task instance; ``job`` is None if it has none."""
    response.headers["Cache-Control"] = "no-store"
    if dag_id not in readable:
        raise HTTPException(403, "Forbidden")
    found = find_job(session, dag_id, run_id, task_id, map_index)
    if found is None:
        return {"job": None, "links": {}}
    stored = find_links(session, dag_id, run_id, task_id, map_index, [link.xcom_key for link in _LINKS])
    links = {link.name: stored.get(link.xcom_key) for link in _LINKS}
    return {
        "job": _shown(found, _PAGE_TEXT),
        "links": {name: url for name, url in links.items() if isinstance(url, str) and url.startswith("https://")},
    }


@router.get("/static/{version}/{name}")
def script(version: str, name: str) -> Response:
    """A script of the pages. The same for everyone, like Airflow's own."""
    content = scripts().get(name)
    if content is None:
        raise HTTPException(404, "Not found")
    # During an upgrade, a page of one server may ask another one for its scripts: browsers must not keep those.
    kept = "public, max-age=31536000, immutable" if version == bundle_version() else "no-store"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="text/javascript", headers=headers)


def _shown(job: StoredJob, longest: int) -> dict[str, Any]:
    return {**asdict(job), "card": readable_card(job.card, longest=longest)}
