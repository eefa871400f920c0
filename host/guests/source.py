"""The source of guests, independent of the process in which they run."""

from typing import Protocol

from host.domain.ids import ShortHash
from host.domain.packages import CpiRecord, CpkRecord
from sandbox.runnable import Runnable
from sandbox.world import World


class GuestSource(Protocol):
    """Returns guests of stored CPIs. Safe to use from several threads."""

    def guest(self, cpi: CpiRecord, cpk: CpkRecord, *, node: ShortHash | None = None) -> Runnable:
        """The guest of a CPK of a stored CPI.

        Args:
            cpi: the CPI.
            cpk: one of its CPKs.
            node: the virtual node that it runs for; None where there is none.

        Raises:
            SandboxError: the component cannot be compiled.
            CodeRefusedError, CodeMismatchError: it cannot be rebuilt from the stored CPI.
            StorageError: the stored CPI is missing or damaged.
        """
        ...

    def prepare(self, cpi: CpiRecord) -> None:
        """Compile the code of every CPK; fast if that has been done already.

        Raises:
            SandboxError, HostError: as `guest`.
        """
        ...

    def candidate(self, world: World, code_digest: str) -> Runnable:
        """The guest of a component that belongs to no stored CPI yet.

        Raises:
            SandboxError: as of `sandbox.runtime.Sandbox.guest`.
        """
        ...
