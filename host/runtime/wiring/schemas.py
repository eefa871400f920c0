"""The tables of the host's databases: every feature's, in one list for each file."""

from host import entities as persistence
from host import keys, ledger
from host.access import RBAC_SCHEMA
from host.network import membership
from host.nodes import quotas, vnode
from host.nodes.audit_log import administrative
from host.nodes.packages.tables import PACKAGES
from host.settings import store
from host.vault.idempotency import REQUESTS

CLUSTER_SCHEMAS = (
    PACKAGES,
    RBAC_SCHEMA,
    keys.SCHEMA,
    membership.SCHEMA,
    vnode.SCHEMA,
    quotas.SCHEMA,
    administrative.SCHEMA,
    store.SCHEMA,
)
"""Tables of `cluster.sqlite`."""
VAULT_SCHEMAS = (REQUESTS, ledger.SCHEMA, persistence.SCHEMA)
"""Tables of every node's `vault.sqlite`."""
