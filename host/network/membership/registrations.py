"""Registration of a virtual node with its group, whatever the kind of its network."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

import structlog
from sqlalchemy import insert, select, tuple_

from cpi.package.group_policy import GroupPolicyKind, kind_of
from host.domain.errors import ConflictError, InvalidInputError, NotFoundError
from host.domain.ids import ShortHash
from host.domain.paging import LIMIT_DEFAULT
from host.domain.vnode import VirtualNode
from host.network.membership.errors import RegistrationInvalidError
from host.network.membership.member_registrations import MemberRegistrations
from host.network.membership.mgm_group import register_mgm
from host.network.membership.network_access import NetworkAccess
from host.network.membership.network_registrations import (
    COLUMNS,
    MEMBER_SIDE,
    NetworkRegistration,
    find_registration,
    refused_row,
    registration_of,
)
from host.network.membership.network_tables import NETWORK_REGISTRATION
from host.network.membership.requests import RegistrationRequest
from host.network.membership.service import MembershipService, encoded_context

_log = structlog.get_logger("cordbox.membership")
_POLICIES_KEPT_MAX = 16


class Registrations:
    """Requests of this host's virtual nodes: members of static and dynamic networks, MGMs.

    The group policy of a node's CPI decides. Thread-safe.

    Args:
        access: the host's parts.
        static: registers members of static networks.
        members: registers members of dynamic networks.
        has_gateway: whether the host meets other clusters.
    """

    def __init__(
        self,
        access: NetworkAccess,
        *,
        static: MembershipService,
        members: MemberRegistrations,
        has_gateway: bool,
    ) -> None:
        self._access = access
        self._static = static
        self._members = members
        self._has_gateway = has_gateway

    def register(self, short_hash: ShortHash, context: Mapping[str, str]) -> RegistrationRequest:
        """Register a virtual node with the group of its CPI.

        Returns:
            The request. In a static network, and of an MGM, it is APPROVED; of a member of a
            dynamic network NEW: it is sent to the MGM. If it was refused it is INVALID, with the
            reason.

        Raises:
            NotFoundError: no such virtual node.
            InvalidInputError: the context is too large to be stored.
        """
        node = self._access.node(short_hash)
        encoded_context(context)
        match self._kind(node):
            case GroupPolicyKind.STATIC:
                return self._static.register(short_hash, context)
            case GroupPolicyKind.MGM:
                return self.request(short_hash, self._found_group(node, context))
            case _ if not self._has_gateway:
                reason = (
                    "This host has no gateway (setting gateway_listen): it cannot reach an MGM."
                )
                return self.request(short_hash, self._refuse(node, context, reason))
            case _:
                return self.request(short_hash, self._members.register(node, context))

    def resume_interrupted(self) -> int:
        """Complete static requests that a crash interrupted; others wait for messages and times."""
        return self._static.resume_interrupted()

    def renew(self) -> int:
        """See `ClaimedWork.renew`; and register members of upgraded nodes again."""
        renewed = self._members.renew() if self._has_gateway else 0
        return self._static.renew() + renewed

    def requests(
        self,
        short_hash: ShortHash,
        limit: int = LIMIT_DEFAULT,
        before: tuple[int, str] | None = None,
    ) -> Sequence[RegistrationRequest]:
        """See `MembershipService.requests`; of members of dynamic networks and of MGMs, too."""
        if self._kind(self._access.node(short_hash)) is GroupPolicyKind.STATIC:
            return self._static.requests(short_hash, limit, before)
        place = (COLUMNS.sent_at, COLUMNS.registration_id)
        query = select(NETWORK_REGISTRATION).where(
            COLUMNS.short_hash == short_hash, COLUMNS.side == MEMBER_SIDE
        )
        if before is not None:
            query = query.where(tuple_(*place) < before)
        query = query.order_by(*(column.desc() for column in place)).limit(limit)
        with self._access.database.read() as connection:
            return [_request(registration_of(row)) for row in connection.execute(query)]

    def request(self, short_hash: ShortHash, registration_id: str) -> RegistrationRequest:
        """One request of a virtual node.

        Raises:
            NotFoundError: the node has no such request.
        """
        if self._kind(self._access.node(short_hash)) is GroupPolicyKind.STATIC:
            return self._static.request(short_hash, registration_id)
        with self._access.database.read() as connection:
            found = find_registration(connection, short_hash, registration_id, MEMBER_SIDE)
        if found is None:
            raise NotFoundError(
                f"virtual node {short_hash} has no registration request {registration_id!r}",
                kind="registration request",
                named=registration_id,
            )
        return _request(found)

    def _found_group(self, node: VirtualNode, context: Mapping[str, str]) -> str:
        """Make a node the MGM of its group; the id of the request, APPROVED or INVALID."""
        registration_id = self._access.new_id()
        try:
            register_mgm(self._access, node, context, registration_id)
        except RegistrationInvalidError as exc:
            return self._refuse(node, context, exc.reason)
        except (ConflictError, InvalidInputError, NotFoundError) as exc:
            return self._refuse(node, context, exc.message)
        return registration_id

    def _refuse(self, node: VirtualNode, context: Mapping[str, str], reason: str) -> str:
        """Store an INVALID request; returns its id."""
        registration_id = self._access.new_id()
        _log.info("registration-invalid", registration=registration_id, reason=reason)
        now = self._access.clock.now_ms()
        row = refused_row(node.holding, registration_id, context, reason, now)
        self._access.database.transact(lambda c: c.execute(insert(NETWORK_REGISTRATION), row))
        return registration_id

    def _kind(self, node: VirtualNode) -> GroupPolicyKind:
        # A missing CPI, or a broken policy, is the static service's to refuse.
        record = self._access.packages.get(node.cpi_checksum)
        return GroupPolicyKind.STATIC if record is None else _kind(record.group_policy)


@lru_cache(maxsize=_POLICIES_KEPT_MAX)
def _kind(group_policy: str) -> GroupPolicyKind:
    try:
        document = json.loads(group_policy)
    except ValueError:
        return GroupPolicyKind.STATIC
    return kind_of(document) if isinstance(document, dict) else GroupPolicyKind.STATIC


def _request(found: NetworkRegistration) -> RegistrationRequest:
    return RegistrationRequest(
        registration_id=found.registration_id,
        holding_short_hash=found.short_hash,
        status=found.status,
        reason=found.user_reason or found.reason,
        context={**json.loads(found.registration_context), **json.loads(found.member_context)},
        serial=found.serial,
        sent_at=found.sent_at,
        updated_at=found.updated_at,
    )
