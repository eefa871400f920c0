"""The roles of a database that hosts share: who owns the tables, and who uses them.

The owner cannot log in: an administrator takes on its role to make tables. Hosts log in by a role
that reads and writes rows alone. The tables of each node belong to a role of their own, which hosts
take on for a transaction (`make_node_schema` in `functions.sql`).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator

from pg8000.native import identifier, literal

from host.domain.errors import StorageError
from plugins.postgres.connections import Access, Session, Sessions

OWNER = "cordbox_owner"
_ITERATIONS = 4096
"""Of a stored password; PostgreSQL's default."""
_FLAGS = (
    "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolinherit, rolreplication"
    " FROM pg_roles WHERE rolname = :r"
)
_OWNER_OF = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = :s"
_SET_CONFIG = "pg_catalog.set_config(text, text, boolean)"
_ROWS = "SELECT, INSERT, UPDATE, DELETE"


class RoleUnsuitableError(StorageError):
    """The role of hosts has more rights than that to rows, so that a wall is missing."""

    code = "database-role-unsuitable"


def make_roles(session: Session, *, owner: str, host: str, password: str | None) -> None:
    """Make the roles that are missing, and give the database to its owner. Within a transaction.

    Args:
        session: an administrator's.
        owner: a role that cannot log in.
        host: the role by which hosts log in.
        password: of a host's role that is made; None if the server knows it otherwise.

    Raises:
        RoleUnsuitableError: the host's role is there, and has further rights.
    """
    if not session.run(_FLAGS, r=owner):
        session.simple(f"CREATE ROLE {identifier(owner)} NOLOGIN CREATEROLE")
    if not session.run(_FLAGS, r=host):
        known = "" if password is None else f" PASSWORD {literal(stored_password(password))}"
        session.simple(f"CREATE ROLE {identifier(host)} LOGIN NOINHERIT{known}")
    check_rights(session, host)
    ((database, administrator),) = session.run("SELECT current_database(), current_user")
    for statement in _database_statements(database, owner=owner, host=host, by=administrator):
        session.simple(statement)


def _database_statements(database: str, *, owner: str, host: str, by: str) -> Iterator[str]:
    quoted = identifier(database)
    if by != owner:
        yield f"GRANT {identifier(owner)} TO {identifier(by)}"
    yield f"ALTER DATABASE {quoted} OWNER TO {identifier(owner)}"
    # Nodes may not make temporary tables, which statements would see before those of their schema.
    yield f"REVOKE ALL ON DATABASE {quoted} FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {quoted} TO {identifier(host)}"


def close_role_changes(session: Session, owner: str) -> bool:
    """Take from nodes the function by which a query could change its role.

    Returns:
        False if the administrator may not: only a superuser may.
    """
    ((is_super,),) = session.run("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if is_super:
        session.simple(f"REVOKE EXECUTE ON FUNCTION {_SET_CONFIG} FROM PUBLIC")
        session.simple(f"GRANT EXECUTE ON FUNCTION {_SET_CONFIG} TO {identifier(owner)}")
    return bool(is_super)


def grant_rows(access: Access, schemas: Iterable[str], host: str) -> None:
    """Let hosts use the rows of all tables, and nothing else of them.

    Args:
        access: the owner's.
        schemas: of PostgreSQL, whose tables are made.
        host: the role of hosts.

    Raises:
        StorageError: the database cannot be written.
    """
    to = identifier(host)

    def grant(session: Session) -> None:
        with session.transaction():
            for schema in schemas:
                session.simple(f"GRANT USAGE ON SCHEMA {schema} TO {to}")
                session.simple(f"GRANT {_ROWS} ON ALL TABLES IN SCHEMA {schema} TO {to}")
                session.simple(
                    f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO {to}"
                )
                session.simple(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {to}")
                session.simple(
                    f"REVOKE INSERT, UPDATE, DELETE ON {schema}.schema_version FROM {to}"
                )

    sessions = Sessions(access)
    try:
        sessions.use(grant)
    finally:
        sessions.close()


def check_host_role(access: Access) -> None:
    """Refuse a role with which a host could do more than use rows.

    Raises:
        RoleUnsuitableError: names the right.
        StorageError: the database cannot be used.
    """
    sessions = Sessions(access)
    try:
        sessions.read(lambda session: check_rights(session, access.address.user))
    finally:
        sessions.close()


def check_rights(session: Session, role: str) -> None:
    """Refuse a role of hosts that has further rights.

    Raises:
        RoleUnsuitableError: names the right.
    """
    ((is_super, makes_roles, makes_databases, bypasses, inherits, replicates),) = session.run(
        _FLAGS, r=role
    )
    found = {
        "is a superuser": is_super,
        "may make roles (CREATEROLE)": makes_roles,
        "may make databases (CREATEDB)": makes_databases,
        "bypasses row security (BYPASSRLS)": bypasses,
        "may replicate (REPLICATION)": replicates,
        "has the rights of all nodes at once (INHERIT)": inherits,
    }
    for right, has_it in found.items():
        if has_it:
            raise RoleUnsuitableError(
                f"role {role} {right}, expected a role that `cordbox database init` makes: it may"
                " log in, does not inherit, and has no further right"
            )


def owner_of(session: Session, schema: str) -> str | None:
    """The role that owns a schema of PostgreSQL; None if there is no such schema."""
    rows = session.run(_OWNER_OF, s=schema)
    return str(rows[0][0]).strip('"') if rows else None


def stored_password(password: str) -> str:
    """What PostgreSQL stores of a password (SCRAM-SHA-256, RFC 5803): it is never sent in plain.

    Raises:
        RoleUnsuitableError: it has other characters than printable ASCII ones, which clients
            normalise in different ways.
    """
    if not (password.isascii() and password.isprintable()):
        raise RoleUnsuitableError("the password of a new role may have printable ASCII alone")
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(_mac(salted, b"Client Key")).digest()
    texts = (
        base64.b64encode(each).decode() for each in (salt, stored, _mac(salted, b"Server Key"))
    )
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *texts)


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
