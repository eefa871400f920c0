"""Filtered transactions: how a node without the backchain knows the states of others."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from host.database.sql import Upsert
from host.domain.ids import EpochMs
from host.domain.json import canonical_json
from host.ledger.core.components import Group, read_output
from host.ledger.core.filtered import FilteredTransaction, Shown
from host.ledger.core.filtered_json import filtered_json, read_filtered
from host.ledger.core.model import State, StateRef
from host.ledger.core.signed import Signature, read_signature
from host.ledger.vault.tables import FILTERED

_KEEP = Upsert(table=FILTERED, keep=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFiltered:
    """A filtered transaction, and the signatures of its notary."""

    filtered: FilteredTransaction
    signatures: tuple[Signature, ...]


def keep(
    connection: Connection,
    filtered: FilteredTransaction,
    signatures: Sequence[Signature],
    *,
    now: EpochMs,
) -> None:
    """Store a checked filtered transaction for each output that it shows; stored ones stay."""
    outputs = filtered.part(Group.OUTPUTS)
    if not isinstance(outputs, Shown):
        return
    metadata = filtered.part(Group.METADATA)
    text = metadata.values().get(0, "{}") if isinstance(metadata, Shown) else "{}"
    row = {
        "transaction_id": filtered.id,
        "filtered": canonical_json(filtered_json(filtered)).decode(),
        "signatures": canonical_json([each.to_json() for each in signatures]).decode(),
        "parameters_hash": json.loads(text).get("membershipGroupParametersHash", ""),
        "stored_at": now,
    }
    for index in outputs.values():
        _KEEP.run(connection, {**row, "output_index": index})


def find(connection: Connection, transaction_id: str) -> list[StoredFiltered]:
    """The different filtered forms of a transaction, in the order of the outputs they show."""
    rows = connection.execute(
        select(FILTERED.c.filtered, FILTERED.c.signatures)
        .where(FILTERED.c.transaction_id == transaction_id)
        .order_by(FILTERED.c.output_index)
    )
    texts = dict.fromkeys((row.filtered, row.signatures) for row in rows)
    return [
        StoredFiltered(
            filtered=read_filtered(json.loads(filtered)),
            signatures=tuple(read_signature(each) for each in json.loads(signatures)),
        )
        for filtered, signatures in texts
    ]


def stored_at(connection: Connection, ref: StateRef) -> EpochMs | None:
    """When the proof of this output was first stored."""
    at = connection.execute(
        select(FILTERED.c.stored_at).where(
            FILTERED.c.transaction_id == ref.transaction_id, FILTERED.c.output_index == ref.index
        )
    ).scalar_one_or_none()
    return None if at is None else EpochMs(at)


def states(
    connection: Connection, transaction_id: str, indexes: Sequence[int]
) -> Iterator[tuple[int, State, int]]:
    """Index, state and size of those outputs that are stored."""
    wanted = set(indexes)
    for found in find(connection, transaction_id):
        infos, outputs = (
            found.filtered.part(Group.OUTPUTS_INFO),
            found.filtered.part(Group.OUTPUTS),
        )
        if not isinstance(infos, Shown) or not isinstance(outputs, Shown):
            continue
        info_texts = infos.values()
        for index, text in outputs.values().items():
            if index in wanted and index in info_texts:
                wanted.remove(index)
                state = read_output(json.loads(info_texts[index]), json.loads(text))
                yield index, state, len(info_texts[index]) + len(text)
