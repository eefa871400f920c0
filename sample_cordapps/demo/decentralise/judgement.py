"""Whether nothing failed, nothing happened twice, and ledgers agree. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A flow that a client asked for: an IOU of an amount that no other has.

    Attributes:
        status: the flow's last status.
        transaction_id: of its result; None if it has none.
    """

    request_id: str
    borrower: str
    lender: str
    amount: int
    status: str
    transaction_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An IOU in the vault of a member."""

    state_ref: str
    borrower: str
    lender: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a member has at the end.

    Attributes:
        ious: of its vault.
        transactions: id -> status, of its ledger.
        flows: how many of its flows, responders too, have each status.
    """

    ious: Sequence[Held]
    transactions: Mapping[str, str]
    flows: Mapping[str, int]


def findings(asked: Sequence[Asked], members: Mapping[str, Member]) -> Sequence[str]:
    """What is wrong, in sentences; nothing if all is well.

    Args:
        asked: all flows that were asked for.
        members: by name.
    """
    return [
        *_failures(asked, members),
        *_ledgers(asked, members),
        *_vaults(asked, members),
    ]


def _failures(asked: Sequence[Asked], members: Mapping[str, Member]) -> Sequence[str]:
    found = [
        f"{each.request_id} of {each.borrower} ended {each.status}"
        for each in asked
        if each.status != "COMPLETED" or each.transaction_id is None
    ]
    for name, member in members.items():
        others = {status: count for status, count in member.flows.items() if status != "COMPLETED"}
        if others:
            found.append(f"{name} has flows that did not complete: {others}")
    return found


def _ledgers(asked: Sequence[Asked], members: Mapping[str, Member]) -> Sequence[str]:
    """Each transaction is verified in the ledgers of both parties, and in no other one."""
    found = []
    parties = {each.transaction_id: {each.borrower, each.lender} for each in asked}
    held: dict[str, set[str]] = {}
    for name, member in members.items():
        for transaction_id, status in member.transactions.items():
            held.setdefault(transaction_id, set()).add(name)
            if status != "V":
                found.append(f"{name} has transaction {transaction_id} as {status}")
    for transaction_id in sorted(set(held) | {each for each in parties if each is not None}):
        expected = parties.get(transaction_id, set())
        if held.get(transaction_id, set()) != expected:
            found.append(
                f"transaction {transaction_id} is with {sorted(held.get(transaction_id, ()))},"
                f" expected {sorted(expected)}"
            )
    return found


def _vaults(asked: Sequence[Asked], members: Mapping[str, Member]) -> Sequence[str]:
    """Each IOU is in the vaults of both parties, once."""
    expected: Counter[tuple[str, Held]] = Counter()
    for each in asked:
        iou = Held(
            state_ref=f"{each.transaction_id}:0",
            borrower=each.borrower,
            lender=each.lender,
            amount=each.amount,
        )
        expected.update([(each.borrower, iou), (each.lender, iou)])
    found = Counter((name, iou) for name, member in members.items() for iou in member.ious)
    return [
        f"{name} has {found[name, iou]} times, expected {expected[name, iou]}: {iou}"
        for name, iou in sorted(set(expected) | set(found), key=str)
        if found[name, iou] != expected[name, iou]
    ]
