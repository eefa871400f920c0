"""What REST needs from the host: one narrow interface per use case, bound in `host.composition`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from host.audit_log.administrative import AdministrativeLog
from host.domain.accounts import Account
from host.domain.errors import NotFoundError
from host.domain.flow import FlowStatus
from host.domain.ids import Checksum, EpochMs, ShortHash, parse_short_hash
from host.domain.json import JsonValue
from host.domain.packages import CpiRecord
from host.domain.quotas import NodeUsage, Quota
from host.domain.vnode import AsyncStatus, VirtualNode
from host.flow.dead_letters import DeadLetter
from host.flow.recorded import RecordedFlow
from host.packages.uploaded import UploadedFile
from host.ports.bus import RecordPlace
from host.ports.clock import Clock
from host.ports.directory import Members, Packages, VirtualNodes
from host.ports.glances import FlowGlance, GlanceQuery
from host.ports.keys import KeyStore
from host.rbac import User, Users


class UploadStatusView(Protocol):
    """How far an upload is: `status` is `OK` when done; then `cpi_checksum` is set."""

    @property
    def status(self) -> str: ...

    @property
    def cpi_checksum(self) -> ShortHash | None: ...


class PackageUseCases(Packages, Protocol):
    def upload(
        self, data: UploadedFile, file_name: str | None = None, *, force: bool = False
    ) -> str: ...

    def upload_status(self, request_id: str) -> UploadStatusView: ...

    def chunks(self, checksum: Checksum) -> Iterator[bytes]: ...

    def newest(
        self, limit: int, before: tuple[int, str] | None = None
    ) -> Sequence[tuple[EpochMs, Checksum]]: ...


class CertificateUseCases(Protocol):
    def import_certificate(self, usage: str, alias: str, pem: bytes) -> None: ...

    def aliases(self, usage: str) -> Sequence[str]: ...

    def chain(self, usage: str, alias: str) -> str: ...


class OperationView(Protocol):
    """An asynchronous operation as its starter polls it."""

    @property
    def request_id(self) -> str: ...

    @property
    def operation(self) -> str: ...

    @property
    def status(self) -> AsyncStatus: ...

    @property
    def resource_id(self) -> str | None: ...

    @property
    def error_reason(self) -> str | None: ...

    @property
    def updated_at(self) -> EpochMs: ...


class VirtualNodeUseCases(VirtualNodes, Protocol):
    def create(self, cpi_short_checksum: str, x500_name: str) -> str: ...

    def newest(
        self, limit: int, before: tuple[int, str] | None = None
    ) -> Sequence[VirtualNode]: ...

    def operation(self, request_id: str) -> OperationView: ...

    def set_state(self, short_hash: ShortHash, state: str) -> VirtualNode: ...

    def upgrade(self, short_hash: ShortHash, cpi_short_checksum: str, *, force: bool) -> str: ...

    def force_resync(self, short_hash: ShortHash) -> None: ...


class FlowUseCases(Protocol):
    def start(
        self,
        vnode: VirtualNode,
        cpi: CpiRecord,
        client_request_id: str,
        flow_class: str,
        request_body: JsonValue,
    ) -> FlowStatus: ...

    def status(self, short_hash: ShortHash, client_request_id: str) -> FlowStatus: ...

    def open_count(self, short_hash: ShortHash) -> int: ...

    def kill(self, short_hash: ShortHash, client_request_id: str, reason: str) -> FlowStatus: ...

    def end_all(self, short_hash: ShortHash) -> int: ...

    def recorded(self, short_hash: ShortHash, request_id: str) -> RecordedFlow: ...

    def page(self, query: GlanceQuery, limit: int) -> Sequence[FlowGlance]: ...

    def glanced(self, glance: FlowGlance) -> FlowStatus | None: ...

    def dead_letters(
        self, limit: int, before: RecordPlace | None = None
    ) -> Sequence[DeadLetter]: ...


class QuotaUseCases(Protocol):
    @property
    def defaults(self) -> Quota: ...

    def quota(self, node: ShortHash) -> Quota: ...

    def overrides(self, node: ShortHash) -> Mapping[str, int]: ...

    def set_overrides(self, node: ShortHash, overrides: Mapping[str, int]) -> Quota: ...

    def usage(self, node: ShortHash) -> NodeUsage: ...


class RegistrationView(Protocol):
    """A registration request as its member sees it. `status` is Corda's RegistrationStatus."""

    @property
    def registration_id(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def reason(self) -> str | None: ...

    @property
    def context(self) -> Mapping[str, str]: ...

    @property
    def sent_at(self) -> EpochMs: ...

    @property
    def updated_at(self) -> EpochMs: ...

    @property
    def serial(self) -> int | None: ...


class MembershipUseCases(Protocol):
    def register(self, short_hash: ShortHash, context: Mapping[str, str]) -> RegistrationView: ...

    def requests(
        self, short_hash: ShortHash, limit: int, before: tuple[int, str] | None = None
    ) -> Sequence[RegistrationView]: ...

    def request(self, short_hash: ShortHash, registration_id: str) -> RegistrationView: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RestServices:
    """The use cases that the resources call."""

    packages: PackageUseCases
    certificates: CertificateUseCases
    virtual_nodes: VirtualNodeUseCases
    flows: FlowUseCases
    membership: MembershipUseCases
    members: Members
    users: Users
    keys: KeyStore
    quotas: QuotaUseCases
    held_bytes: Callable[[ShortHash], Mapping[Account, int]]
    clock: Clock
    administrative_log: AdministrativeLog

    def virtual_node(self, short_hash: str) -> VirtualNode:
        """The virtual node of a short hash as the client wrote it.

        Raises:
            InvalidShortHashError: it is no short hash.
            NotFoundError: no virtual node has it.
        """
        node = self.virtual_nodes.get(parse_short_hash(short_hash))
        if node is None:
            raise NotFoundError(f"Virtual node {short_hash} not found.")
        return node

    def cpi_of(self, node: VirtualNode) -> CpiRecord:
        """The CPI that `node` runs.

        Raises:
            NotFoundError: it is no longer stored.
        """
        cpi = self.packages.get(node.cpi_checksum)
        if cpi is None:
            raise NotFoundError(f"CPI {node.cpi_checksum} not found.")
        return cpi


def _services(request: Request) -> RestServices:
    services: RestServices = request.app.state.services
    return services


def _caller(request: Request) -> User:
    caller: User = request.state.user
    return caller


Services = Annotated[RestServices, Depends(_services)]
"""Parameter of a handler: the use cases."""
Caller = Annotated[User, Depends(_caller)]
"""Parameter of a handler: the authenticated user."""
