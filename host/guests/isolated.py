"""A `GuestSource` that runs the guests of each virtual node in separate processes."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.errors import UnavailableError
from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord, CpkRecord
from host.guests.library import GuestLibrary
from sandbox.compiled_files import CompiledFile
from sandbox.host_calls import HostCallHandler
from sandbox.isolation.calls import IsolatedGuest
from sandbox.isolation.errors import GuestProcessLostError
from sandbox.isolation.placing import Apart
from sandbox.isolation.pool import ProcessPool
from sandbox.outcome import Outcome
from sandbox.runnable import Runnable, RunRequest
from sandbox.runtime import Sandbox
from sandbox.world import World


class IsolatedGuests:
    """A process belongs to one virtual node and one CPI, and runs its flows and contracts.

    Args:
        library: returns the compiled code of stored CPIs.
        sandbox: compiles components that belong to no stored CPI yet.
        pool: manages the processes.
    """

    def __init__(self, *, library: GuestLibrary, sandbox: Sandbox, pool: ProcessPool) -> None:
        self._library = library
        self._sandbox = sandbox
        self._pool = pool
        self._apart = Apart(pool)

    def guest(
        self, cpi: CpiRecord, cpk: CpkRecord, *, node: ShortHash | None = None
    ) -> "RepeatableGuest":
        """See `host.guests.source.GuestSource.guest`."""
        compiled = self._library.compiled(cpi, cpk)
        compiled.close()
        key = f"{node or 'no node'} {cpi.file_checksum}"
        return RepeatableGuest(
            IsolatedGuest(
                component=compiled.component,
                index=cpi.cpks.index(cpk),
                visit=lambda: self._pool.visit(key, lambda: self._codes(cpi)),
                grace_seconds=self._pool.plan.grace_seconds,
            )
        )

    def candidate(self, world: World, code_digest: str) -> "RepeatableGuest":
        """See `host.guests.source.GuestSource.candidate`."""
        return RepeatableGuest(self._apart(self._sandbox, world, code_digest))

    def prepare(self, cpi: CpiRecord) -> None:
        """See `host.guests.source.GuestSource.prepare`."""
        for compiled in self._codes(cpi):
            compiled.close()

    def _codes(self, cpi: CpiRecord) -> Sequence[CompiledFile]:
        found: list[CompiledFile] = []
        try:
            for cpk in cpi.cpks:
                found.append(self._library.compiled(cpi, cpk))  # noqa: PERF401  # closed below
        except BaseException:
            for compiled in found:
                compiled.close()
            raise
        return found


@dataclass(frozen=True, slots=True)
class RepeatableGuest(Runnable):
    """An isolated guest whose loss is raised as the host's `UnavailableError`: retry the run."""

    isolated: IsolatedGuest

    def run(self, request: RunRequest, host: HostCallHandler | None = None) -> Outcome:
        """As of `IsolatedGuest.run`.

        Raises:
            UnavailableError: the guest was lost for a reason outside its code.
        """
        try:
            return self.isolated.run(request, host)
        except GuestProcessLostError as lost:
            raise UnavailableError(lost.message) from lost
