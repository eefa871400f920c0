"""Contracts: states, commands, and the transaction that a contract verifies.

A contract is pure: it sees a transaction and nothing else, no clock, no network, no other state.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NewType, TypeVar

from cordapp.forms import mismatch
from cordapp.registry import COMMANDS, CONTRACTS, STATES, DeclarationError, name_of, register
from cordapp.schema import CodecError, form_of, from_json

PublicKey = NewType("PublicKey", str)
"""A public key as PEM SubjectPublicKeyInfo text."""

S = TypeVar("S", bound="ContractState")
C = TypeVar("C", bound="Command")
StateT = TypeVar("StateT", bound="type[ContractState]")


class RequirementError(ValueError):
    """A rule of a contract is broken."""


class UnknownTypeError(ValueError):
    """The transaction names a state or command type that this code does not declare."""

    code = "ledger-type-unknown"


class WrongContractError(ValueError):
    """The transaction puts a state under another contract than its type declares."""

    code = "wrong-contract"


class ParticipantsError(ValueError):
    """The transaction lists other participants than the state itself."""

    code = "participants-differ"


def require(condition: object, message: str) -> None:
    """Refuse the transaction with `message` unless `condition` holds.

    >>> require(2 > 1, "two is more")
    >>> require(1 > 2, "one is not more")
    Traceback (most recent call last):
    cordapp.contracts.RequirementError: one is not more
    """
    if not condition:
        raise RequirementError(message)


@dataclass(frozen=True)
class VisibilityChecker:
    """Knows which keys are the node's own."""

    my_keys: frozenset[PublicKey]

    def contains_my_signing_keys(self, keys: Iterable[PublicKey]) -> bool:
        """Whether one of `keys` is this node's."""
        return not self.my_keys.isdisjoint(keys)


class Contract:
    """Rules for the states that belong to it. Subclasses need a constructor without arguments."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        register(CONTRACTS, cls)

    def verify(self, transaction: "UtxoLedgerTransaction") -> None:
        """Raise any exception to refuse `transaction`."""
        raise NotImplementedError(f"{name_of(type(self))} has no verify method")

    def is_visible(self, state: "ContractState", checker: "VisibilityChecker") -> bool:
        """Whether a node's vault shows this state to flows: by default its participants' do."""
        return checker.contains_my_signing_keys(state.participants)


@dataclass(frozen=True)
class ContractState:
    """Base of states; subclasses are frozen dataclasses with `@belongs_to(TheirContract)`."""

    __contract__: ClassVar[type[Contract] | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        register(STATES, cls)

    if TYPE_CHECKING:  # absent at run time, where a field of this name would take it as default

        @property
        def participants(self) -> Sequence[PublicKey]:
            """Keys of those who store this state: a field or a property of each state."""


@dataclass(frozen=True)
class Command:
    """Base of commands: what a transaction does. Fields, if any, make it a frozen dataclass."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        register(COMMANDS, cls)


def belongs_to(contract: type[Contract]) -> Callable[[StateT], StateT]:
    """Class decorator: `contract` decides about states of this class.

    >>> class CoinContract(Contract):
    ...     def verify(self, transaction):
    ...         require(transaction.get_output_states(Coin), "a coin must come out")
    >>> @belongs_to(CoinContract)
    ... @dataclass(frozen=True)
    ... class Coin(ContractState):
    ...     owner: PublicKey
    ...
    ...     @property
    ...     def participants(self):
    ...         return [self.owner]
    >>> contract_of(Coin).__name__
    'CoinContract'

    Raises:
        DeclarationError: the decorator has no contract: it was written without parentheses.
    """
    written: Any = contract
    if isinstance(written, type) and issubclass(written, ContractState):
        raise DeclarationError(f"{name_of(written)}: write @belongs_to(TheContract) above")

    def mark(cls: StateT) -> StateT:
        cls.__contract__ = contract
        return cls

    return mark


_STATE_REF = re.compile("[^:]+:[0-9A-F]+:[0-9]{1,9}")


@dataclass(frozen=True, order=True)
class StateRef:
    """Names an output of a transaction; as text `SHA-256D:HEX:index`.

    >>> StateRef.parse("SHA-256D:" + "0" * 64 + ":1").index
    1
    """

    transaction_id: str
    index: int

    __json_schema__: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "pattern": f"^{_STATE_REF.pattern}$",
    }

    def __str__(self) -> str:
        return f"{self.transaction_id}:{self.index}"

    __to_json__ = __str__

    @classmethod
    def __from_json__(cls, value: Any, path: str = "$") -> "StateRef":
        if not isinstance(value, str) or not _STATE_REF.fullmatch(value):
            raise CodecError(path, f"expected a state reference, found {str(value)[:100]!r}")
        transaction_id, _, index = value.rpartition(":")
        return cls(transaction_id, int(index))

    parse = __from_json__


@dataclass(frozen=True)
class StateAndRef(Generic[S]):
    """A state with the reference by which later transactions consume it."""

    ref: StateRef
    state: S
    encumbrance: str | None = None


@dataclass(frozen=True)
class TimeWindow:
    """When a transaction may be notarised: from `from_` inclusive until `until` exclusive."""

    from_: datetime | None = field(default=None, metadata={"json": "from"})
    until: datetime | None = None

    def contains(self, instant: datetime) -> bool:
        """Whether `instant` lies within."""
        early = self.from_ is not None and instant < self.from_
        return not early and (self.until is None or instant < self.until)


@dataclass(frozen=True)
class Notary:
    """The notary service of a transaction."""

    name: str
    key: PublicKey


@dataclass(frozen=True)
class UtxoLedgerTransaction:
    """A resolved transaction, as contracts see it."""

    id: str
    metadata: Mapping[str, Any]
    notary: Notary | None
    time_window: TimeWindow | None
    signatories: tuple[PublicKey, ...]
    input_state_and_refs: tuple[StateAndRef[Any], ...]
    reference_state_and_refs: tuple[StateAndRef[Any], ...]
    output_state_and_refs: tuple[StateAndRef[Any], ...]
    commands: tuple[Command, ...]

    def get_input_states(self, cls: type[S]) -> list[S]:
        """Input states that are instances of `cls`, in order."""
        return [s.state for s in self.input_state_and_refs if isinstance(s.state, cls)]

    def get_reference_states(self, cls: type[S]) -> list[S]:
        """Reference states that are instances of `cls`, in order."""
        return [s.state for s in self.reference_state_and_refs if isinstance(s.state, cls)]

    def get_output_states(self, cls: type[S]) -> list[S]:
        """Output states that are instances of `cls`, in order."""
        return [s.state for s in self.output_state_and_refs if isinstance(s.state, cls)]

    def get_commands(self, cls: type[C]) -> list[C]:
        """Commands that are instances of `cls`, in order."""
        return [c for c in self.commands if isinstance(c, cls)]

    @classmethod
    def __from_json__(cls, value: Any, path: str = "$") -> "UtxoLedgerTransaction":
        try:
            return cls._decode(value, path)
        except (KeyError, TypeError) as exc:
            raise CodecError(path, f"is no ledger transaction: {exc!r}") from exc

    @classmethod
    def _decode(cls, value: Mapping[str, Any], path: str) -> "UtxoLedgerTransaction":
        return cls(
            id=value["id"],
            metadata=value["metadata"],
            notary=from_json(Notary | None, value["notary"], f"{path}.notary"),
            time_window=from_json(TimeWindow | None, value["timeWindow"], f"{path}.timeWindow"),
            signatories=tuple(value["signatories"]),
            input_state_and_refs=_resolved(value["inputs"], f"{path}.inputs"),
            reference_state_and_refs=_resolved(value["references"], f"{path}.references"),
            output_state_and_refs=state_and_refs_of_outputs(value, path),
            commands=tuple(
                command_from_json(entry, f"{path}.commands[{index}]")
                for index, entry in enumerate(value["commands"])
            ),
        )


def state_ref_to_json(ref: StateRef | str) -> str:
    """A state reference, or its text, as transactions carry it.

    Raises:
        CodecError: it is neither.
    """
    if not isinstance(ref, (StateRef, str)):
        raise mismatch("a StateRef, such as `found.ref` of a state that was found", ref, "$")
    return str(ref)


def contract_of(cls: type[ContractState]) -> type[Contract] | None:
    """The contract that `@belongs_to` names; None for a class that is no state."""
    return getattr(cls, "__contract__", None)


def state_to_json(state: ContractState, encumbrance: str | None = None) -> dict[str, Any]:
    """A state as transactions carry it.

    Raises:
        WrongContractError: the state's class names no contract.
        CodecError: the value is no state, or does not fit its class.
    """
    if not isinstance(state, ContractState):
        raise mismatch("a state, of a class with @belongs_to", state, "$")
    contract = contract_of(type(state))
    if contract is None:
        raise WrongContractError(f"{name_of(type(state))} has no @belongs_to")
    return {
        "type": name_of(type(state)),
        "contract": name_of(contract),
        "value": form_of(type(state)).encode(state, "$"),
        "participants": list(state.participants),
        "encumbrance": encumbrance,
    }


def state_from_json(entry: Mapping[str, Any], path: str = "$") -> ContractState:
    """Decode a state and check what the transaction claims about it.

    Raises:
        UnknownTypeError, WrongContractError, ParticipantsError, CodecError: the claim is false.
    """
    cls = STATES.get(entry["type"])
    if cls is None:
        raise UnknownTypeError(f"{path}: state type {entry['type']!r} is not declared")
    contract = contract_of(cls)
    if contract is None or name_of(contract) != entry["contract"]:
        expected = contract and name_of(contract)
        raise WrongContractError(
            f"{path}: {entry['type']} belongs to {expected}, not to {entry['contract']}"
        )
    state: ContractState = form_of(cls).decode(entry["value"], f"{path}.value")
    if list(state.participants) != list(entry["participants"]):
        raise ParticipantsError(f"{path}: participants differ from those of the state")
    return state


def command_to_json(command: Command) -> dict[str, Any]:
    """A command as transactions carry it.

    Raises:
        CodecError: the value is no command, or does not fit its class.
    """
    if not isinstance(command, Command):
        raise mismatch("a command, of a subclass of Command", command, "$")
    cls = type(command)
    return {"type": name_of(cls), "value": form_of(cls).encode(command, "$")}


def command_from_json(entry: Mapping[str, Any], path: str = "$") -> Command:
    """Decode a command.

    Raises:
        UnknownTypeError, CodecError: the type is not declared, or the value does not fit it.
    """
    cls = COMMANDS.get(entry["type"])
    if cls is None:
        raise UnknownTypeError(f"{path}: command type {entry['type']!r} is not declared")
    command: Command = form_of(cls).decode(entry["value"], f"{path}.value")
    return command


def state_and_ref_from_json(entry: Mapping[str, Any], path: str = "$") -> StateAndRef[Any]:
    """Decode a resolved state."""
    ref = StateRef.parse(entry["stateRef"], f"{path}.stateRef")
    state = state_from_json(entry["state"], f"{path}.state")
    return StateAndRef(ref, state, entry["state"].get("encumbrance"))


def state_and_refs_of_outputs(
    transaction: Mapping[str, Any], path: str = "$"
) -> tuple[StateAndRef[Any], ...]:
    """Decode the outputs of a ledger transaction."""
    return tuple(
        StateAndRef(
            StateRef(transaction["id"], index),
            state_from_json(entry, f"{path}.outputs[{index}]"),
            entry.get("encumbrance"),
        )
        for index, entry in enumerate(transaction["outputs"])
    )


def _resolved(entries: Sequence[Any], path: str) -> tuple[StateAndRef[Any], ...]:
    return tuple(state_and_ref_from_json(e, f"{path}[{i}]") for i, e in enumerate(entries))
