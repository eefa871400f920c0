"""The host's services for the resources of REST; set by `host.runtime.wiring`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from host.access import Groups, PasswordRules, Roles, User, Users
from host.domain.accounts import Account
from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash, parse_short_hash
from host.domain.packages import CpiRecord
from host.domain.vnode import VirtualNode
from host.flow.engine.service import FlowService
from host.ledger.rebuilds import VaultRebuilds
from host.ledger.recorded import RecordedTransactions
from host.ledger.repairs import Repairs
from host.network.location.service import NodeMoves
from host.network.membership import Registrations
from host.nodes.audit_log.administrative import AdministrativeLog
from host.nodes.packages.service import PackageService
from host.nodes.packages.trust import CertificateStore
from host.nodes.quotas import QuotaService
from host.nodes.vnode import VirtualNodeService
from host.ports.clock import Clock
from host.ports.directory import Members
from host.ports.hosted import HostedIdentities
from host.ports.keys import KeyStore
from host.ports.live import Live
from host.ports.mgm import MgmOperations
from host.ports.network_health import NetworkHealthReports
from host.ports.network_peers import NetworkPeers
from host.rest.board import Board
from host.settings.changes import ConfigService


@dataclass(frozen=True, slots=True, kw_only=True)
class RestServices:
    """The services that resources call; some may run in other processes (`host.runtime.wiring`)."""

    packages: PackageService
    certificates: CertificateStore
    virtual_nodes: VirtualNodeService
    flows: FlowService
    membership: Registrations
    members: Members
    mgm: MgmOperations
    users: Users
    roles: Roles
    groups: Groups
    password_rules: Live[PasswordRules]
    keys: KeyStore
    hosted: HostedIdentities
    network_health: NetworkHealthReports
    network_peers: NetworkPeers
    quotas: QuotaService
    held_bytes: Callable[[ShortHash], Mapping[Account, int]]
    clock: Clock
    config: ConfigService
    administrative_log: AdministrativeLog
    transactions: RecordedTransactions
    repairs: Repairs
    rebuilds: VaultRebuilds
    moves: NodeMoves
    transfer_key: Callable[[], str]
    vault_sql: Callable[[], str | None]
    uniqueness_sql: Callable[[], str | None]
    board: Board
    has_identity_provider: bool = False

    def virtual_node(self, short_hash: str) -> VirtualNode:
        """The virtual node of a short hash as the client wrote it.

        Raises:
            InvalidShortHashError: the text is not a short hash.
            NotFoundError: no virtual node has it.
        """
        node = self.virtual_nodes.get(parse_short_hash(short_hash))
        if node is None:
            raise NotFoundError(
                f"Virtual node {short_hash} not found.", kind="virtual node", named=short_hash
            )
        return node

    def cpi(self, short_checksum: ShortHash) -> CpiRecord:
        """The stored CPI of a short checksum.

        Raises:
            NotFoundError: there is none.
        """
        cpi = self.packages.find_by_short_hash(short_checksum)
        if cpi is None:
            raise NotFoundError(
                f"CPI {short_checksum} not found.", kind="CPI", named=short_checksum
            )
        return cpi

    def cpi_of(self, node: VirtualNode) -> CpiRecord:
        """The CPI that `node` runs.

        Raises:
            NotFoundError: the CPI is no longer stored.
        """
        cpi = self.packages.get(node.cpi_checksum)
        if cpi is None:
            raise NotFoundError(
                f"CPI {node.cpi_checksum} not found.", kind="CPI", named=node.cpi_checksum
            )
        return cpi


async def _services(request: Request) -> RestServices:
    services: RestServices = request.app.state.services
    return services


async def _caller(request: Request) -> User:
    caller: User = request.state.user
    return caller


# Asynchronous because FastAPI calls other dependencies on another thread.
Services = Annotated[RestServices, Depends(_services)]
"""Parameter of a handler: the use cases."""
Caller = Annotated[User, Depends(_caller)]
"""Parameter of a handler: the authenticated user."""
