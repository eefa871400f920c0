"""Transactions of the consensual ledger: facts that all participants sign, and nobody consumes.

There is no notary: a transaction is final as soon as every participant has signed it.

| group | leaves |
|---|---|
| METADATA | one object |
| TIMESTAMP | one instant |
| SIGNATORIES | a key each |
| OUTPUT_STATES | value and participants |
| OUTPUT_STATE_TYPES | a state type each |

Source: corda-runtime-os `ConsensualComponentGroup.kt`, `ConsensualTransactionVerifier.kt`,
`ConsensualLedgerTransactionVerifier.kt`.
"""

from collections.abc import Sequence
from enum import IntEnum

from host.domain.instants import is_instant
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.builders import read_keys, read_type, read_value
from host.ledger.core.components import (
    LEAVES_MAX,
    Groups,
    from_groups,
    leaf_texts,
    ledger_of,
    read_groups,
    read_object,
    read_participants,
    read_text,
)
from host.ledger.core.model import Ledger, State, Transaction
from host.ledger.errors import TransactionInvalidError
from host.ports.public_keys import PublicKeys
from host.ports.requests import as_object, check_fields, take_list


class ConsensualGroup(IntEnum):
    METADATA = 0
    TIMESTAMP = 1
    SIGNATORIES = 2
    OUTPUT_STATES = 3
    OUTPUT_STATE_TYPES = 4


def read_content(groups: Groups) -> Transaction:
    """Read component groups of either ledger.

    Raises:
        TransactionInvalidError: `components-malformed` or `transaction-too-large`.
    """
    if ledger_of(groups) is Ledger.UTXO:
        return from_groups(groups)
    return read_groups(groups, _read, consensual_groups)


def consensual_groups(transaction: Transaction) -> Groups:
    """Write the content of a consensual transaction as component groups.

    Raises:
        TransactionInvalidError: `transaction-too-large`.
    """
    parts: dict[ConsensualGroup, list[JsonValue]] = {
        ConsensualGroup.METADATA: [transaction.metadata],
        ConsensualGroup.TIMESTAMP: [transaction.timestamp],
        ConsensualGroup.SIGNATORIES: list(transaction.signatories),
        ConsensualGroup.OUTPUT_STATES: [
            {"value": state.value, "participants": list(state.participants)}
            for state in transaction.outputs
        ],
        ConsensualGroup.OUTPUT_STATE_TYPES: [state.type for state in transaction.outputs],
    }
    return leaf_texts([parts[group] for group in ConsensualGroup])


def read_consensual_builder(
    request: JsonObject, *, metadata: JsonObject, timestamp: str, public_keys: PublicKeys
) -> Transaction:
    """Read a builder's states; signatories are their participants, each once.

    Raises:
        CapabilityError: `request-invalid`.
        InvalidInputError: a key.
    """
    states = []
    for item in take_list(request, "states", length_max=LEAVES_MAX):
        entry = as_object(item, "states")
        check_fields(entry, ("type", "value", "participants"))
        participants = read_keys(entry, "participants", public_keys)
        states.append(_state(read_type(entry), read_value(entry), participants))
    return _transaction(metadata, timestamp, signatories_of(states), states)


def signatories_of(states: Sequence[State]) -> tuple[str, ...]:
    """Who has to sign a transaction with these states: all participants, in their order."""
    return tuple(dict.fromkeys(key for state in states for key in state.participants))


def check_consensual(transaction: Transaction) -> None:
    """Check the rules of the consensual ledger.

    Raises:
        TransactionInvalidError: the first broken rule.
    """
    _require(
        bool(transaction.outputs), "states-missing", "At least one consensual state is required"
    )
    _require(
        all(state.participants for state in transaction.outputs),
        "participants-missing",
        "All consensual states must have participants",
    )
    _require(
        transaction.signatories == signatories_of(transaction.outputs),
        "signatories-mismatch",
        "Deserialized required signatories do not match with the ones derived from the states!",
    )
    _require(
        transaction.timestamp is not None and is_instant(transaction.timestamp),
        "timestamp-malformed",
        "The timestamp of a consensual transaction must be an instant in UTC with microseconds.",
    )


def _read(parts: Sequence[Sequence[JsonValue]]) -> Transaction:
    (metadata,), (timestamp,) = (
        parts[ConsensualGroup.METADATA],
        parts[ConsensualGroup.TIMESTAMP],
    )
    types, states = (
        parts[ConsensualGroup.OUTPUT_STATE_TYPES],
        parts[ConsensualGroup.OUTPUT_STATES],
    )
    return _transaction(
        read_object(metadata),
        read_text(timestamp),
        tuple(read_text(key) for key in parts[ConsensualGroup.SIGNATORIES]),
        [
            _state(
                read_text(name), read_object(state)["value"], read_participants(read_object(state))
            )
            for name, state in zip(types, states, strict=True)
        ],
    )


def _state(name: str, value: JsonValue, participants: tuple[str, ...]) -> State:
    return State(type=name, contract=name, value=value, participants=participants)


def _transaction(
    metadata: JsonObject, timestamp: str, signatories: tuple[str, ...], states: Sequence[State]
) -> Transaction:
    return Transaction(
        metadata=metadata,
        notary=None,
        time_window=None,
        signatories=signatories,
        outputs=tuple(states),
        commands=(),
        inputs=(),
        references=(),
        timestamp=timestamp,
    )


def _require(condition: bool, rule: str, message: str) -> None:  # noqa: FBT001  # reads as a rule
    if not condition:
        raise TransactionInvalidError(rule, message)
