"""Corda's structural rules of transactions, each with a stable identifier and Corda's message.

A group whose parameters name no notary may leave out notary and time window.
Source: corda-runtime-os `UtxoTransactionBuilderVerifier`, `UtxoLedgerTransactionVerifier`,
`UtxoTransactionEncumbranceVerifier`.
"""

from collections import Counter
from collections.abc import Sequence

from host.domain.instants import is_instant
from host.domain.membership import NotaryInfo
from host.domain.packages import CpkRecord
from host.ledger.core.model import Resolved, State, StateAndRef, StateRef, Transaction
from host.ledger.errors import TransactionInvalidError
from host.ports.public_keys import PublicKeys

BUILDER = "transaction builder"
LEDGER_TRANSACTION = "UtxoLedgerTransaction"


def check_content(
    transaction: Transaction, *, subject: str, notaries: Sequence[NotaryInfo]
) -> None:
    """Check the rules that need no resolved states. `subject` names the transaction in messages.

    Raises:
        TransactionInvalidError: the first broken rule.
    """
    _check_notary(transaction, subject, notaries)
    _require(
        bool(transaction.signatories),
        "signatories-missing",
        f"At least one signatory signing key must be applied to the current {subject}"
        " in order to create a signed transaction.",
    )
    _require(
        bool(transaction.inputs or transaction.outputs),
        "inputs-and-outputs-missing",
        f"At least one input state, or one output state must be applied to the current {subject}.",
    )
    _require(
        bool(transaction.commands),
        "commands-missing",
        f"At least one command must be applied to the current {subject}.",
    )
    _check_encumbrance_groups(transaction, subject)
    _refuse_repeated(transaction.inputs, "inputs-duplicate", "Duplicate input states detected: ")
    _refuse_repeated(
        transaction.references, "references-duplicate", "Duplicate reference states detected: "
    )
    both = set(transaction.inputs) & set(transaction.references)
    _require(
        not both,
        "input-is-reference",
        "A state cannot be both an input and a reference input in the same transaction."
        f" Offending states: {_listed(both)}",
    )
    _require(
        len(set(transaction.signatories)) == len(transaction.signatories),
        "signatories-duplicate",
        "A signatory must be named once.",
    )


def check_resolved(resolved: Resolved) -> None:
    """Check the rules that need the input and reference states.

    Raises:
        TransactionInvalidError: the first broken rule.
    """
    notary = resolved.transaction.notary
    states = [found.state for found in (*resolved.inputs, *resolved.references)]
    names = {None if state.notary is None else state.notary.name for state in states}
    _require(
        len(names) <= 1,
        "input-notaries-differ",
        "Input and reference states' notaries need to be the same.",
    )
    _require(
        names <= {None if notary is None else notary.name},
        "input-notary-mismatch",
        "Input and reference states' notaries need to be the same as the"
        f" {LEDGER_TRANSACTION}'s notary.",
    )
    _check_encumbrances_spent(resolved.inputs)


def check_declared(transaction: Transaction, cpks: Sequence[CpkRecord]) -> None:
    """Check that every output's state type is governed by the contract that it names.

    Otherwise a state could be moved to a contract that allows anything.

    Args:
        transaction: its content.
        cpks: the contract CPKs that its metadata names.

    Raises:
        TransactionInvalidError: `state-type-undeclared`.
    """
    declared = {pair for cpk in cpks for pair in cpk.state_types}
    names = ", ".join(f"{cpk.identity.name} {cpk.identity.version}" for cpk in cpks)
    for index, state in enumerate(transaction.outputs):
        _require(
            (state.type, state.contract) in declared,
            "state-type-undeclared",
            f"output {index}: no contract CPK of the transaction ({names}) declares state"
            f" {state.type} of contract {state.contract}",
        )


def check_canonical_keys(transaction: Transaction, public_keys: PublicKeys) -> None:
    """Check that keys are in canonical form, so that equal keys have equal texts.

    Raises:
        TransactionInvalidError: `key-not-canonical`.
        InvalidInputError: a text is not a public key.
    """
    keys = set(transaction.signatories)
    for state in transaction.outputs:
        keys.update(state.participants)
    for key in keys:
        _require(
            public_keys.canonical(key) == key,
            "key-not-canonical",
            f"key {public_keys.key_id(key)} is not spelled canonically",
        )


def _check_notary(transaction: Transaction, subject: str, notaries: Sequence[NotaryInfo]) -> None:
    notary, window = transaction.notary, transaction.time_window
    _require(
        notary is not None or not notaries,
        "notary-missing",
        f"The notary of the current {subject} must not be null.",
    )
    _require(
        window is not None or not notaries,
        "time-window-missing",
        f"The time window of the current {subject} must not be null.",
    )
    known = [(str(info.name), info.public_key) for info in notaries]
    _require(
        notary is None or (notary.name, notary.key) in known,
        "notary-unknown",
        f"Notary {'' if notary is None else notary.name!r} is not one of the group parameters'.",
    )
    _require(
        all(state.notary == notary for state in transaction.outputs),
        "output-notary-mismatch",
        f"Output states' notaries need to be the same as the {subject}'s notary.",
    )
    if window is None:
        return
    starts_well = window.starts is None or is_instant(window.starts)
    _require(
        starts_well and is_instant(window.until),
        "time-window-malformed",
        f"The time window of the current {subject} must hold instants in UTC with microseconds.",
    )
    _require(
        window.starts is None or window.starts < window.until,
        "time-window-empty",
        f"The time window of the current {subject} must end after it starts.",
    )


def _check_encumbrance_groups(transaction: Transaction, subject: str) -> None:
    tags = (state.encumbrance for state in transaction.outputs)
    sizes = Counter(tag for tag in tags if tag is not None)
    _require(
        all(size > 1 for size in sizes.values()),
        "encumbrance-group-too-small",
        f"Every encumbrance group of the current {subject} must contain more than one output"
        " state.",
    )
    _require(
        all(_size_of(sizes, state) == state.encumbrance_size for state in transaction.outputs),
        "encumbrance-group-size-wrong",
        f"Every output state of the current {subject} must tell the size of its encumbrance group.",
    )


def _size_of(sizes: Counter[str], state: State) -> int | None:
    return None if state.encumbrance is None else sizes[state.encumbrance]


def _check_encumbrances_spent(inputs: Sequence[StateAndRef]) -> None:
    encumbered = [found for found in inputs if found.state.encumbrance is not None]
    present = Counter((f.ref.transaction_id, f.state.encumbrance) for f in encumbered)
    for found in encumbered:
        count = present[(found.ref.transaction_id, found.state.encumbrance)]
        _require(
            count == found.state.encumbrance_size,
            "encumbrance-not-spent-whole",
            f"Encumbrance check failed: State {found.ref.transaction_id}, {found.ref.index} is part"
            f" of encumbrance group {found.state.encumbrance}, but only {count} states out of"
            f" {found.state.encumbrance_size} encumbered states are present as inputs.",
        )


def _refuse_repeated(refs: Sequence[StateRef], rule: str, message: str) -> None:
    repeated = [ref for ref, count in Counter(refs).items() if count > 1]
    _require(not repeated, rule, message + _listed(repeated))


def _listed(refs: Sequence[StateRef] | set[StateRef]) -> str:
    return f"[{', '.join(str(ref) for ref in sorted(refs))}]"


def _require(condition: bool, rule: str, message: str) -> None:  # noqa: FBT001  # reads as a rule
    if not condition:
        raise TransactionInvalidError(rule, message)
