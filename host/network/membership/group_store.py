"""Versions of member lists in the cluster's database; everything here was checked before."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from host.database.key_lists import in_parts
from host.database.prepared import Prepared, PreparedRow
from host.database.sql import Upsert
from host.domain.group_parameters import SignedGroupParameters
from host.domain.ids import ShortHash
from host.network.membership.network_tables import (
    GROUP_HEAD,
    GROUP_LOG,
    LOCAL_KEY,
    MEMBER_VERSION,
    NETWORK_KEY,
)
from host.network.membership.package import GroupForkError, ListState
from host.network.membership.parameters import signed_parameters
from host.network.membership.tables import GROUP_PARAMETERS
from host.network.values import contexts
from host.network.values.contexts import Context
from host.network.values.head import SignedHead
from host.network.values.member import SignedMember

_KEEP_MEMBER = Prepared(Upsert(table=MEMBER_VERSION, keep=True))
_KEEP_LOG = Prepared(Upsert(table=GROUP_LOG, keep=True))
_KEEP_HEAD = Prepared(Upsert(table=GROUP_HEAD, keep=True))
_KEEP_KEY = Prepared(Upsert(table=NETWORK_KEY, keep=True))
_PUT_LOCAL_KEY = Prepared(Upsert(table=LOCAL_KEY, replace=("spec",)))
_KINDS = (
    ("session", contexts.SESSION_KEYS),
    ("ledger", contexts.LEDGER_KEYS),
    ("notary", contexts.NOTARY_KEYS),
)


_NEWEST = Prepared(
    select(func.max(GROUP_HEAD.c.version).label("version")).where(
        GROUP_HEAD.c.realm == bindparam("of_realm")
    )
)
_HEADS = Prepared(
    select(GROUP_HEAD.c.content, GROUP_HEAD.c.signature)
    .where(
        GROUP_HEAD.c.realm == bindparam("of_realm"),
        GROUP_HEAD.c.version > bindparam("after"),
        GROUP_HEAD.c.version <= bindparam("upto"),
    )
    .order_by(GROUP_HEAD.c.version)
)
_DIGEST_AT = Prepared(
    select(GROUP_LOG.c.digest)
    .where(
        GROUP_LOG.c.realm == bindparam("of_realm"),
        GROUP_LOG.c.name == bindparam("of_name"),
        GROUP_LOG.c.version <= bindparam("upto"),
    )
    .order_by(GROUP_LOG.c.version.desc())
    .limit(1)
)
_MEMBER = Prepared(
    select(MEMBER_VERSION).where(
        MEMBER_VERSION.c.realm == bindparam("of_realm"),
        MEMBER_VERSION.c.digest == bindparam("of_digest"),
    )
)
_ENTRIES = Prepared(
    select(GROUP_LOG.c.version, GROUP_LOG.c.name, GROUP_LOG.c.digest)
    .where(
        GROUP_LOG.c.realm == bindparam("of_realm"),
        GROUP_LOG.c.version > bindparam("after"),
        GROUP_LOG.c.version <= bindparam("upto"),
    )
    .order_by(GROUP_LOG.c.version, GROUP_LOG.c.name)
)
_NAMES_OF_KEY = Prepared(
    select(NETWORK_KEY.c.name).where(
        NETWORK_KEY.c.realm == bindparam("of_realm"),
        NETWORK_KEY.c.kind == bindparam("of_kind"),
        NETWORK_KEY.c.key_digest == bindparam("of_digest"),
    )
)
_PARAMETERS = Prepared(
    select(GROUP_PARAMETERS).where(
        GROUP_PARAMETERS.c.realm == bindparam("of_realm"),
        GROUP_PARAMETERS.c.hash == bindparam("of_hash"),
    )
)


def newest_version(connection: Connection, realm: str) -> int:
    """The highest version of a realm's list; 0 for none."""
    return _NEWEST.value(connection, {"of_realm": realm}) or 0


def heads_between(
    connection: Connection, realm: str, after: int, upto: int
) -> Sequence[SignedHead]:
    """The heads of the versions after one, in order."""
    rows = _HEADS.all(connection, {"of_realm": realm, "after": after, "upto": upto})
    return [SignedHead(content=bytes(row.content), signature=bytes(row.signature)) for row in rows]


def head_hash(connection: Connection, realm: str, version: int) -> bytes:
    """The hash of a version's head; empty if it is not here."""
    found = heads_between(connection, realm, version - 1, version)
    return found[0].hash if found else b""


def entries_between(
    connection: Connection, realm: str, after: int, upto: int
) -> Sequence[tuple[int, str, bytes]]:
    """Version, name and digest of the changes after a version, in order."""
    rows = _ENTRIES.all(connection, {"of_realm": realm, "after": after, "upto": upto})
    return [(row.version, row.name, bytes.fromhex(row.digest)) for row in rows]


def list_state(connection: Connection, realm: str, version: int) -> ListState:
    """The list at a version."""
    if version == 0:
        return ListState(members={})
    return ListState(
        version=version,
        head_hash=head_hash(connection, realm, version),
        members={name: d for _, name, d in entries_between(connection, realm, 0, version)},
    )


def member_at(connection: Connection, realm: str, name: str, version: int) -> SignedMember | None:
    """A member's information at a version."""
    digest = _DIGEST_AT.value(connection, {"of_realm": realm, "of_name": name, "upto": version})
    if digest is None:
        return None
    row = _MEMBER.first(connection, {"of_realm": realm, "of_digest": digest})
    return None if row is None else _member(row)


def members_of(
    connection: Connection, realm: str, digests: Iterable[bytes]
) -> Mapping[bytes, SignedMember]:
    """What is stored of some digests."""
    found = dict[bytes, SignedMember]()
    for wanted in in_parts(sorted({digest.hex() for digest in digests})):
        query = select(MEMBER_VERSION).where(
            MEMBER_VERSION.c.realm == realm, MEMBER_VERSION.c.digest.in_(wanted)
        )
        for row in connection.execute(query):
            found[bytes.fromhex(row.digest)] = _member(row)
    return found


def names_of(connection: Connection, realm: str, digests: Iterable[bytes]) -> Mapping[bytes, str]:
    """Whose information is stored, of some digests."""
    found = dict[bytes, str]()
    for wanted in in_parts(sorted({digest.hex() for digest in digests})):
        query = select(MEMBER_VERSION.c.digest, MEMBER_VERSION.c.name).where(
            MEMBER_VERSION.c.realm == realm, MEMBER_VERSION.c.digest.in_(wanted)
        )
        found |= {bytes.fromhex(row.digest): row.name for row in connection.execute(query)}
    return found


def names_of_key(connection: Connection, realm: str, kind: str, digest: str) -> Sequence[str]:
    """Members that have, or had, a key."""
    values = {"of_realm": realm, "of_kind": kind, "of_digest": digest}
    return [row.name for row in _NAMES_OF_KEY.all(connection, values)]


def subject_digest(subject: str) -> str:
    """How the subject of a client certificate is stored among keys."""
    return f"SHA-256:{hashlib.sha256(subject.encode()).hexdigest()}"


def keep_member(connection: Connection, realm: str, found: SignedMember) -> None:
    """Store information whose signatures were checked, with its keys."""
    name = found.name
    _KEEP_MEMBER.run(
        connection,
        {
            "realm": realm,
            "digest": found.digest.hex(),
            "name": name,
            "member_context": found.member_context,
            "member_signature": found.member_signature,
            "mgm_context": found.mgm_context,
            "mgm_signature": found.mgm_signature,
        },
    )
    keys = [
        (kind, key.digest)
        for kind, prefix in _KINDS
        for key in contexts.keys_of(found.member, prefix)
    ]
    subject = found.member.get(contexts.TLS_SUBJECT)
    if subject is not None:
        keys.append(("tls", subject_digest(subject)))
    rows = [
        {"realm": realm, "kind": kind, "key_digest": digest, "name": name} for kind, digest in keys
    ]
    if rows:
        _KEEP_KEY.run(connection, rows)


def keep_local_keys(
    connection: Connection, realm: str, short_hash: ShortHash, context: Context
) -> None:
    """Store the session keys that a node here registers with."""
    rows = [
        {"realm": realm, "key_digest": key.digest, "short_hash": short_hash, "spec": key.spec}
        for key in contexts.keys_of(context, contexts.SESSION_KEYS)
    ]
    _PUT_LOCAL_KEY.run(connection, rows)


def keep_versions(
    connection: Connection,
    realm: str,
    heads: Sequence[SignedHead],
    entries: Sequence[tuple[int, str, bytes]],
) -> None:
    """Store heads and entries; the members that entries name must be stored.

    Raises:
        GroupForkError: another head of one of the versions is here.
    """
    for head in heads:
        version = head.head.version
        present = head_hash(connection, realm, version)
        if present and present != head.hash:
            raise GroupForkError(
                f"version {version}: the MGM has signed {present.hex()} and {head.hash.hex()}"
            )
        _KEEP_HEAD.run(
            connection,
            {
                "realm": realm,
                "version": version,
                "content": head.content,
                "signature": head.signature,
            },
        )
    members = members_of(connection, realm, [digest for _, _, digest in entries])
    rows = [
        {
            "realm": realm,
            "version": version,
            "name": name,
            "digest": digest.hex(),
            "status": members[digest].status.value,
        }
        for version, name, digest in entries
    ]
    if rows:
        _KEEP_LOG.run(connection, rows)


def parameters_of(connection: Connection, realm: str, wanted: str) -> SignedGroupParameters | None:
    """The group parameters with a hash."""
    row = _PARAMETERS.first(connection, {"of_realm": realm, "of_hash": wanted})
    return None if row is None else signed_parameters(row)


def parameters_at(connection: Connection, realm: str, version: int) -> SignedGroupParameters | None:
    """The group parameters that a version's head names."""
    heads = heads_between(connection, realm, version - 1, version)
    return parameters_of(connection, realm, heads[0].head.parameters) if heads else None


def _member(row: Row[Any] | PreparedRow) -> SignedMember:
    return SignedMember(
        member_context=bytes(row.member_context),
        member_signature=bytes(row.member_signature),
        mgm_context=bytes(row.mgm_context),
        mgm_signature=bytes(row.mgm_signature),
    )
