"""Tables of dynamic networks: versions of member lists, views of them, and an MGM's work."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from host.ports.database import EVERY, REMEMBERED, Schema

_METADATA = MetaData()
_NAME = String(1024)

MEMBER_VERSION = Table(
    "member_version",
    _METADATA,
    Column("realm", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("name", _NAME, nullable=False),
    Column("member_context", LargeBinary, nullable=False),
    Column("member_signature", LargeBinary, nullable=False),
    Column("mgm_context", LargeBinary, nullable=False),
    Column("mgm_signature", LargeBinary, nullable=False),
)
"""Information of members whose signatures were checked; stored once for all viewers."""

GROUP_LOG = Table(
    "group_log",
    _METADATA,
    Column("realm", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("status", String(16), nullable=False),
)
"""At a version a member got the information with a digest."""
Index("group_log_name", GROUP_LOG.c.realm, GROUP_LOG.c.name, GROUP_LOG.c.version)

GROUP_HEAD = Table(
    "group_head",
    _METADATA,
    Column("realm", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

NETWORK_KEY = Table(
    "network_key",
    _METADATA,
    Column("realm", String(64), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("key_digest", String(80), primary_key=True),
    Column("name", _NAME, primary_key=True),
)
"""Members that have, or had, a key; `kind` is session, ledger or notary, the digest SHA-256:HEX.

Kind `tls` has subjects of client certificates instead, by the SHA-256 of their text.
"""

LOCAL_KEY = Table(
    "network_local_key",
    _METADATA,
    Column("realm", String(64), primary_key=True),
    Column("key_digest", String(80), primary_key=True),
    Column("short_hash", String(12), primary_key=True),
    Column("spec", String(64), nullable=False),
    info=REMEMBERED,
)
"""Session keys that nodes here have registered, and the spec of their signatures."""

MEMBER_VIEW = Table(
    "member_view",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("realm", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("own_digest", String(64)),
    Column("synced_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("fork_at", BigInteger),
    info=REMEMBERED,
)
"""What a node sees: a version of its realm's list; with `own_digest` itself alone (suspended)."""
Index("member_view_due", MEMBER_VIEW.c.due_at)
Index("member_view_realm", MEMBER_VIEW.c.realm)

NETWORK_REGISTRATION = Table(
    "network_registration",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("registration_id", String(36), primary_key=True),
    Column("side", String(8), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("status", String(32), nullable=False),
    Column("reason", Text),
    Column("user_reason", Text),
    Column("serial", Integer),
    Column("member_context", LargeBinary, nullable=False),
    Column("member_signature", LargeBinary, nullable=False),
    Column("registration_context", LargeBinary, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("session_key", String(80)),
)
"""Requests of a node (side `member`), and those that an MGM has received (side `mgm`).

`session_key` is the digest, SHA-256:HEX, of the key that signed a request at the MGM.
"""
Index(
    "network_registration_name",
    NETWORK_REGISTRATION.c.short_hash,
    NETWORK_REGISTRATION.c.name,
    NETWORK_REGISTRATION.c.sent_at,
)
Index("network_registration_due", NETWORK_REGISTRATION.c.due_at)
Index(
    "network_registration_key",
    NETWORK_REGISTRATION.c.short_hash,
    NETWORK_REGISTRATION.c.session_key,
)

MGM_GROUP = Table(
    "mgm_group",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("realm", String(64), nullable=False),
    Column("group_id", String(64), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("policy", Text, nullable=False),
    Column("mgm_key", Text, nullable=False),
    Column("spec", String(64), nullable=False),
    Column("ecdh_key", Text, nullable=False),
    info=REMEMBERED,
)

MGM_RULE = Table(
    "mgm_rule",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("rule_id", String(36), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("regex", Text, nullable=False),
    Column("label", Text),
)

MGM_TOKEN = Table(
    "mgm_token",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("token_id", String(36), primary_key=True),
    Column("owner", _NAME, nullable=False),
    Column("status", String(16), nullable=False),
    Column("ttl_at", BigInteger),
    Column("creation_remark", Text),
    Column("removal_remark", Text),
)

MGM_SUBJECT = Table(
    "mgm_subject",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("subject", _NAME, primary_key=True),
    info=REMEMBERED,
)

MGM_RECIPIENT = Table(
    "mgm_recipient",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("serial", Integer, nullable=False),
    Column("acked_version", BigInteger, nullable=False),
    Column("acked_serial", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
)
"""To whom an MGM distributes: `due_at` is when the next package may go, if one is needed."""

MGM_TABLES = (MGM_GROUP, MGM_RULE, MGM_TOKEN, MGM_SUBJECT, MGM_RECIPIENT)
"""What an MGM has beside its list; its column `short_hash` names it."""

OUTBOX = Table(
    "network_outbox",
    _METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("message", LargeBinary, nullable=False),
)
"""Messages that `p2p.out` does not have yet: another database, so they are relayed."""

PACKAGE_PART = Table(
    "package_part",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
    Column("package_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""Parts of packages that are not whole yet."""

UPGRADED_NODE = Table(
    "upgraded_node",
    _METADATA,
    Column("short_hash", String(12), primary_key=True),
)
"""Nodes that got another CPI: the member's information is to name it."""

_UPGRADED = (
    "CREATE TABLE upgraded_node (short_hash VARCHAR(12) NOT NULL, PRIMARY KEY (short_hash))",
)

SCHEMA = Schema(name="network", metadata=_METADATA, version=2, migrations={1: {EVERY: _UPGRADED}})
