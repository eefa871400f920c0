"""Databases of virtual nodes over REST: the SQL that makes them, and connections of one's own.

The host makes these databases itself, at their first use. With PostgreSQL an administrator may run
the SQL before; embedded, a database is a file. Keys of nodes are in the cluster's own database.
"""

from collections.abc import Mapping
from dataclasses import fields
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field

from host.domain.errors import InvalidInputError
from host.domain.json import camel_case
from host.domain.packages import CpiRecord
from host.rest.operation import RawText, resource
from host.rest.parameters import CpiShortHash, NodeHash
from host.rest.services import Services
from host.rest.virtual_node import AsyncResponse
from host.rest.wire import wire

router = resource("Virtual Node")

_FILE = """\
-- The {called} of a virtual node is a file in the data directory, which the host makes at its first
-- use: there is no SQL to run.
"""
_CRYPTO = """\
-- Keys of virtual nodes are in the cluster's own database, encrypted: there is no SQL to run.
"""
_CPI = """\
-- Entities of CPI {name} {version} that this vault holds, in the tables below, as JSON: {entities}.
-- The host makes the indexes of their queries when the virtual node first uses its vault.
"""
_UPGRADE = """\
-- From CPI {old} to CPI {new}: the tables of vaults are the same for all CPIs, there is no SQL to
-- run. PUT /virtualnode/{node}/cpi/{target} migrates the entities, all or none: {entities}.
"""

Connection = Annotated[
    Any, Field(description="A JSON object, or its JSON as a string; null leaves it as it is.")
]


class VaultDatabaseUnknownError(InvalidInputError):
    """A connection names a database that the host does not offer to virtual nodes."""

    code = "vault-database-unknown"


@wire
class UpdateVirtualNodeDbRequest:
    """Connections of the virtual node's databases, as Corda's clients send them."""

    vault_ddl_connection: Connection = None
    vault_dml_connection: Connection = None
    crypto_ddl_connection: Connection = None
    crypto_dml_connection: Connection = None
    uniqueness_ddl_connection: Connection = None
    uniqueness_dml_connection: Connection = None


@router.get("/virtualnode/create/db/crypto", response_class=RawText)
def get_crypto_sql() -> RawText:
    """Give the SQL that makes a virtual node's database of keys: none, the host keeps them."""
    return RawText(_CRYPTO)


@router.get("/virtualnode/create/db/uniqueness", response_class=RawText)
def get_uniqueness_sql(services: Services) -> RawText:
    """Give the SQL that makes a notary's database, which the host else makes by itself."""
    return RawText(services.uniqueness_sql() or _FILE.format(called="database of spent states"))


@router.get("/virtualnode/create/db/vault/{cpichecksum}", response_class=RawText)
def get_vault_sql(cpichecksum: CpiShortHash, services: Services) -> RawText:
    """Give the SQL that makes a vault for a CPI, which the host else makes by itself."""
    cpi = services.cpi(cpichecksum)
    about = _CPI.format(
        name=cpi.identity.name,
        version=cpi.identity.version,
        entities=", ".join(sorted(_entities(cpi))) or "none",
    )
    return RawText(about + (services.vault_sql() or _FILE.format(called="vault")))


@router.get(
    "/virtualnode/{virtualnodeshortid}/db/vault/{newcpichecksum}",
    response_class=RawText,
)
def get_upgrade_sql(
    virtualnodeshortid: NodeHash, newcpichecksum: CpiShortHash, services: Services
) -> RawText:
    """Tell what an upgrade to another CPI changes in a vault; the host does it in the upgrade."""
    node = services.virtual_node(virtualnodeshortid)
    old, new = services.cpi_of(node), services.cpi(newcpichecksum)
    before, after = _entities(old), _entities(new)
    changes = (
        f"{name} from version {before[name]} to {version}" if name in before else f"{name} is new"
        for name, version in sorted(after.items())
        if before.get(name) != version
    )
    return RawText(
        _UPGRADE.format(
            old=f"{old.identity.name} {old.identity.version}",
            new=f"{new.identity.name} {new.identity.version}",
            node=node.holding.short_hash,
            target=newcpichecksum,
            entities=", ".join(changes) or "none changes",
        )
    )


@router.put("/virtualnode/{virtualnodeshortid}/db", status_code=HTTPStatus.ACCEPTED)
def put_virtual_node_db(
    virtualnodeshortid: NodeHash, request: UpdateVirtualNodeDbRequest, services: Services
) -> AsyncResponse:
    """Refuse other databases for a virtual node: a host offers none but the cluster's own."""
    services.virtual_node(virtualnodeshortid)
    given = [field.name for field in fields(request) if getattr(request, field.name) is not None]
    raise VaultDatabaseUnknownError(
        f"virtual node {virtualnodeshortid}: {', '.join(map(camel_case, given)) or 'no connection'}"
        " cannot be used: this host offers virtual nodes no database but the cluster's own"
    )


def _entities(cpi: CpiRecord) -> Mapping[str, int]:
    """The versions of a CPI's entities, by name."""
    return {each.name: each.version for cpk in cpi.cpks for each in cpk.entities}
