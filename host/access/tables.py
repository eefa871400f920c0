"""Tables of users, roles and permissions in the cluster's database.

Their rows are cached in memory by each process; a write to one changes the database's revision, so
that the next request of any process reads them again.
"""

import sqlalchemy as sql

from host.ports.database import EVERY, REMEMBERED, Schema

_METADATA = sql.MetaData()
USERS = sql.Table(
    "rest_user",
    _METADATA,
    sql.Column("login_name", sql.Text, primary_key=True),
    sql.Column("id", sql.Text, nullable=False),
    sql.Column("full_name", sql.Text, nullable=False),
    sql.Column("password_hash", sql.Text, nullable=False),
    sql.Column("password_expiry", sql.BigInteger),
    sql.Column("enabled", sql.Boolean, nullable=False),
    sql.Column("permissions", sql.Text, nullable=False),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("updated_at", sql.BigInteger, nullable=False),
    sql.Column("parent_group", sql.Text),
    info=REMEMBERED,
)
ROLES = sql.Table(
    "rest_role",
    _METADATA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("name", sql.Text, nullable=False, unique=True),
    sql.Column("group_visibility", sql.Text),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("updated_at", sql.BigInteger, nullable=False),
    info=REMEMBERED,
)
PERMISSIONS = sql.Table(
    "rest_permission",
    _METADATA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("effect", sql.Text, nullable=False),
    sql.Column("pattern", sql.Text, nullable=False),
    sql.Column("virtual_node", sql.Text),
    sql.Column("group_visibility", sql.Text),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("updated_at", sql.BigInteger, nullable=False),
    sql.Index("rest_permission_pattern", "effect", "pattern", "id"),
    info=REMEMBERED,
)
ROLE_PERMISSIONS = sql.Table(
    "rest_role_permission",
    _METADATA,
    sql.Column("role_id", sql.Text, sql.ForeignKey("rest_role.id"), primary_key=True),
    sql.Column("permission_id", sql.Text, sql.ForeignKey("rest_permission.id"), primary_key=True),
    sql.Column("created_at", sql.BigInteger, nullable=False),
    info=REMEMBERED,
)
USER_ROLES = sql.Table(
    "rest_user_role",
    _METADATA,
    sql.Column("login_name", sql.Text, sql.ForeignKey("rest_user.login_name"), primary_key=True),
    sql.Column("role_id", sql.Text, sql.ForeignKey("rest_role.id"), primary_key=True),
    sql.Column("created_at", sql.BigInteger, nullable=False),
    info=REMEMBERED,
)
PROPERTIES = sql.Table(
    "rest_user_property",
    _METADATA,
    sql.Column("login_name", sql.Text, sql.ForeignKey("rest_user.login_name"), primary_key=True),
    sql.Column("key", sql.Text, primary_key=True),
    sql.Column("value", sql.Text, nullable=False),
    sql.Column("changed_at", sql.BigInteger, nullable=False),
    sql.Index("rest_user_property_value", "key", "value"),
    info=REMEMBERED,
)
GROUPS = sql.Table(
    "rest_group",
    _METADATA,
    sql.Column("id", sql.Text, primary_key=True),
    sql.Column("name", sql.Text, nullable=False, unique=True),
    sql.Column("parent_group", sql.Text),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("updated_at", sql.BigInteger, nullable=False),
    info=REMEMBERED,
)
GROUP_ROLES = sql.Table(
    "rest_group_role",
    _METADATA,
    sql.Column("group_id", sql.Text, sql.ForeignKey("rest_group.id"), primary_key=True),
    sql.Column("role_id", sql.Text, sql.ForeignKey("rest_role.id"), primary_key=True),
    sql.Column("created_at", sql.BigInteger, nullable=False),
    info=REMEMBERED,
)
_GROUPS_ADDED = (
    "ALTER TABLE rest_user ADD COLUMN parent_group TEXT",
    (
        "CREATE TABLE rest_group (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
        " parent_group TEXT, version INTEGER NOT NULL, updated_at BIGINT NOT NULL)"
    ),
    (
        "CREATE TABLE rest_group_role (group_id TEXT NOT NULL REFERENCES rest_group (id),"
        " role_id TEXT NOT NULL REFERENCES rest_role (id), created_at BIGINT NOT NULL,"
        " PRIMARY KEY (group_id, role_id))"
    ),
)
RBAC_SCHEMA = Schema(
    name="rbac", metadata=_METADATA, version=2, migrations={1: {EVERY: _GROUPS_ADDED}}
)
"""The tables that users, roles and permissions need in the cluster's database."""
