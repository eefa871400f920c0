"""Virtual nodes, their keys and their membership of groups."""

from functools import cached_property

from host import entities as persistence
from host.database.claims import RENEW_SECONDS
from host.keys import SchemePublicKeys
from host.network import membership
from host.nodes import vnode
from host.ports.directory import Members
from host.ports.keys import KeyStore
from host.ports.live import Derived
from host.ports.public_keys import PublicKeys
from host.runtime.wiring import services
from host.runtime.wiring.base import PluginMissingError
from host.runtime.wiring.code_parts import CodeParts
from host.settings.sections import GUEST


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
    def nodes(self) -> vnode.VirtualNodeService:
        """Virtual nodes."""
        return vnode.VirtualNodeService(
            database=self.database,
            schemas=persistence.VaultSchemas(self.vaults, self.entity_types, self.base.clock),
            packages=self.catalogue,
            clock=self.base.clock,
            entropy=self.base.entropy,
            claimant=self.claimant,
            background=self._background.submit,
            allowed_capabilities=Derived(
                lambda guest: guest.allowed_capabilities, self.config.section(GUEST)
            ),
        )

    def go_on_with_nodes(self) -> None:
        """Resume unfinished operations on nodes, now and periodically."""
        self.nodes.resume_interrupted()
        self._flush(self.nodes.renew, RENEW_SECONDS)

    @cached_property
    def members(self) -> Members:
        return self._service(services.MEMBERS, self._open_members)

    @cached_property
    def registrations(self) -> membership.MembershipService:
        """Registration of virtual nodes with their groups."""
        return self._service(services.REGISTRATIONS, self._open_registrations)

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
        return membership.MemberDirectory(self.database, public_keys=self.public_keys)

    def _open_registrations(self) -> membership.MembershipService:
        return membership.MembershipService(
            database=self.database,
            virtual_nodes=self.nodes,
            packages=self.catalogue,
            keys=self.keys,
            public_keys=self.public_keys,
            clock=self.base.clock,
            entropy=self.base.entropy,
            claimant=self.claimant,
        )
