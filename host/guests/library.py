"""Guests of stored CPIs; a component that the cache lost is made again from the stored CPI."""

from collections.abc import Callable
from threading import Lock

from cpi.errors import CpiError
from cpi.model import PackageType
from cpi.verify import read_package
from host.domain.errors import HostError
from host.domain.ids import Checksum
from host.domain.packages import CpiRecord, CpkRecord
from host.guests.code import CodeRefusedError, code_of, make_component
from sandbox.errors import ComponentUnknownError, SandboxError
from sandbox.guest import Guest
from sandbox.runtime import Sandbox
from sandbox.world import World

ReadCpi = Callable[[Checksum], bytes]
"""Reads a stored CPI file and checks it against its checksum."""


class GuestLibrary:
    """Gives the guest of a CPK. Safe to use from several threads."""

    def __init__(self, *, sandbox: Sandbox, read: ReadCpi) -> None:
        """Take a sandbox, and what reads stored CPIs when the sandbox lost their components."""
        self._sandbox = sandbox
        self._read = read
        self._remaking = Lock()

    def guest(self, cpi: CpiRecord, cpk: CpkRecord) -> Guest:
        """The guest of a CPK of a stored CPI.

        Raises:
            SandboxError: the component cannot be compiled.
            CodeRefusedError, CodeMismatchError: it cannot be made again from the stored CPI.
            StorageError: the stored CPI is missing or damaged.
        """
        world = World(cpk.world)
        try:
            return self._sandbox.guest(world, cpk.component_digest)
        except ComponentUnknownError:
            with self._remaking:
                self._make_again(cpi, cpk)
        return self._sandbox.guest(world, cpk.component_digest)

    def prepare(self, cpi: CpiRecord) -> None:
        """Have the code of every CPK compiled; quick when it is.

        Raises:
            SandboxError, HostError: as `guest`.
        """
        for cpk in cpi.cpks:
            self.guest(cpi, cpk)

    def _make_again(self, cpi: CpiRecord, cpk: CpkRecord) -> None:
        # Trust was decided when the CPI was stored; its checksum says that it is still that file.
        try:
            package = read_package(self._read(cpi.file_checksum), package_type=PackageType.CPI)
        except CpiError as refused:
            raise CodeRefusedError(f"CPI {cpi.file_checksum}: {refused.message}") from refused
        for candidate in package.cpks:
            if candidate.file_checksum == cpk.file_checksum:
                make_component(self._sandbox, code_of(candidate, package.cpks))
                return
        raise CodeRefusedError(f"CPI {cpi.file_checksum} holds no CPK {cpk.file_checksum}")


def told_to_tenants(refused: HostError | SandboxError) -> str:
    """The message of a refusal without anything of the host."""
    return refused.public_message if isinstance(refused, HostError) else refused.message
