"""Compares the ledgers of local nodes: a transaction that concerns two must be in both."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

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
_OPEN_FLOWS = "SELECT count(*) FROM states WHERE key >= 'flow/' AND key < 'flow0'"


def owners_of_keys(registers: sqlite3.Connection) -> Mapping[str, ShortHash]:
    """Maps a public key to the node that holds its private key."""
    rows = registers.execute("SELECT public_key, tenant FROM key_signing")
    return {key: ShortHash(tenant) for key, tenant in rows}


class Books(Protocol):
    """The ledgers of the nodes that are here."""

    def transactions(
        self, node: ShortHash, statuses: Sequence[Status]
    ) -> AbstractContextManager[Iterable[tuple[str, str]]]:
        """Id and component groups of a node's transactions of these statuses, for a block."""
        ...


class BookFiles:
    """The ledgers in the vaults of a data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def transactions(
        self, node: ShortHash, statuses: Sequence[Status]
    ) -> Iterator[Iterable[tuple[str, str]]]:
        path = self._folder / vault_name(node)
        if not is_there(path):
            yield ()
            return
        marks = ", ".join("?" for _ in statuses)
        with opened(path) as connection:
            yield connection.execute(
                f"SELECT id, component_groups FROM ledger_transaction WHERE status IN ({marks})",  # noqa: S608  # marks alone
                [status.value for status in statuses],
            )


def has_open_flows(folder: Path) -> bool:
    """Whether a flow of a data directory has not ended."""
    with opened(folder / "flows.sqlite") as flows:
        return bool(flows.execute(_OPEN_FLOWS).fetchone()[0])


def compare_ledgers(
    books: Books,
    nodes: Sequence[ShortHash],
    owners: Mapping[str, ShortHash],
    name_of: Callable[[ShortHash], str],
) -> Iterator[Finding]:
    """Transactions that a participant's vault lacks.

    With open flows this cannot be decided: a transaction reaches the nodes one after the other.

    Args:
        books: the ledgers.
        nodes: those that are compared.
        owners: the node that has the private key of a public one.
        name_of: where a node's vault is.
    """
    held = {node: _transactions(books, node) for node in nodes}
    for node in nodes:
        concerned: dict[ShortHash, set[str]] = {}
        for transaction, participant in _participants(books, node, owners):
            if transaction not in held.get(participant, frozenset()):
                concerned.setdefault(participant, set()).add(transaction)
        for other, lacking in sorted(concerned.items()):
            if other in held:
                yield from _lacking(node, name_of(other), lacking)


def _lacking(node: ShortHash, place: str, lacking: set[str]) -> Iterator[Finding]:
    for transaction in sorted(lacking)[:_NAMED_MAX]:
        yield finding(
            CheckCode.LEDGER_DIFFERS,
            place,
            f"lacks transaction {transaction}, which concerns it and which {node} has recorded;"
            " no flow is open that would record it",
            expected=transaction,
            found="none",
        )
    if len(lacking) > _NAMED_MAX:
        yield finding(
            CheckCode.LEDGER_DIFFERS,
            place,
            f"lacks {len(lacking)} transactions that concern it and that {node} has recorded",
            expected=len(lacking),
            found=0,
        )


def _transactions(books: Books, node: ShortHash) -> frozenset[str]:
    """Those that the node has, but for invalid ones: of unverified ones the repair decides."""
    with books.transactions(node, (Status.VERIFIED, Status.UNVERIFIED)) as found:
        return frozenset(transaction for transaction, _ in found)


def _participants(
    books: Books, node: ShortHash, owners: Mapping[str, ShortHash]
) -> Iterator[tuple[str, ShortHash]]:
    """Each verified transaction of a node with each other local node that its outputs concern."""
    with books.transactions(node, (Status.VERIFIED,)) as found:
        for transaction, text in found:
            groups = json.loads(text)
            is_utxo = ledger_of(groups) is Ledger.UTXO
            for leaf in groups[Group.OUTPUTS if is_utxo else ConsensualGroup.OUTPUT_STATES]:
                for key in json.loads(leaf)["participants"]:
                    owner = owners.get(key)
                    if owner is not None and owner != node:
                        yield transaction, owner
