"""Virtual nodes, their keys and their membership of groups."""

import ipaddress
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cpi.package.group_policy import GroupPolicyKind, parse_group_policy
from host import entities as persistence
from host.database.claims import RENEW_SECONDS
from host.domain.errors import NotFoundError
from host.domain.vnode import VirtualNode
from host.flow.engine.flow_time import StoredFlowTime
from host.guests.contracts import SandboxedContracts
from host.guests.metered import MeteredContracts
from host.keys import SchemePublicKeys
from host.network import membership
from host.network.client_certificates import TlsSubjects
from host.network.health import NetworkHealthOf
from host.network.hosted import HostedIdentityRegister
from host.network.link.members import LinkMembers
from host.network.location.places import NodePlaces
from host.network.membership.changes import Changes, ToldDatabase
from host.network.membership.group_directory import GroupDirectory
from host.network.membership.member_registrations import MemberRegistrations, note_upgraded
from host.network.membership.mgm_operations import OperationsOfMgm
from host.network.membership.network_access import NetworkAccess, group_of_mgm
from host.network.membership.network_worker import NetworkWorker
from host.network.membership.times import MINUTE_MS, NetworkTimes
from host.network.membership.viewers import Viewers
from host.network.membership.views import MemberViews
from host.network.network_members import NetworkMembers
from host.nodes import vnode
from host.nodes.packages.trust import CertificateStore
from host.ports.directory import ContractVerifier, Members
from host.ports.hosted import HostedIdentities
from host.ports.keys import KeyStore
from host.ports.live import Derived, Live
from host.ports.mgm import MgmOperations
from host.ports.network_health import NetworkHealthReports
from host.ports.public_keys import PublicKeys
from host.ports.schemas import NodeSchemas
from host.runtime.wiring import services
from host.runtime.wiring.base import PluginMissingError
from host.runtime.wiring.code_parts import CodeParts
from host.runtime.wiring.services import RemoteContracts
from host.settings.live import LiveConfig
from host.settings.sections import (
    CORDA_MEMBERSHIP,
    CORDA_P2P_GATEWAY,
    CORDA_P2P_LINK_MANAGER,
    GUEST,
)

if TYPE_CHECKING:
    from host.network.gateway.revocation import Revocations
    from host.nodes.vnode.rehearsal import UpgradeRehearsal


class NetworkParts(CodeParts):
    """Virtual nodes and their groups."""

    @cached_property
    def keys(self) -> KeyStore:
        """The nodes' private keys."""
        return self._service(services.KEYS, self._open_keys)

    @cached_property
    def public_keys(self) -> PublicKeys:
        return SchemePublicKeys()

    @cached_property
    def contracts(self) -> ContractVerifier:
        if self._is_elsewhere(services.CONTRACTS):
            return RemoteContracts(self._remote(services.CONTRACTS))
        contracts = SandboxedContracts(library=self.guests)
        return MeteredContracts(contracts, quotas=self.quotas, clock=self.base.clock)

    @cached_property
    def nodes(self) -> vnode.VirtualNodeService:
        """Virtual nodes."""
        schemas = persistence.VaultSchemas(self.vaults, self.entity_types, self.base.clock)
        return vnode.VirtualNodeService(
            database=self.database,
            schemas=schemas,
            packages=self.catalogue,
            clock=self.base.clock,
            entropy=self.base.entropy,
            claimant=self.claimant,
            background=self._background.submit,
            allowed_capabilities=self._allowed_capabilities,
            upgraded=note_upgraded,
            locations=self.places,
            flow_time=StoredFlowTime(lambda: self.store),
            rehearsal=lambda: self._rehearsal(schemas),
        )

    @property
    def _allowed_capabilities(self) -> Live[Collection[str]]:
        return Derived(lambda guest: guest.allowed_capabilities, self.config.section(GUEST))

    def _rehearsal(self, schemas: NodeSchemas) -> "UpgradeRehearsal":
        # Imported here: only the process that upgrades nodes reads packages and replays flows.
        from host.flow.engine.node_flows import OpenFlowRecords  # noqa: PLC0415
        from host.guests.rehearsals import FlowRehearsals  # noqa: PLC0415
        from host.ledger.rehearsals import StateRehearsals  # noqa: PLC0415
        from host.nodes.vnode.rehearsal import UpgradeRehearsal  # noqa: PLC0415

        flows = FlowRehearsals(
            records=OpenFlowRecords(self.store, self.catalogue),
            sandbox=self.sandbox,
            guest_of=self.guests.candidate,
            read=self.catalogue.read,
            quotas=self.quotas,
            allowed=self._allowed_capabilities.get,
        )
        states = StateRehearsals(self.vaults, self.contracts)
        return UpgradeRehearsal(flows=flows, schemas=schemas, states=states)

    def go_on_with_nodes(self) -> None:
        """Resume unfinished operations on nodes, now and periodically."""
        self.nodes.resume_interrupted()
        self._flush(self.nodes.renew, RENEW_SECONDS)

    @cached_property
    def places(self) -> NodePlaces:
        """Where the nodes of this cluster are."""
        return NodePlaces(self.database, self.base.clock)

    @cached_property
    def members(self) -> Members:
        return self._service(services.MEMBERS, self._open_members)

    @cached_property
    def registrations(self) -> membership.Registrations:
        """Registration of virtual nodes with their groups."""
        return self._service(services.REGISTRATIONS, self._open_registrations)

    @cached_property
    def mgm(self) -> MgmOperations:
        """What operators of MGMs do."""
        access = self.told_access
        return self._service(services.MGM, lambda: OperationsOfMgm(access, NetworkWorker(access)))

    @cached_property
    def membership_changes(self) -> Changes:
        """Changes by others than the thread of membership, which follows them."""
        return Changes()

    @cached_property
    def told_access(self) -> NetworkAccess:
        """`network_access` of all others than the thread of membership, which it tells."""
        database = ToldDatabase(self.database, self.membership_changes)
        return replace(self.network_access, database=database)

    @cached_property
    def network_access(self) -> NetworkAccess:
        """The parts that dynamic networks use."""
        return NetworkAccess(
            database=self.database,
            virtual_nodes=self.nodes,
            packages=self.catalogue,
            keys=self.keys,
            public_keys=self.public_keys,
            clock=self.base.clock,
            entropy=self.base.entropy,
            tls_subject=TlsSubjects(self.hosted, self.certificates),
            is_mutual=self._is_mutual,
            times=network_times(self.config).get,
            locations=self.places,
        )

    @cached_property
    def certificates(self) -> CertificateStore:
        """Imported certificate chains."""
        return CertificateStore(database=self.database, clock=self.base.clock)

    @cached_property
    def network_worker(self) -> NetworkWorker:
        """Handles the messages of dynamic networks."""
        return NetworkWorker(self.network_access)

    @cached_property
    def hosted(self) -> HostedIdentities:
        """The network setup of virtual nodes."""
        return HostedIdentityRegister(
            database=self.database,
            virtual_nodes=self.nodes,
            policy_of=self._policy_of,
            certificates=self.certificates,
            keys=self.keys,
            public_keys=self.public_keys,
            clock=self.base.clock,
            is_mutual=self._is_mutual,
        )

    @cached_property
    def viewers(self) -> Viewers:
        """Nodes of dynamic networks, and what each sees."""
        return Viewers(self.network_access)

    @cached_property
    def link_members(self) -> LinkMembers:
        """Members of dynamic networks, as links ask for them."""
        return NetworkMembers(
            self.network_access,
            hosted=self.hosted,
            certificates=self.certificates,
            viewers=self.viewers,
            views=MemberViews(self.told_access),
            locations=self.places,
            session_revoked=self._session_revoked,
            client_revoked=self.tls_revoked,
        )

    def _revoked(self, chain: Sequence[bytes], roots: Sequence[bytes], mode: str) -> str | None:
        # Imported here: only processes that meet other clusters load it.
        from host.network.gateway.revocation import RevocationMode  # noqa: PLC0415

        return self._revocations.refusal(chain, roots, RevocationMode(mode))

    @cached_property
    def _revocations(self) -> "Revocations":
        from host.network.gateway.revocation import Revocations  # noqa: PLC0415  # see `_revoked`
        from host.network.gateway.revocation_fetch import HttpFetch  # noqa: PLC0415  # the same

        denied = tuple(map(ipaddress.ip_network, self.base.settings.p2p_deny_networks))
        return Revocations(HttpFetch(denied), self.base.clock)

    def tls_revoked(self, chain: Sequence[bytes], roots: Sequence[bytes]) -> str | None:
        """Why a TLS chain of another cluster does not count, if it was revoked."""
        mode = self.config.section(CORDA_P2P_GATEWAY).get().ssl_config_revocation_check_mode
        return self._revoked(chain, roots, mode)

    def _session_revoked(self, chain: Sequence[bytes], roots: Sequence[bytes]) -> str | None:
        mode = self.config.section(CORDA_P2P_LINK_MANAGER).get().revocation_check_mode
        return self._revoked(chain, roots, mode)

    @cached_property
    def network_health(self) -> NetworkHealthReports:
        """How virtual nodes fare in networks between clusters."""
        return NetworkHealthOf(
            database=self.database,
            hosted=self.hosted,
            certificates=self.certificates,
            clock=self.base.clock,
        )

    def _is_mutual(self) -> bool:
        """Whether this cluster's gateways demand certificates of clients."""
        return self.config.section(CORDA_P2P_GATEWAY).get().ssl_config_tls_type == "MUTUAL"

    def _policy_of(self, node: VirtualNode) -> Mapping[str, Any] | None:
        """The group policy of a node's network: of its CPI, or of what an MGM has registered."""
        cpi = self.catalogue.get(node.cpi_checksum)
        if cpi is None:
            raise NotFoundError(
                f"CPI {node.cpi_checksum} not found.", kind="CPI", named=node.cpi_checksum
            )
        policy = parse_group_policy(cpi.group_policy, stored=True)
        if policy.kind is not GroupPolicyKind.MGM:
            return policy.document
        with self.database.read() as connection:
            own = group_of_mgm(connection, node.holding.short_hash)
        return None if own is None else json.loads(own.policy)

    def go_on_with_registrations(self) -> None:
        """Resume unfinished registrations, now and periodically."""
        self.registrations.resume_interrupted()
        self._flush(self.registrations.renew, RENEW_SECONDS)

    def _open_keys(self) -> KeyStore:
        key_store: KeyStore | None = self.base.plugins.hook.register_key_store(
            settings=self.base.settings,
            directory=self.base.directory,
            config=self.config,
            storage=self.storage,
            database=self.database,
            clock=self.base.clock,
            entropy=self.base.entropy,
        )
        if key_store is None:
            raise PluginMissingError("no plugin gives a key store (hook register_key_store)")
        self._flush(key_store.take_over_rotations, RENEW_SECONDS)
        return key_store

    def _open_members(self) -> Members:
        return GroupDirectory(self.database, self.viewers, public_keys=self.public_keys)

    def _open_registrations(self) -> membership.Registrations:
        static = membership.MembershipService(
            database=self.database,
            virtual_nodes=self.nodes,
            packages=self.catalogue,
            keys=self.keys,
            public_keys=self.public_keys,
            clock=self.base.clock,
            entropy=self.base.entropy,
            claimant=self.claimant,
            locations=self.places,
        )
        return membership.Registrations(
            self.told_access,
            static=static,
            members=MemberRegistrations(self.told_access),
            has_gateway=bool(self.base.settings.gateway_listen),
        )


def network_times(config: LiveConfig) -> Live[NetworkTimes]:
    """The times of membership in force."""
    return Derived(
        lambda corda: NetworkTimes(
            sync_ms=corda.sync_minutes * MINUTE_MS,
            expiry_ms=corda.expiration_time_frame * MINUTE_MS,
            verify_ms=corda.verify_member_request * MINUTE_MS,
            send_ms=corda.wait_for_mgm_session * MINUTE_MS,
            package_ms=corda.members_package_update * MINUTE_MS,
            decline_ms=corda.decline_registration * MINUTE_MS,
        ),
        config.section(CORDA_MEMBERSHIP),
    )
