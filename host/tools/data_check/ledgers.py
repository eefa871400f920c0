"""Compares the ledgers of local nodes: a transaction that concerns two must be in both."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from host.adapters.files.identity import Finding
from host.adapters.files.identity.files import opened
from host.domain.ids import ShortHash
from host.ledger.core.components import Group, ledger_of
from host.ledger.core.consensual import ConsensualGroup
from host.ledger.core.model import Ledger
from host.ledger.core.statuses import Status
from host.tools.data_check.codes import CheckCode, finding
from host.tools.data_check.databases import is_there
from host.tools.data_check.nodes import vault_name

_NAMED_MAX = 20
"""Maximum number of transactions that are named for a pair of nodes; further ones are counted."""
_SELECT = "SELECT id, component_groups FROM ledger_transaction WHERE status = ?"
_OPEN_FLOWS = "SELECT count(*) FROM states WHERE key >= 'flow/' AND key < 'flow0'"


def owners_of_keys(registers: sqlite3.Connection) -> Mapping[str, ShortHash]:
    """Maps a public key to the node that holds its private key."""
    rows = registers.execute("SELECT public_key, tenant FROM key_signing")
    return {key: ShortHash(tenant) for key, tenant in rows}


def compare_ledgers(
    folder: Path, nodes: Sequence[ShortHash], owners: Mapping[str, ShortHash]
) -> Iterator[Finding]:
    """Transactions that a participant's vault lacks.

    With open flows this cannot be decided: a transaction reaches the nodes one after the other.
    """
    with opened(folder / "flows.sqlite") as flows:
        if flows.execute(_OPEN_FLOWS).fetchone()[0]:
            return
    held = {node: _transactions(folder, node) for node in nodes}
    for node in nodes:
        concerned: dict[ShortHash, set[str]] = {}
        for transaction, participant in _participants(folder, node, owners):
            if transaction not in held.get(participant, frozenset()):
                concerned.setdefault(participant, set()).add(transaction)
        for other, lacking in sorted(concerned.items()):
            if other in held:
                yield from _lacking(node, other, lacking)


def _lacking(node: ShortHash, other: ShortHash, lacking: set[str]) -> Iterator[Finding]:
    for transaction in sorted(lacking)[:_NAMED_MAX]:
        yield finding(
            CheckCode.LEDGER_DIFFERS,
            vault_name(other),
            f"lacks transaction {transaction}, which concerns it and which {node} has recorded;"
            " no flow is open that would record it",
            expected=transaction,
            found="none",
        )
    if len(lacking) > _NAMED_MAX:
        yield finding(
            CheckCode.LEDGER_DIFFERS,
            vault_name(other),
            f"lacks {len(lacking)} transactions that concern it and that {node} has recorded",
            expected=len(lacking),
            found=0,
        )


def _transactions(folder: Path, node: ShortHash) -> frozenset[str]:
    """Those that the node has, but for invalid ones: of unverified ones the repair decides."""
    path = folder / vault_name(node)
    if not is_there(path):
        return frozenset()
    with opened(path) as connection:
        rows = connection.execute(
            "SELECT id FROM ledger_transaction WHERE status IN (?, ?)",
            (Status.VERIFIED.value, Status.UNVERIFIED.value),
        )
        return frozenset(row[0] for row in rows)


def _participants(
    folder: Path, node: ShortHash, owners: Mapping[str, ShortHash]
) -> Iterator[tuple[str, ShortHash]]:
    """Each verified transaction of a node with each other local node that its outputs concern."""
    path = folder / vault_name(node)
    if not is_there(path):
        return
    with opened(path) as connection:
        for transaction, text in connection.execute(_SELECT, (Status.VERIFIED.value,)):
            groups = json.loads(text)
            is_utxo = ledger_of(groups) is Ledger.UTXO
            for leaf in groups[Group.OUTPUTS if is_utxo else ConsensualGroup.OUTPUT_STATES]:
                for key in json.loads(leaf)["participants"]:
                    owner = owners.get(key)
                    if owner is not None and owner != node:
                        yield transaction, owner
