"""Pre-auth tokens of an MGM, as rows."""

from typing import Any

from sqlalchemy import Connection, select

from host.domain.ids import EpochMs, ShortHash
from host.domain.x500 import MemberX500Name
from host.network.membership.network_tables import MGM_TOKEN
from host.ports.mgm import PreAuthToken, TokenStatus


def find_token(connection: Connection, mgm: ShortHash, token_id: str) -> PreAuthToken | None:
    """A token of an MGM."""
    query = select(MGM_TOKEN).where(MGM_TOKEN.c.short_hash == mgm, MGM_TOKEN.c.token_id == token_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else token_of(row)


def token_of(row: Any) -> PreAuthToken:
    """The token that a row holds."""
    return PreAuthToken(
        token_id=row.token_id,
        owner=MemberX500Name.parse(row.owner),
        status=TokenStatus(row.status),
        ttl_at=None if row.ttl_at is None else EpochMs(row.ttl_at),
        creation_remark=row.creation_remark,
        removal_remark=row.removal_remark,
    )
