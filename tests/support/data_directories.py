"""Small data directories, made by the host's own parts, without running a host."""

import hashlib
from contextlib import contextmanager

from sqlalchemy import insert

from host.adapters.files.data_directory import DataDirectory
from host.adapters.files.identity import Keeping
from host.adapters.os.system import SystemClock, SystemEntropy
from host.adapters.sqlite.database import Database
from host.adapters.sqlite.node_databases import NodeDatabases
from host.adapters.sqlite.node_files import UNIQUENESS
from host.adapters.sqlite.store import SqliteStore
from host.adapters.sqlite.vaults import Vaults
from host.domain.ids import FlowId, HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.keys import MasterKeyFiles, SoftKeyStore
from host.ledger.notary.model import Check, UniquenessRequest
from host.ledger.notary.register import MadeNotaries
from host.ledger.notary.service import UniquenessService
from host.nodes.audit_log import NodeAuditLogs
from host.nodes.audit_log.service import load_audit_key
from host.nodes.packages.tables import CPI
from host.nodes.vnode import MadeVaults
from host.nodes.vnode.tables import VIRTUAL_NODE
from host.ports.audit_log import PrivilegedCall
from host.ports.keys import KeyCategory
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, NOTARY_SCHEMAS, VAULT_SCHEMAS
from host.vault.idempotency import remember_answer

GROUP = "6a5ed29c-0b0b-4ad6-8f0e-8c3b1b2b3c4d"


def holding(name):
    return HoldingIdentity(
        x500_name=MemberX500Name.parse(f"O={name}, L=London, C=GB"), group_id=GROUP
    )


ALICE, BOB = holding("Alice"), holding("Bob")
PACKAGE = b"the bytes of a package"
CHECKSUM = "SHA-256:" + hashlib.sha256(PACKAGE).hexdigest().upper()


class Parts:
    """The stores of a data directory, open."""

    def __init__(self, folder):
        self.clock, self.entropy = SystemClock(), SystemEntropy()
        self.directory = DataDirectory.hold(folder)
        self.keeping = Keeping(folder)
        marks = self.directory.marks
        self.store = SqliteStore(self.directory.flow_database, mark=marks.of("flows.sqlite"))
        self.database = Database.open(
            self.directory.cluster_database, CLUSTER_SCHEMAS, mark=marks.of("cluster.sqlite")
        )
        self.register = MadeVaults(database=self.database, clock=self.clock)
        self.vaults = Vaults(
            self.directory.virtual_nodes,
            VAULT_SCHEMAS,
            register=self.register,
            cluster_id=self.directory.identity.cluster_id,
            marks=marks,
        )
        self.notaries = NodeDatabases(
            UNIQUENESS,
            self.directory.virtual_nodes,
            NOTARY_SCHEMAS,
            register=MadeNotaries(database=self.database, vaults=self.register, clock=self.clock),
            cluster_id=self.directory.identity.cluster_id,
            marks=marks,
        )
        key = load_audit_key(
            self.directory.secrets,
            entropy=self.entropy,
            logs=self.directory.virtual_nodes,
            newest_act=None,
        )
        self.logs = NodeAuditLogs(
            self.directory.virtual_nodes,
            key=key,
            clock=self.clock,
            known_end=self.register.audit_end,
        )
        masters = MasterKeyFiles(self.directory.secrets, passphrase=None, entropy=self.entropy)
        self.keys = SoftKeyStore(
            self.database, masters=masters, clock=self.clock, entropy=self.entropy
        )
        self.keeping.begin()

    def close(self):
        self.logs.close()
        self.register.note_audit_ends(self.logs.take_ends())
        self.notaries.close()
        self.vaults.close()
        self.database.close()
        self.store.close()
        self.keeping.__exit__(None, None, None)
        self.directory.release()

    def add_node(self, node):
        row = filled(VIRTUAL_NODE) | {
            "short_hash": node.short_hash,
            "x500_name": str(node.x500_name),
            "group_id": node.group_id,
            "cpi_checksum": CHECKSUM,
            "granted_capabilities": "[]",
            "created_at": 1,
        }
        self.database.transact(lambda connection: connection.execute(insert(VIRTUAL_NODE), row))
        self.keys.create(node.short_hash, KeyCategory.LEDGER, "ledger", "CORDA.ECDSA.SECP256R1")

    def add_package(self):
        self.directory.packages.mkdir(mode=0o700, exist_ok=True)
        file = self.directory.packages / f"{CHECKSUM.removeprefix('SHA-256:')}.cpi"
        file.write_bytes(PACKAGE)
        file.chmod(0o600)
        row = filled(CPI) | {"file_checksum": CHECKSUM, "cpks": "[]", "stored_at": 1}
        self.database.transact(lambda connection: connection.execute(insert(CPI), row))
        return file

    def write(self, node, flow="f", call=1):
        """An effect in a node's vault, and its line in the node's audit log."""
        self.vaults.transact(
            node.short_hash,
            lambda connection: remember_answer(connection, f"call:{flow}-{call}", {}, {}, 1),
        )
        log_call(self.logs, node, call, flow)


def filled(table):
    """Any values for the columns of a table that need one."""
    needed = [column for column in table.columns if not column.nullable]
    return {c.name: "x" if c.type.python_type is str else c.type.python_type() for c in needed}


def notarise(parts, node, number):
    """Have a node notarise an issuance, as a notary does."""
    request = UniquenessRequest(
        check=Check.WRITE,
        id=f"SHA-256D:{number:064X}",
        inputs=(),
        references=(),
        output_count=1,
        lower=None,
        upper="2999-01-01T00:00:00.000000Z",
        originator=str(node.x500_name),
    )
    service = UniquenessService(databases=parts.notaries, clock=parts.clock)
    assert service.check(node.short_hash, request).is_accepted


def log_call(logs, node, call, flow="f"):
    """The line of an effect in a node's audit log."""
    logs.record(
        PrivilegedCall(
            holding=node,
            cpi=CHECKSUM,
            flow_id=FlowId(flow),
            flow_class="x.Y",
            call=call,
            function="persistence.write",
            request_digest="SHA-256:0",
            outcome="ok",
        )
    )


@contextmanager
def parts_of(folder):
    parts = Parts(folder)
    try:
        yield parts
    finally:
        parts.close()


def make_directory(folder):
    """A directory of two nodes, a package, keys, and some effects."""
    with parts_of(folder) as parts:
        parts.add_package()
        for node in (ALICE, BOB):
            parts.add_node(node)
            for call in (1, 2, 3):
                parts.write(node, call=call)
    return folder
