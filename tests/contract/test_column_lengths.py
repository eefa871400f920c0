"""The longest value that the host lets in fits each column: PostgreSQL refuses what SQLite takes."""

import pytest
from sqlalchemy import Boolean, Integer, LargeBinary, String, Text, insert, select
from sqlalchemy.dialects import postgresql

from cpi.package.member_names import NAME_CHARACTERS_MAX
from host.adapters.sqlite.database import Database
from host.database.claims import Claimant
from host.domain.accounts import Account, hit_of
from host.domain.ids import CHECKSUM_CHARACTERS, HOST_NAME_CHARACTERS
from host.domain.membership import MemberStatus
from host.domain.quotas import QUOTA_CODES, Quota
from host.domain.vnode import AsyncStatus, OperationalStatus
from host.domain.workers import COUNT_MAX, WorkerKind
from host.entities.operations import (
    _DEDUP_ID_CHARACTERS_MAX,
    _TYPE_CHARACTERS_MAX,
    KEY_BYTES_MAX,
    KEY_CHARACTERS_MAX,
)
from host.keys.rotation import wrapping_key_alias
from host.keys.schemes import SCHEMES, SPECS, X25519
from host.ledger.core.statuses import Reason
from host.ledger.vault.transactions import Origin
from host.network.location.transfers import EXPORT, IMPORT
from host.network.membership.registration import RegistrationStatus
from host.network.values.messages import PACKAGE_ID_CHARACTERS_MAX
from host.nodes.audit_log.administrative import acts
from host.nodes.packages.certificates import ALIAS_LENGTH_MAX, CertificateUsage
from host.nodes.packages.service import NAME_LENGTH_MAX
from host.nodes.quotas.counters import CALL, HIT
from host.nodes.vnode.staged_upgrades import Stage
from host.nodes.vnode.upgrade_report import Diverging, Way
from host.ports.keys import KeyCategory, RotationStatus
from host.ports.locations import Place
from host.ports.mgm import RuleKind, TokenStatus
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, NOTARY_SCHEMAS, VAULT_SCHEMAS
from host.settings.store import NAME_CHARACTERS_MAX as SECTION_CHARACTERS_MAX
from sandbox.host_api import FUNCTIONS

WIDE = "\U0001f600"
"""Four bytes of UTF-8."""
UUID = "00000000-0000-4000-8000-000000000000"
CHECKSUM = "SHA-256:" + "F" * 64
TRANSACTION_ID = "SHA-256D:" + "F" * 64
DIGEST = "f" * 64
INDEX_ROW_BYTES_MAX = 2_704
"""Of a B-tree of PostgreSQL."""


def longest(values):
    return max(map(str, values), key=len)


LONGEST = {
    "certificate.usage": longest(CertificateUsage),
    "certificate.alias": WIDE * ALIAS_LENGTH_MAX,
    "file_checksum": CHECKSUM,
    "cpi_checksum": CHECKSUM,
    "upload.cpi_checksum": "F" * 12,
    "upload.name": WIDE * NAME_LENGTH_MAX,
    "upload.version": WIDE * NAME_LENGTH_MAX,
    "claimed_by": str(Claimant(place=f"{longest(WorkerKind)}-{COUNT_MAX - 1}", run="f" * 16)),
    "cpi.name": WIDE * NAME_LENGTH_MAX,
    "cpi.version": WIDE * NAME_LENGTH_MAX,
    "cpi_replaced.name": WIDE * NAME_LENGTH_MAX,
    "cpi_replaced.version": WIDE * NAME_LENGTH_MAX,
    "signer_summary_hash": CHECKSUM,
    "group_id": UUID,
    "tenant": "F" * 12,
    "tls_tenant": "F" * 12,
    "tls_alias": WIDE * ALIAS_LENGTH_MAX,
    "short_hash": "F" * 12,
    "resource_id": "F" * 12,
    "key_id": "F" * 12,
    "category": longest(KeyCategory),
    "association_id": UUID,
    "request_id": UUID,
    "registration_id": UUID,
    "key_rotation.status": longest(RotationStatus),
    "key_rotated.name": wrapping_key_alias("F" * 12, 2**31 - 1),
    "key_signing.alias": "a" * 128,
    "scheme": longest([*SCHEMES, X25519]),
    "member.name": WIDE * 1,
    "member_key.name": "n" * NAME_CHARACTERS_MAX,
    "member.status": longest(MemberStatus),
    "registration.status": longest(RegistrationStatus),
    "realm": DIGEST,
    "group_log.status": longest(MemberStatus),
    "key_digest": CHECKSUM,
    "network_key.kind": "session",
    "session_key": CHECKSUM,
    "network_registration.side": "member",
    "network_registration.status": longest(RegistrationStatus),
    "rule_id": UUID,
    "mgm_rule.kind": longest(RuleKind),
    "token_id": UUID,
    "mgm_token.status": longest(TokenStatus),
    "mgm_recipient.status": longest(MemberStatus),
    "own_digest": DIGEST,
    "package_id": "p" * PACKAGE_ID_CHARACTERS_MAX,
    "rebuild": UUID,
    "group_parameters.hash": CHECKSUM,
    "spec": longest(SPECS),
    "audit_end.host": "h" * HOST_NAME_CHARACTERS,
    "flow_p2p_status": longest(OperationalStatus),
    "flow_start_status": longest(OperationalStatus),
    "flow_status": longest(OperationalStatus),
    "vault_db_status": longest(OperationalStatus),
    "node_location.place": longest(Place),
    "transfer": UUID,
    "location_id": UUID,
    "node_transfer.kind": longest([EXPORT, IMPORT]),
    "node_transfer.status": longest(AsyncStatus),
    "node_transfer.stage": "certificates",
    "cpi_upgrade.source": CHECKSUM,
    "cpi_upgrade.target": CHECKSUM,
    "cpi_upgrade.way": longest(Way),
    "cpi_upgrade.diverging": longest(Diverging),
    "cpi_upgrade.stage": longest(Stage),
    "virtual_node_operation.status": longest(AsyncStatus),
    "virtual_node_operation.operation": "CREATE_VIRTUAL_NODE",
    "virtual_node_quota.name": longest(Quota.__dataclass_fields__),
    "counter": longest(
        [CALL + f for f in FUNCTIONS]
        + [HIT + c for c in QUOTA_CODES]
        + [HIT + hit_of(a) for a in Account]
    ),
    "administrative_log.kind": longest([acts.GENESIS, acts.INTENT, acts.OUTCOME, acts.REFUSAL, acts.REPEATS, acts.PRUNED, acts.RECOVERY]),
    "hash": DIGEST,
    "request_answer.request_id": f"dedup:{UUID}-" + WIDE * _DEDUP_ID_CHARACTERS_MAX,
    "request_digest": DIGEST,
    "section": WIDE * SECTION_CHARACTERS_MAX,
    "changed_by": "a" * 255,  # a login name
    "ledger_transaction.id": TRANSACTION_ID,
    "ledger_transaction.status": "V",
    "transaction_id": TRANSACTION_ID,
    "ledger": "u",
    "ledger_transaction.reason": longest(Reason),
    "ledger_transaction.origin": longest(Origin),
    "parameters_hash": "h" * 128,
    "kind": "s",
    "cpk": CHECKSUM,
    "amount": "-" + "9" * 38 + ".",
    "total": "-" + "9" * 38 + ".",
    "flow_id": UUID,
    "ledger_output.type": WIDE * _TYPE_CHARACTERS_MAX,
    "entity.type": "t" * _TYPE_CHARACTERS_MAX,
    "entity.key": "k" * KEY_CHARACTERS_MAX,
    "entity_schema.type": WIDE * _TYPE_CHARACTERS_MAX,
    "digest": DIGEST,
    "notarised.result": "A",
    "upper_bound": "2026-11-18T12:00:00.000000Z",
}  # fmt: skip
"""By table and column, or by column where all of one name are alike. Each is what its module's own
limit, enumeration or form allows at most."""
LONGEST["member.name"] = LONGEST["member_key.name"]
for of_member in (
    *("group_log.name", "member_version.name", "network_key.name", "network_registration.name"),
    *("mgm_group.name", "mgm_recipient.name", "owner", "subject"),
):
    LONGEST[of_member] = LONGEST["member_key.name"]
LONGEST["ledger_party.name"] = LONGEST["party"] = LONGEST["member_key.name"]
TABLES = [
    table
    for schema in (*CLUSTER_SCHEMAS, *VAULT_SCHEMAS, *NOTARY_SCHEMAS)
    for table in schema.metadata.sorted_tables
]


def longest_of(column):
    kind = column.type
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, Integer):
        is_int4 = str(kind.compile(dialect=postgresql.dialect())) == "INTEGER"
        return 2**31 - 1 if is_int4 else 2**63 - 1
    if isinstance(kind, LargeBinary):
        return b"\xff" * (kind.length or 128)
    if isinstance(kind, Text):
        return WIDE * 100
    assert isinstance(kind, String), column
    name = f"{column.table.name}.{column.name}"
    found = LONGEST.get(name, LONGEST.get(column.name))
    assert found is not None, f"what is the longest value of {name}?"
    return found


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_longest_value_is_stored_in_every_column_and_read_back(table, tmp_path):
    with Database.open(
        tmp_path / "a.sqlite", (*CLUSTER_SCHEMAS, *VAULT_SCHEMAS, *NOTARY_SCHEMAS)
    ) as database:
        row, found = database.transact(lambda connection: write_longest(connection, table))
        assert found == row


def test_the_longest_values_are_stored_in_postgresql(postgres_database):
    from tests.support.postgres import opened_database  # of an extra

    schemas = (*CLUSTER_SCHEMAS, *VAULT_SCHEMAS, *NOTARY_SCHEMAS)
    with opened_database(postgres_database, schemas) as database:
        for table in TABLES:
            with pytest.raises(_Undone):
                database.transact(_write_and_undo(table))


class _Undone(Exception):
    """Ends a transaction whose rows were looked at."""


def _write_and_undo(table):
    def work(connection):
        row, found = write_longest(connection, table)
        assert found == row, table.name
        raise _Undone

    return work


def write_longest(connection, table):
    """Write the longest row that a table may get; it, and what is read back."""
    row = {column.name: longest_of(column) for column in table.columns}
    for column in table.columns:
        length = getattr(column.type, "length", None)
        if length is not None:
            assert len(row[column.name]) <= length, column
    for parent in {key.column.table for key in table.foreign_keys}:
        values = {column.name: longest_of(column) for column in parent.columns}
        pairs = [k for k in table.foreign_keys if k.column.table is parent]
        for key in pairs:
            values[key.column.name] = row[key.parent.name]
        connection.execute(insert(parent), values)
    connection.execute(insert(table), row)
    return row, dict(connection.execute(select(table)).mappings().one())


def test_a_checksum_has_as_many_characters_as_its_columns():
    assert len(CHECKSUM) == CHECKSUM_CHARACTERS


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_of_indexes_are_no_longer_than_postgresql_takes(table):
    """But for keys of entities, whose bytes are limited together when they are read."""
    indexes = [table.primary_key.columns, *(i.columns for i in table.indexes)]
    for columns in indexes:
        texts = [longest_of(c) for c in columns if isinstance(c.type, String)]
        sizes = [len(t.encode()) for t in texts if t is not None]
        most = KEY_BYTES_MAX if table.name == "entity" else sum(sizes)
        assert most + 64 <= INDEX_ROW_BYTES_MAX, [c.name for c in columns]
