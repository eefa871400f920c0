"""Guests of stored CPIs; a component missing from the cache is rebuilt from the stored CPI."""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from cpi.errors import CpiError
from cpi.package.model import PackageType
from cpi.package.verify import read_package
from host.domain.errors import HostError, UnavailableError
from host.domain.ids import Checksum, ShortHash
from host.domain.packages import CpiRecord, CpkRecord
from host.guests.code import CodeRefusedError, code_of, make_component
from sandbox.compiled_files import CompiledFile
from sandbox.errors import CompileLostError, ComponentUnknownError, SandboxError
from sandbox.guest import Guest
from sandbox.runtime import Sandbox
from sandbox.world import World

ReadCpi = Callable[[Checksum], bytes]
"""Reads a stored CPI file and checks it against its checksum."""
_Found = TypeVar("_Found")


class GuestLibrary:
    """A `GuestSource` whose guests run in this process."""

    def __init__(self, *, sandbox: Sandbox, read: ReadCpi) -> None:
        """Take a sandbox, and a reader of stored CPIs for components missing in the sandbox."""
        self._sandbox = sandbox
        self._read = read
        self._remaking = Lock()

    def guest(self, cpi: CpiRecord, cpk: CpkRecord, *, node: ShortHash | None = None) -> Guest:
        """See `GuestSource.guest`."""
        del node
        return self._had(cpi, cpk, self._sandbox.guest)

    def compiled(self, cpi: CpiRecord, cpk: CpkRecord) -> CompiledFile:
        """The compiled code of a CPK of a stored CPI; the caller must close it.

        Raises:
            SandboxError, HostError: as `GuestSource.guest`.
        """
        return self._had(cpi, cpk, self._sandbox.compiled)

    def candidate(self, world: World, code_digest: str) -> Guest:
        """See `GuestSource.candidate`."""
        return self._sandbox.guest(world, code_digest)

    def prepare(self, cpi: CpiRecord) -> None:
        """See `GuestSource.prepare`."""
        for cpk in cpi.cpks:
            self.guest(cpi, cpk)

    def _had(self, cpi: CpiRecord, cpk: CpkRecord, find: Callable[[World, str], _Found]) -> _Found:
        """The result of `find` for a component, rebuilt if it is missing in the sandbox."""
        world = World(cpk.world)
        try:
            try:
                return find(world, cpk.code_digest)
            except ComponentUnknownError:
                with self._remaking:
                    self._make_again(cpi, cpk)
            return find(world, cpk.code_digest)
        except CompileLostError as lost:
            raise UnavailableError(lost.message) from lost

    def _make_again(self, cpi: CpiRecord, cpk: CpkRecord) -> None:
        # Trust was checked when the CPI was stored; the checksum proves that the file is unchanged.
        try:
            package = read_package(self._read(cpi.file_checksum), package_type=PackageType.CPI)
        except CpiError as refused:
            raise CodeRefusedError(f"CPI {cpi.file_checksum}: {refused.message}") from refused
        for candidate in package.cpks:
            if candidate.file_checksum == cpk.file_checksum:
                make_component(self._sandbox, code_of(candidate, package.cpks))
                return
        raise CodeRefusedError(f"CPI {cpi.file_checksum} holds no CPK {cpk.file_checksum}")


def shown_to_tenants(refused: HostError | SandboxError) -> str:
    """The message of an error, without internals of the host."""
    return refused.public_message if isinstance(refused, HostError) else refused.message
