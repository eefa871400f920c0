"""Rows of a node's network that came with its file: each is its own, and can be read.

The registers are those of all nodes. A row that cannot be read would stop work that goes over the
rows of all, and one that names the realm of another network's MGM would be taken for that MGM's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Table

from cpi.errors import CpiError
from host.domain.errors import HostError
from host.domain.group_parameters import realm_of
from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.network.hosted import HOSTED_IDENTITY, check_stored
from host.network.membership.network_access import group_of
from host.network.membership.network_policy import read_network_policy
from host.network.membership.network_registrations import MEMBER_SIDE, MGM_SIDE, registration_of
from host.network.membership.network_tables import (
    LOCAL_KEY,
    MGM_GROUP,
    MGM_RECIPIENT,
    MGM_RULE,
    MGM_SUBJECT,
    MGM_TOKEN,
    NETWORK_REGISTRATION,
)
from host.network.membership.requests import request_of
from host.network.membership.tables import REGISTRATION
from host.network.membership.tokens import token_of
from host.ports.keys import KeyInfo, KeyStore
from host.ports.mgm import RuleKind
from host.ports.node_contents import NodeItemInvalidError
from host.ports.public_keys import PublicKeys

_REFUSALS = (HostError, CpiError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


class ArrivingRows:
    """Judges the rows of a node, whose keys were loaded before.

    Args:
        keys: have its keys.
        public_keys: tell their digests.
    """

    def __init__(self, keys: KeyStore, public_keys: PublicKeys) -> None:
        self._keys = keys
        self._public_keys = public_keys
        self._checks: Mapping[Table, Callable[[HoldingIdentity, Any], bool]] = {
            HOSTED_IDENTITY: self._is_setup,
            LOCAL_KEY: self._is_key,
            NETWORK_REGISTRATION: self._is_request,
            REGISTRATION: self._is_static_request,
            MGM_GROUP: self._is_group,
            MGM_RULE: self._is_rule,
            MGM_TOKEN: self._is_token,
            MGM_SUBJECT: self._is_subject,
            MGM_RECIPIENT: self._is_recipient,
        }

    def check(self, holding: HoldingIdentity, table: Table, row: Mapping[str, Any]) -> None:
        """Refuse a row that is not the node's, or that cannot be read.

        Raises:
            NodeItemInvalidError: names its table.
        """
        values = {column.name: row.get(column.name) for column in table.columns}
        reason = "it is not the virtual node's"
        try:
            found = self._checks[table](holding, SimpleNamespace(**values))
        except _REFUSALS as exc:
            found, reason = False, f"{type(exc).__name__}: {str(exc)[:200]}"
        if not found:
            raise NodeItemInvalidError(f"a row of table {table.name} cannot be used: {reason}")

    def _own(self, holding: HoldingIdentity) -> Sequence[KeyInfo]:
        return self._keys.list(holding.short_hash)

    def _is_setup(self, holding: HoldingIdentity, row: Any) -> bool:
        return check_stored(holding.short_hash, row)

    def _is_key(self, holding: HoldingIdentity, row: Any) -> bool:
        found = [
            key.public_key
            for key in self._own(holding)
            if self._public_keys.digest(key.public_key) == row.key_digest
        ]
        return bool(found) and self._fits(found[0], row.spec)

    def _is_request(self, holding: HoldingIdentity, row: Any) -> bool:
        request = registration_of(row)
        own = request.name == str(holding.x500_name)
        MemberX500Name.parse(request.name)
        json.loads(request.member_context)
        json.loads(request.registration_context)
        return request.side == MGM_SIDE or (request.side == MEMBER_SIDE and own)

    def _is_static_request(self, _holding: HoldingIdentity, row: Any) -> bool:
        return isinstance(request_of(row).context, dict)

    def _is_group(self, holding: HoldingIdentity, row: Any) -> bool:
        group = group_of(row)
        wanted = [group.signer.mgm_key, group.ecdh_key]
        found = self._keys.find_mine(holding.short_hash, wanted)
        return (
            group.holding == holding
            and read_network_policy(group.policy).is_mutual == group.is_mutual
            and group.signer.realm == realm_of(holding.group_id, group.signer.mgm_key)
            and self._fits(group.signer.mgm_key, group.signer.spec)
            and list(found) == wanted
        )

    def _is_rule(self, _holding: HoldingIdentity, row: Any) -> bool:
        return bool(RuleKind(row.kind))

    def _is_token(self, _holding: HoldingIdentity, row: Any) -> bool:
        return bool(token_of(row).token_id)

    def _is_subject(self, _holding: HoldingIdentity, row: Any) -> bool:
        return bool(row.subject)

    def _is_recipient(self, _holding: HoldingIdentity, row: Any) -> bool:
        MemberX500Name.parse(row.name)
        return bool(MemberStatus(row.status))

    def _fits(self, public_key: str, spec: str) -> bool:
        self._public_keys.verify(public_key, b"", b"", spec)
        return True
