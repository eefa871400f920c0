"""The tables of the host's databases: every feature's, in one list for each file."""

from host import keys, ledger, membership, persistence, quotas, vnode
from host.audit_log import administrative
from host.db.requests import REQUESTS
from host.packages.tables import PACKAGES
from host.rbac import RBAC_SCHEMA
from host.settings import store

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
