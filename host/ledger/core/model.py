"""The content of transactions as values: keys in canonical PEM, names in Corda's canonical text."""

import re
from dataclasses import dataclass
from enum import StrEnum

from host.domain.ascii_case import ascii_upper
from host.domain.json import JsonObject, JsonValue
from host.domain.refused import shown
from host.ledger.errors import TransactionIdInvalidError, TransactionInvalidError

_STATE_REF = re.compile(r"(SHA-256D:[0-9A-F]{64}):(0|[1-9][0-9]{0,8})")
_TRANSACTION_ID = re.compile(r"SHA-256D:[0-9A-F]{64}")


class Ledger(StrEnum):
    """The ledgers of a node; the values are those of vaults."""

    UTXO = "u"
    CONSENSUAL = "c"

    @property
    def shown(self) -> str:
        """Its name in messages."""
        return "UTXO" if self is Ledger.UTXO else "consensual"


@dataclass(frozen=True, slots=True, order=True)
class StateRef:
    """Names an output: `str()` gives `<transaction id>:<index>`."""

    transaction_id: str
    index: int

    @staticmethod
    def parse(text: str) -> "StateRef":
        """Read a reference.

        Raises:
            TransactionInvalidError: `state-ref-malformed`.
        """
        match = _STATE_REF.fullmatch(text)
        if match is None:
            raise TransactionInvalidError(
                "state-ref-malformed",
                f"{text[:100]!r} is no state reference SHA-256D:<64 hex digits>:<index>",
            )
        return StateRef(match[1], int(match[2]))

    def __str__(self) -> str:
        return f"{self.transaction_id}:{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notary:
    name: str
    key: str

    def to_json(self) -> JsonObject:
        return {"name": self.name, "key": self.key}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """From `starts` (None: always) until before `until`, instants with microseconds in UTC."""

    starts: str | None
    until: str

    def to_json(self) -> JsonObject:
        return {"from": self.starts, "until": self.until}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A contract state. `encumbrance` is a tag that `encumbrance_size` outputs share."""

    type: str
    contract: str
    value: JsonValue
    participants: tuple[str, ...]
    encumbrance: str | None = None
    encumbrance_size: int | None = None
    notary: Notary | None = None

    def to_json(self) -> JsonObject:
        """The JSON form for guests."""
        return {
            "type": self.type,
            "contract": self.contract,
            "value": self.value,
            "participants": list(self.participants),
            "encumbrance": self.encumbrance,
        }

    def consensual_json(self) -> JsonObject:
        """The JSON form of a state of the consensual ledger, for guests."""
        return {
            "type": self.type,
            "value": self.value,
            "participants": list(self.participants),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StateAndRef:
    ref: StateRef
    state: State

    def to_json(self) -> JsonObject:
        return {"stateRef": str(self.ref), "state": self.state.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    type: str
    value: JsonValue

    def to_json(self) -> JsonObject:
        return {"type": self.type, "value": self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """The content of a transaction, inputs not resolved.

    `timestamp` is the instant at which a transaction of the consensual ledger was made; it has
    outputs alone, its states, each of which is its own contract. None: the UTXO ledger.
    """

    metadata: JsonObject
    notary: Notary | None
    time_window: TimeWindow | None
    signatories: tuple[str, ...]
    outputs: tuple[State, ...]
    commands: tuple[Command, ...]
    inputs: tuple[StateRef, ...]
    references: tuple[StateRef, ...]
    timestamp: str | None = None

    @property
    def ledger(self) -> Ledger:
        return Ledger.UTXO if self.timestamp is None else Ledger.CONSENSUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A transaction with its identifier and the states that it names."""

    id: str
    transaction: Transaction
    inputs: tuple[StateAndRef, ...]
    references: tuple[StateAndRef, ...]

    def to_json(self) -> JsonObject:
        """The ledger transaction that contracts see (docs/reference/host-api.md)."""
        content = self.transaction
        if content.ledger is Ledger.CONSENSUAL:
            return {
                "id": self.id,
                "metadata": content.metadata,
                "timestamp": content.timestamp,
                "signatories": list(content.signatories),
                "states": [state.consensual_json() for state in content.outputs],
            }
        return {
            "id": self.id,
            "metadata": content.metadata,
            "notary": None if content.notary is None else content.notary.to_json(),
            "timeWindow": None if content.time_window is None else content.time_window.to_json(),
            "signatories": list(content.signatories),
            "inputs": [state.to_json() for state in self.inputs],
            "references": [state.to_json() for state in self.references],
            "outputs": [state.to_json() for state in content.outputs],
            "commands": [command.to_json() for command in content.commands],
        }


def is_transaction_id(text: str) -> bool:
    return _TRANSACTION_ID.fullmatch(text) is not None


def parse_transaction_id(text: str) -> str:
    """The identifier with capital letters.

    Raises:
        TransactionIdInvalidError: the text is none.
    """
    found = ascii_upper(text)
    if not is_transaction_id(found):
        raise TransactionIdInvalidError(
            f"{shown(text)} is not a transaction id SHA-256D:<64 hexadecimal digits>"
        )
    return found
