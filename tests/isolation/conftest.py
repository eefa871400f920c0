"""Pools of guests' processes over the Python guest of the sandbox's tests, and over attackers."""

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sandbox.compiled_files import CompiledFile
from sandbox.guest import Component
from sandbox.isolation.calls import IsolatedGuest
from sandbox.isolation.pool import ProcessPool
from sandbox.isolation.process import GuestProcess, ProcessPlan
from sandbox.python_source import PythonSource
from sandbox.runtime import Sandbox
from sandbox.world import World
from tests.sandbox.conftest import GUEST_PY, RESTORED

PLAN = ProcessPlan(flows=6, waiting=2, contracts=2, restored_instances=RESTORED)
ATTACKERS = ProcessPlan(
    flows=2, waiting=1, contracts=1, grace_seconds=0.5, module="tests.isolation.attacking_child"
)


class Guests:
    """A contract and a workflow that run what they are given, in the processes of a pool."""

    def __init__(self, sandbox: Sandbox, components: Sequence[Component], pool: ProcessPool):
        self.sandbox = sandbox
        self.components = components
        self.pool = pool

    def codes(self) -> Sequence[CompiledFile]:
        return [self.sandbox.compiled(c.world, c.digest) for c in self.components]

    def guest(self, index: int, key: str) -> IsolatedGuest:
        return IsolatedGuest(
            component=self.components[index],
            index=index,
            visit=lambda: self.pool.visit(key, self.codes),
            grace_seconds=self.pool.plan.grace_seconds,
        )

    def contract(self, key: str = "node") -> IsolatedGuest:
        return self.guest(0, key)

    def workflow(self, key: str = "node") -> IsolatedGuest:
        return self.guest(1, key)

    def process(self, key: str = "node") -> GuestProcess:
        return dict(self.pool.processes())[key]


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    return Path(os.environ.get("CORDBOX_CACHE_DIR") or Path.home() / ".cache" / "cordbox")


@pytest.fixture(scope="session")
def sandbox(cache_dir: Path) -> Sandbox:
    return Sandbox(cache_dir=cache_dir, restored_instances=RESTORED)


@pytest.fixture(scope="session")
def components(sandbox: Sandbox) -> Sequence[Component]:
    source = PythonSource({"cordapp/guest.py": GUEST_PY}, ("cordapp.guest",))
    return [sandbox.make_image(world, source) for world in (World.CONTRACT, World.WORKFLOW)]


@pytest.fixture(scope="session")
def attackers(sandbox: Sandbox) -> Iterator[Guests]:
    """Guests of attacking processes; without code, which their runs never call."""
    component = Component(
        digest="SHA-256:" + 64 * "0", world=World.WORKFLOW, runtime=None, path=Path("/")
    )
    pool = ProcessPool(most=4, idle_seconds=600, plan=ATTACKERS)
    yield NoCode(sandbox, [component, component], pool)
    pool.close()


class NoCode(Guests):
    def codes(self) -> Sequence[CompiledFile]:
        return ()


@pytest.fixture(scope="session")
def shared_pool(sandbox: Sandbox, components: Sequence[Component]) -> Iterator[Guests]:
    """For tests that leave their processes alive."""
    pool = ProcessPool(most=8, idle_seconds=600, plan=PLAN)
    yield Guests(sandbox, components, pool)
    pool.close()


@pytest.fixture
def guests_of(sandbox: Sandbox, components: Sequence[Component]) -> Iterator[Callable[..., Guests]]:
    """Makes a pool of the test's own."""
    pools = []

    def make(**options: Any) -> Guests:
        pool = ProcessPool(**{"most": 4, "idle_seconds": 600, "plan": PLAN, **options})
        pools.append(pool)
        return Guests(sandbox, components, pool)

    yield make
    for pool in pools:
        pool.close()


def await_death(pid: int) -> None:
    """Come back when the process is gone; fail when it lives on."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert select.select([descriptor], [], [], 30)[0], f"process {pid} lives on"
        finally:
            os.close(descriptor)
