"""Virtual nodes created under an older spelling of their name, which gave another short hash."""

import structlog
from sqlalchemy import or_, select

from host.domain.ids import HoldingIdentity
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.nodes.vnode.tables import VIRTUAL_NODE
from host.ports.database import SqlDatabase

_log = structlog.get_logger("cordbox.nodes")


def warn_of_other_forms(database: SqlDatabase) -> int:
    """Log each node whose name no longer gives its short hash; returns their number.

    Earlier releases wrote special characters of names with a backslash, where Java quotes the
    value. Only such names, and those with two spaces in a row, are spelled differently now.
    """
    name = VIRTUAL_NODE.c.x500_name
    query = select(VIRTUAL_NODE.c.short_hash, name, VIRTUAL_NODE.c.group_id).where(
        or_(name.contains("\\", autoescape=True), name.contains("  "))
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    found = [row for row in rows if _short_hash(row.x500_name, row.group_id) != row.short_hash]
    for row in found:
        _log.error(
            "node-name-of-other-form",
            holding_id=row.short_hash,
            name=row.x500_name,
            expected=_short_hash(row.x500_name, row.group_id),
        )
    return len(found)


def _short_hash(name: str, group_id: str) -> str | None:
    try:
        return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group_id).short_hash
    except InvalidX500NameError:
        return None
