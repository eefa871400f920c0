"""Transactions as values, without nodes, keys or vaults."""

from host.ledger.core.components import to_groups
from host.ledger.core.model import Command, Notary, State, StateRef, TimeWindow, Transaction
from host.ledger.core.signed import unsigned

NOTARY = Notary(name="O=Notary, L=London, C=GB", key="a notary's key")
WINDOW = TimeWindow(starts=None, until="2026-11-21T06:00:00.000000Z")
METADATA = {"ledgerModel": "utxo", "schemaVersion": 1}
SALT = b"6e1ae6a4-3c1c-4f4e-9a54-0f2a0f2a0f2a-3-0"


def identifier(number):
    """An identifier that no transaction has."""
    return f"SHA-256D:{number:064X}"


def ref(number, index=0):
    return StateRef(identifier(number), index)


def state(amount, notary=NOTARY):
    return State(
        type="iou.Iou",
        contract="iou.IouContract",
        value={"amount": amount},
        participants=("a key",),
        notary=notary,
    )


def transaction(
    *,
    inputs=(),
    references=(),
    outputs=1,
    signatories=2,
    commands=1,
    notary=NOTARY,
    window=WINDOW,
    metadata=METADATA,
):
    content = Transaction(
        metadata=metadata,
        notary=notary,
        time_window=window,
        signatories=tuple(f"key {number}" for number in range(signatories)),
        outputs=tuple(state(number, notary) for number in range(outputs)),
        commands=tuple(Command(type="iou.Issue", value={"n": n}) for n in range(commands)),
        inputs=tuple(inputs),
        references=tuple(references),
    )
    return unsigned(SALT, to_groups(content))
