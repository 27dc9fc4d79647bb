"""Who may see what, under Airflow's simple auth manager: every role, endpoint and method."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.monitoring import matrix
from tests.monitoring.auth import CLERK
from tests.monitoring.conftest import Client

USERS = {
    None: matrix.NOBODY,
    "stranger": matrix.FORBIDDEN,
    CLERK: matrix.SOME,
    "viewer": matrix.ALL,
    "user": matrix.ALL,
    "op": matrix.ALL,
    "admin": matrix.ALL,
}


def test_every_endpoint_has_a_place_in_the_matrix() -> None:
    assert matrix.endpoints() == matrix.ENDPOINTS


@pytest.mark.parametrize("user", USERS)
def test_each_role_is_answered_what_it_may_read(
    client: Client, new_run: Callable[[str], str], user: str | None
) -> None:
    matrix.check(client(user), USERS[user], matrix.fill(new_run))
