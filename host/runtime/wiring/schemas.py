"""The tables of the host's databases: every feature's, in one list for each file."""

from host import entities as persistence
from host import keys
from host.access import RBAC_SCHEMA
from host.access.sessions import SESSIONS_SCHEMA
from host.adapters.sqlite.node_files import UNIQUENESS, VAULT
from host.ledger.notary import register as notary
from host.ledger.notary import tables as uniqueness
from host.ledger.vault import tables as ledger
from host.network import hosted, membership
from host.network.location import tables as location
from host.network.membership import network_tables
from host.nodes import quotas, vnode
from host.nodes.audit_log import administrative
from host.nodes.packages.tables import PACKAGES
from host.settings import store
from host.vault.idempotency import REQUESTS

CLUSTER_SCHEMAS = (
    PACKAGES,
    RBAC_SCHEMA,
    SESSIONS_SCHEMA,
    keys.SCHEMA,
    membership.SCHEMA,
    network_tables.SCHEMA,
    hosted.SCHEMA,
    location.SCHEMA,
    vnode.SCHEMA,
    notary.SCHEMA,
    quotas.SCHEMA,
    administrative.SCHEMA,
    store.SCHEMA,
)
"""Tables of `cluster.sqlite`."""
VAULT_SCHEMAS = (REQUESTS, ledger.SCHEMA, persistence.SCHEMA)
"""Tables of every node's `vault.sqlite`."""
NOTARY_SCHEMAS = (uniqueness.SCHEMA,)
"""Tables of every notary's `uniqueness.sqlite`."""
NODE_SCHEMAS = {VAULT: VAULT_SCHEMAS, UNIQUENESS: NOTARY_SCHEMAS}
"""Tables of each kind of node's database."""
