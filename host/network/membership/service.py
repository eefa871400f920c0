"""Registering virtual nodes with the group of a static network.

The host itself approves: keys are created first; then the member and the group
parameters are stored and the request is APPROVED, in one transaction. The process that works on a
request has claimed it. A request that a crash interrupted is still NEW, and another process, or the
next start, completes it with the keys that exist already.
"""

import json
import uuid
from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy import Connection, insert, select, tuple_, update

from cpi.errors import CpiError
from cpi.package.group_policy import GroupPolicy
from host.database.claims import RELEASED, Claimant, ClaimedWork, ClaimLostError, Claims
from host.domain.errors import InvalidInputError, NotFoundError, RequestInvalidError
from host.domain.ids import ShortHash
from host.domain.membership import MemberInfo, MemberStatus
from host.domain.paging import LIMIT_DEFAULT
from host.domain.vnode import VirtualNode
from host.network.membership.directory import add_member
from host.network.membership.errors import RegistrationInvalidError
from host.network.membership.joining import JoinChecks, check_new
from host.network.membership.member_info import MemberKey, make_member_info
from host.network.membership.member_keys import MemberKeyMaker
from host.network.membership.parameters import keep_signed, newest_parameters
from host.network.membership.registration import (
    NotaryService,
    RegistrationStatus,
    read_static_context,
    static_network,
)
from host.network.membership.requests import RegistrationRequest, request_of
from host.network.membership.static_mgm import StaticMgm
from host.network.membership.tables import REGISTRATION
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.directory import Packages, VirtualNodes
from host.ports.keys import KeyStore
from host.ports.locations import ALL_HERE, Locations
from host.ports.public_keys import PublicKeys

_log = structlog.get_logger("cordbox.membership")

_CONTEXT_BYTES_MAX = 256 * 1024
_SELECT = select(REGISTRATION).order_by(REGISTRATION.c.sent_at, REGISTRATION.c.registration_id)


def encoded_context(context: Mapping[str, str]) -> str:
    """A context as JSON.

    Raises:
        RequestInvalidError: it is too large to be stored.
    """
    encoded = json.dumps(dict(context))
    if len(encoded) > _CONTEXT_BYTES_MAX:
        raise RequestInvalidError(
            f"registration context has {len(encoded)} bytes, at most {_CONTEXT_BYTES_MAX}"
        )
    return encoded


class MembershipService(ClaimedWork):
    """Registration requests of the members of static networks on this host. Thread-safe."""

    def __init__(
        self,
        *,
        database: SqlDatabase,
        virtual_nodes: VirtualNodes,
        packages: Packages,
        keys: KeyStore,
        public_keys: PublicKeys,
        clock: Clock,
        entropy: Entropy,
        claimant: Claimant,
        locations: Locations = ALL_HERE,
    ) -> None:
        self._database = database
        self._virtual_nodes = virtual_nodes
        self._packages = packages
        self._clock = clock
        self._entropy = entropy
        self._checks = JoinChecks(packages, virtual_nodes, locations)
        self._member_keys = MemberKeyMaker(keys, public_keys)
        self._mgm = StaticMgm(keys=keys, public_keys=public_keys, clock=clock)
        self._claims = Claims(
            database,
            REGISTRATION,
            is_unfinished=REGISTRATION.c.status == RegistrationStatus.NEW.value,
            claimant=claimant,
            clock=clock,
        )

    def register(self, short_hash: ShortHash, context: Mapping[str, str]) -> RegistrationRequest:
        """Register a virtual node with the group of its CPI.

        Returns:
            The request, APPROVED, or INVALID with the reason.

        Raises:
            NotFoundError: no such virtual node.
            InvalidInputError: the context is too large to be stored.
        """
        self._node(short_hash)
        encoded = encoded_context(context)
        registration_id = str(uuid.UUID(bytes=self._entropy.random_bytes(16), version=4))
        now = self._clock.now_ms()
        row = {
            "registration_id": registration_id,
            "short_hash": short_hash,
            "status": RegistrationStatus.NEW.value,
            "context": encoded,
            "sent_at": now,
            "updated_at": now,
            **self._claims.values(),
        }
        self._database.transact(lambda connection: connection.execute(insert(REGISTRATION), row))
        self._claims.hold(registration_id)
        self._process(self.request(short_hash, registration_id))
        return self.request(short_hash, registration_id)

    def _go_on(self, keys: Sequence[str]) -> None:
        query = _SELECT.where(REGISTRATION.c.registration_id.in_(keys))
        with self._database.read() as connection:
            unfinished = [request_of(row) for row in connection.execute(query)]
        for request in unfinished:
            self._process(request)

    def requests(
        self,
        short_hash: ShortHash,
        limit: int = LIMIT_DEFAULT,
        before: tuple[int, str] | None = None,
    ) -> Sequence[RegistrationRequest]:
        """Requests of a virtual node, the latest first, at most `limit`.

        Args:
            short_hash: the node.
            limit: maximum number of items.
            before: only those before this time of submission and registration id.

        Raises:
            NotFoundError: no such virtual node.
        """
        self._node(short_hash)
        place = (REGISTRATION.c.sent_at, REGISTRATION.c.registration_id)
        query = select(REGISTRATION).where(REGISTRATION.c.short_hash == short_hash)
        if before is not None:
            query = query.where(tuple_(*place) < before)
        query = query.order_by(*(column.desc() for column in place)).limit(limit)
        with self._database.read() as connection:
            return [request_of(row) for row in connection.execute(query)]

    def request(self, short_hash: ShortHash, registration_id: str) -> RegistrationRequest:
        """One request of a virtual node.

        Raises:
            NotFoundError: the node has no such request.
        """
        query = _SELECT.where(
            REGISTRATION.c.short_hash == short_hash,
            REGISTRATION.c.registration_id == registration_id,
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(
                f"virtual node {short_hash} has no registration request {registration_id!r}",
                kind="registration request",
                named=registration_id,
            )
        return request_of(row)

    def _process(self, request: RegistrationRequest) -> None:
        try:
            self._decide(request)
        except ClaimLostError as exc:
            _log.warning(
                "registration-lost", registration=request.registration_id, reason=exc.message
            )
        finally:
            self._claims.let_go(request.registration_id)

    def _decide(self, request: RegistrationRequest) -> None:
        try:
            self._approve(request)
        except RegistrationInvalidError as exc:
            reason = exc.reason
        except (InvalidInputError, CpiError) as exc:
            reason = exc.message
        else:
            return
        _log.info("registration-invalid", registration=request.registration_id, reason=reason)
        self._database.transact(
            lambda connection: self._finish(
                connection, request, RegistrationStatus.INVALID, reason=reason
            )
        )

    def _approve(self, request: RegistrationRequest) -> None:
        node = self._node(request.holding_short_hash)
        cpi = self._packages.get(node.cpi_checksum)
        if cpi is None:
            raise RegistrationInvalidError(f"CPI {node.cpi_checksum} is no longer stored")
        network = static_network(cpi.group_policy)
        static_member, policy = network.member(node.holding.x500_name), network.policy
        registration = read_static_context(request.context)
        self._checks.check_here(node)
        self._checks.check_listed(node, cpi)
        with self._database.read() as connection:
            check_new(connection, node, registration.notary)
        keys = self._member_keys.make(node, policy, registration)
        member = make_member_info(
            holding=node.holding,
            status=MemberStatus(static_member.status),
            keys=keys,
            cpi=cpi.identity,
            endpoints=static_member.endpoints,
            registration=registration,
            registration_id=request.registration_id,
            now=self._clock.now_ms(),
        )

        # The signed parameters follow those that were read: if these changed meanwhile, retry.
        while not self._admit(
            request, node, member, policy=policy, notary=registration.notary, key=keys.notary
        ):
            pass

    def _admit(
        self,
        request: RegistrationRequest,
        node: VirtualNode,
        member: MemberInfo,
        *,
        policy: GroupPolicy,
        notary: NotaryService | None,
        key: MemberKey | None,
    ) -> bool:
        """Store a member and the parameters that it changes; False if these changed meanwhile."""
        with self._database.read() as connection:
            before = newest_parameters(connection, member.group_id)
        versions = self._mgm.versions(before, member.group_id, policy, notary, key)

        def admit(connection: Connection) -> bool:
            now = newest_parameters(connection, member.group_id)
            if versions and now != before:
                return False
            self._checks.check_here(node)  # again: its group may have left since it was read
            check_new(connection, node, notary)
            add_member(connection, member)
            for signed in versions:
                keep_signed(connection, signed)
            self._finish(connection, request, RegistrationStatus.APPROVED, serial=member.serial)
            return True

        return self._database.transact(admit)

    def _node(self, short_hash: ShortHash) -> VirtualNode:
        node = self._virtual_nodes.get(short_hash)
        if node is None:
            raise NotFoundError(
                f"Virtual node {short_hash} not found.", kind="virtual node", named=short_hash
            )
        return node

    def _finish(
        self,
        connection: Connection,
        request: RegistrationRequest,
        status: RegistrationStatus,
        *,
        reason: str | None = None,
        serial: int | None = None,
    ) -> None:
        self._claims.check(connection, request.registration_id)
        connection.execute(
            update(REGISTRATION)
            .where(REGISTRATION.c.registration_id == request.registration_id)
            .values(
                status=status.value,
                reason=reason,
                serial=serial,
                updated_at=self._clock.now_ms(),
                **RELEASED,
            )
        )
