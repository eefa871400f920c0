"""Where the guest of a component runs: in this process, or in processes of the component's own."""

from collections.abc import Callable
from typing import TypeAlias

from sandbox.guest import Guest
from sandbox.isolation.calls import IsolatedGuest
from sandbox.isolation.pool import ProcessPool
from sandbox.runtime import Sandbox
from sandbox.world import World

Place: TypeAlias = Callable[[Sandbox, World, str], Guest | IsolatedGuest]
"""Returns the guest of a sandbox's component by world and digest."""


def here(sandbox: Sandbox, world: World, digest: str) -> Guest:
    """The guest in this process."""
    return sandbox.guest(world, digest)


class Apart:
    """A `Place`: guests in the processes of `pool`."""

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    def __call__(self, sandbox: Sandbox, world: World, digest: str) -> IsolatedGuest:
        compiled = sandbox.compiled(world, digest)
        compiled.close()
        return IsolatedGuest(
            component=compiled.component,
            index=0,
            visit=lambda: self._pool.visit(
                f"component {digest}", lambda: (sandbox.compiled(world, digest),)
            ),
            grace_seconds=self._pool.plan.grace_seconds,
        )
