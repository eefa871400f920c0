"""What a user may do, as two hosts of one database see it: each change counts at both."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from host.access import RBAC_SCHEMA, Groups, Roles, Users, http_action
from host.access.errors import NotAuthenticatedError
from host.access.permissions import Effect, Permission
from host.access.roles import NewPermission
from host.adapters.os.system import SystemEntropy
from host.domain.clock import SimClock
from plugins.postgres.storage import PostgresStorage
from tests.support.postgres import Cluster

ACTION = http_action("GET", "/cpi", {}, bases=("/api/v5_3",))


class Process:
    """What a process of a host has; time stands still in it, so nothing expires between calls."""

    def __init__(self, stack: ExitStack, cluster: Cluster) -> None:
        opened = PostgresStorage(cluster.settings).open_database((RBAC_SCHEMA,))
        database = stack.enter_context(opened)
        clock, entropy = SimClock(), SystemEntropy()
        self.users = Users(database, clock=clock, entropy=entropy)
        self.roles = Roles(database, clock=clock, entropy=entropy)
        self.groups = Groups(database, clock=clock, entropy=entropy)

    def may(self, password: str = "first") -> bool:
        """As a request with basic credentials is judged: by what is remembered, if it is current."""
        known = self.users.remembered("nora", password)
        return (known or self.users.authenticate("nora", password)).may(ACTION)


@pytest.fixture
def processes(cluster: Cluster) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        yield [Process(stack, cluster) for _ in range(2)]


def may(processes: list[Process]) -> list[bool]:
    return [process.may() for process in processes]


def test_a_change_of_rights_counts_with_the_next_request_at_every_host(
    processes: list[Process],
) -> None:
    one, other = processes
    one.users.create("nora", "first", full_name="Nora")
    assert may(processes) == [False, False]
    role = one.roles.create("reader", group_visibility=None)
    reads = Permission(effect=Effect.ALLOW, pattern="GET:/api/v5_3/cpi")
    one.roles.create_permissions([NewPermission(permission=reads)], role_ids=[role.id])
    one.users.assign_role("nora", role.id)
    assert may(processes) == [True, True]
    other.users.remove_role("nora", role.id)
    assert may(processes) == [False, False]
    group = other.groups.create("readers")
    other.groups.assign_role(group.id, role.id)
    one.users.change_group("nora", group.id)
    assert may(processes) == [True, True]
    one.groups.remove_role(group.id, role.id)
    assert may(processes) == [False, False]


def test_a_password_that_one_host_changed_ends_what_the_other_remembers(
    processes: list[Process],
) -> None:
    one, other = processes
    one.users.create("nora", "first", full_name="Nora")
    assert may(processes) == [False, False]
    other.users.change_password("nora", "second")
    for process in processes:
        with pytest.raises(NotAuthenticatedError):
            process.may()
        assert not process.may("second")
    one.users.delete("nora")
    for process in processes:
        with pytest.raises(NotAuthenticatedError):
            process.may("second")
