"""Which jobs a page of the list has. The index finds them; what is shown of them is read from Airflow's database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.monitoring import follow
from airflow_provider_snowflake_batch.monitoring.entries import JobGroup, StoredJob
from airflow_provider_snowflake_batch.monitoring.index import Wanted
from airflow_provider_snowflake_batch.monitoring.order import Order, Place

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# So many times a page is looked up anew: a job that changes while it is read may belong on another page.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Some jobs in their order.

    :param older: where the next page begins, if there is one.
    :param newer: where the page before ends, if there is one.
    :param counts: how many jobs there are of each group, whichever is shown.
    """

    jobs: list[StoredJob]
    older: Place | None
    newer: Place | None
    counts: dict[JobGroup, int]


def find_jobs(
    session: Session,
    wanted: Wanted,
    order: Order,
    *,
    limit: int,
    group: JobGroup | None = None,
    after: Place | None = None,
    before: Place | None = None,
) -> JobsPage:
    """One page of jobs: the first one, or the one after or before a place.

    :raises InvalidPlace: for a place that is not one of this order.
    """
    place, backwards = (before, True) if before is not None else (after, False)
    index = follow.FOLLOWER.current(session)
    groups = tuple(JobGroup) if group is None else (group,)
    for _ in range(_TRIES):
        found, counts = index.find(wanted, order, groups, limit=limit + 1, place=place, backwards=backwards)
        stored = follow.FOLLOWER.read(session, [each.key for each in found])
        if all(each.key in stored and stored[each.key].mark == each.mark for each in found):
            break
    beyond, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    ends = [Place(each.place, order.now) for each in (found[0], found[-1])] if found else [None, None]
    jobs = [stored[each.key].job for each in found if each.key in stored]
    return JobsPage(
        [job for job in jobs if job.dag_id in wanted.readable and group in (None, job.group)],
        older=ends[1] if beyond or backwards else None,
        newer=ends[0] if (beyond if backwards else place is not None) else None,
        counts=counts,
    )


def find_dags(session: Session, readable: Collection[str], *, limit: int) -> list[str]:
    """Ids of the Dags of which there are jobs, in alphabetical order."""
    return [dag_id for dag_id in follow.FOLLOWER.current(session).dags() if dag_id in readable][:limit]
