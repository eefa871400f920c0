"""Component groups: a UTXO transaction's content as lists of leaves, the bytes that are hashed.

Groups and their order are Corda's; each leaf is RFC 8785 canonical JSON where Corda has AMQP.

| group | leaves |
|---|---|
| METADATA | one object |
| NOTARY | name, key, time window, each or null; no leaf when all three are null |
| SIGNATORIES | a key each |
| OUTPUTS_INFO | encumbrance, its size, notary name and key, state type and contract type |
| COMMANDS_INFO | a command type each |
| UNUSED | none |
| INPUTS, REFERENCES | a state reference each |
| OUTPUTS | value and participants |
| COMMANDS | a command's value each |

Source: corda-runtime-os `UtxoComponentGroup.kt`.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import TypeAlias

from host.domain.guest_text import GuestTextError, checked_json
from host.domain.json import JsonObject, JsonValue, canonical_json
from host.ledger.core.model import (
    Command,
    Ledger,
    Notary,
    State,
    StateRef,
    TimeWindow,
    Transaction,
)
from host.ledger.errors import TransactionInvalidError

Groups: TypeAlias = tuple[tuple[str, ...], ...]
"""Groups of leaf texts: ten of the UTXO ledger, five of the consensual ledger."""

CONSENSUAL_GROUPS = 5

LEAVES_MAX = 1000
LEAF_BYTES_MAX = 1024 * 1024
TOTAL_BYTES_MAX = 2 * 1024 * 1024


class Group(IntEnum):
    METADATA = 0
    NOTARY = 1
    SIGNATORIES = 2
    OUTPUTS_INFO = 3
    COMMANDS_INFO = 4
    UNUSED = 5
    INPUTS = 6
    REFERENCES = 7
    OUTPUTS = 8
    COMMANDS = 9


def to_groups(transaction: Transaction) -> Groups:
    """Write a transaction's content as component groups.

    Raises:
        TransactionInvalidError: `transaction-too-large`.
    """
    notary = transaction.notary
    window = transaction.time_window
    parts: dict[Group, list[JsonValue]] = {
        Group.METADATA: [transaction.metadata],
        Group.NOTARY: [
            None if notary is None else notary.name,
            None if notary is None else notary.key,
            None if window is None else window.to_json(),
        ],
        Group.SIGNATORIES: list(transaction.signatories),
        Group.OUTPUTS_INFO: [_output_info(state) for state in transaction.outputs],
        Group.COMMANDS_INFO: [command.type for command in transaction.commands],
        Group.UNUSED: [],
        Group.INPUTS: [str(ref) for ref in transaction.inputs],
        Group.REFERENCES: [str(ref) for ref in transaction.references],
        Group.OUTPUTS: [_output(state) for state in transaction.outputs],
        Group.COMMANDS: [command.value for command in transaction.commands],
    }
    if notary is None and window is None:
        parts[Group.NOTARY] = []
    return leaf_texts([parts[group] for group in Group])


def leaf_texts(parts: Sequence[Sequence[JsonValue]]) -> Groups:
    """The canonical text of each leaf.

    Raises:
        TransactionInvalidError: `transaction-too-large`.
    """
    groups = tuple(tuple(canonical_json(leaf).decode() for leaf in part) for part in parts)
    check_limits(groups)
    return groups


def ledger_of(groups: Sequence[Sequence[str]]) -> Ledger:
    """Of which ledger a transaction is with these groups."""
    return Ledger.CONSENSUAL if len(groups) == CONSENSUAL_GROUPS else Ledger.UTXO


def from_groups(groups: Groups) -> Transaction:
    """Read component groups of the UTXO ledger, those that `to_groups` could have written.

    Raises:
        TransactionInvalidError: `components-malformed` or `transaction-too-large`.
    """
    if len(groups) != len(Group):
        raise _malformed(
            f"expected the {len(Group)} component groups of the UTXO ledger, found {len(groups)}"
        )
    return read_groups(groups, _read, to_groups)


def read_groups(
    groups: Groups,
    read: Callable[[Sequence[Sequence[JsonValue]]], Transaction],
    write: Callable[[Transaction], Groups],
) -> Transaction:
    """Read component groups; only those that `write` makes of what `read` finds are accepted.

    Raises:
        TransactionInvalidError: `components-malformed` or `transaction-too-large`.
    """
    check_limits(groups)
    try:
        transaction = read([[checked_json(leaf) for leaf in group] for group in groups])
        canonical = write(transaction) == groups
    except GuestTextError as exc:
        raise _malformed(exc.message) from exc
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as exc:
        raise _malformed(str(exc) or type(exc).__name__) from exc
    if not canonical:
        raise _malformed("the leaves are not the canonical form of their content")
    return transaction


def check_limits(groups: Sequence[Sequence[str]]) -> None:
    """Refuse too many or too large leaves.

    Raises:
        TransactionInvalidError: `components-malformed` or `transaction-too-large`.
    """
    if len(groups) not in (len(Group), CONSENSUAL_GROUPS):
        raise _malformed(
            f"expected {len(Group)} component groups, or {CONSENSUAL_GROUPS} of the consensual"
            f" ledger, found {len(groups)}"
        )
    sizes = [len(leaf.encode()) for group in groups for leaf in group]
    if (
        max((len(group) for group in groups), default=0) > LEAVES_MAX
        or max(sizes, default=0) > LEAF_BYTES_MAX
        or sum(sizes) > TOTAL_BYTES_MAX
    ):
        raise TransactionInvalidError(
            "transaction-too-large",
            f"a transaction has at most {LEAVES_MAX} components in a group, {LEAF_BYTES_MAX} bytes"
            f" in a component and {TOTAL_BYTES_MAX} bytes in all; found {sum(sizes)} bytes",
        )


def _output_info(state: State) -> JsonObject:
    return {
        "encumbrance": state.encumbrance,
        "encumbranceGroupSize": state.encumbrance_size,
        "notaryName": None if state.notary is None else state.notary.name,
        "notaryKey": None if state.notary is None else state.notary.key,
        "contractStateTag": state.type,
        "contractTag": state.contract,
    }


def _output(state: State) -> JsonObject:
    return {"value": state.value, "participants": list(state.participants)}


def _read(parts: Sequence[Sequence[JsonValue]]) -> Transaction:
    (metadata,) = parts[Group.METADATA]
    leaves = parts[Group.NOTARY]
    notary, window = read_notary(leaves) if leaves else (None, None)
    infos, outputs = parts[Group.OUTPUTS_INFO], parts[Group.OUTPUTS]
    types, values = parts[Group.COMMANDS_INFO], parts[Group.COMMANDS]
    return Transaction(
        metadata=read_object(metadata),
        notary=notary,
        time_window=window,
        signatories=tuple(read_text(key) for key in parts[Group.SIGNATORIES]),
        outputs=tuple(
            read_output(info, output) for info, output in zip(infos, outputs, strict=True)
        ),
        commands=tuple(
            read_command(name, value) for name, value in zip(types, values, strict=True)
        ),
        inputs=tuple(StateRef.parse(read_text(ref)) for ref in parts[Group.INPUTS]),
        references=tuple(StateRef.parse(read_text(ref)) for ref in parts[Group.REFERENCES]),
    )


def read_notary(leaves: Sequence[JsonValue]) -> tuple[Notary | None, TimeWindow | None]:
    """The notary and the time window of three leaves: name, key, window, each or null.

    Raises:
        ValueError, KeyError, TypeError: they are not what `to_groups` writes.
    """
    name, key, window = leaves
    notary = None if name is None else Notary(name=read_text(name), key=read_text(key))
    if window is None:
        return notary, None
    fields = read_object(window)
    return notary, TimeWindow(
        starts=_text_or_none(fields["from"]), until=read_text(fields["until"])
    )


def read_output(info: JsonValue, output: JsonValue) -> State:
    """The state of two leaves, of `OUTPUTS_INFO` and of `OUTPUTS`.

    Raises:
        KeyError, TypeError: they are not what `to_groups` writes.
    """
    return _read_state(read_object(info), read_object(output))


def read_command(name: JsonValue, value: JsonValue) -> Command:
    """The command of two leaves, of `COMMANDS_INFO` and of `COMMANDS`.

    Raises:
        TypeError: the first is no text.
    """
    return Command(type=read_text(name), value=value)


def _read_state(info: JsonObject, output: JsonObject) -> State:
    name, size = info["notaryName"], info["encumbranceGroupSize"]
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise TypeError("an encumbrance group's size is no whole number")
    return State(
        type=read_text(info["contractStateTag"]),
        contract=read_text(info["contractTag"]),
        value=output["value"],
        participants=read_participants(output),
        encumbrance=_text_or_none(info["encumbrance"]),
        encumbrance_size=size,
        notary=None
        if name is None
        else Notary(name=read_text(name), key=read_text(info["notaryKey"])),
    )


def read_participants(output: JsonObject) -> tuple[str, ...]:
    """The keys of a state's participants.

    Raises:
        KeyError, TypeError: they are no list of texts.
    """
    participants = output["participants"]
    if not isinstance(participants, list):
        raise TypeError("participants are no list")
    return tuple(read_text(key) for key in participants)


def read_text(value: JsonValue) -> str:
    """`value` as a text.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {type(value).__name__}")
    return value


def _text_or_none(value: JsonValue) -> str | None:
    return None if value is None else read_text(value)


def read_object(value: JsonValue) -> JsonObject:
    """`value` as an object.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object, found {type(value).__name__}")
    return value


def _malformed(reason: str) -> TransactionInvalidError:
    return TransactionInvalidError(
        "components-malformed", f"the transaction's components are malformed: {reason}"
    )
