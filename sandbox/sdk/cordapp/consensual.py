"""The consensual ledger's states: facts that their participants sign, and that nobody consumes.

A state judges the transaction that contains it, by itself: there is no contract beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from cordapp.checks import method_problems, participants_problems, problem, type_problems
from cordapp.contracts import ParticipantsError, PublicKey, UnknownTypeError
from cordapp.forms import mismatch
from cordapp.registry import CONSENSUAL_SIDE, CONSENSUAL_STATES, name_of, register
from cordapp.schema import CodecError, form_of, from_json

S = TypeVar("S", bound="ConsensualState")


@dataclass(frozen=True)
class ConsensualState:
    """Base of states of the consensual ledger; subclasses are frozen dataclasses.

    >>> @dataclass(frozen=True)
    ... class Minutes(ConsensualState):
    ...     text: str
    ...     participants: list[PublicKey]
    ...
    ...     def verify(self, transaction):
    ...         if not self.text:
    ...             raise ValueError("Minutes have a text")
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        register(CONSENSUAL_STATES, cls)

    if TYPE_CHECKING:  # absent at run time, where a field of this name would take it as default

        @property
        def participants(self) -> Sequence[PublicKey]:
            """Keys of those who sign and store this state: a field or a property of each state."""

    def verify(self, transaction: "ConsensualLedgerTransaction") -> None:
        """Raise any exception to refuse `transaction`, which contains this state."""
        raise NotImplementedError(f"{name_of(type(self))} has no verify method")


@dataclass(frozen=True)
class ConsensualLedgerTransaction:
    """A transaction of the consensual ledger, as its states see it.

    Attributes:
        timestamp: when its maker says that it was made.
        required_signatories: all participants of its states.
    """

    id: str
    metadata: Mapping[str, Any]
    timestamp: datetime
    required_signatories: tuple[PublicKey, ...]
    states: tuple[ConsensualState, ...]

    def get_states(self, cls: type[S]) -> list[S]:
        """States that are instances of `cls`, in order."""
        return [state for state in self.states if isinstance(state, cls)]

    @classmethod
    def __from_json__(cls, value: Any, path: str = "$") -> "ConsensualLedgerTransaction":
        try:
            return cls(
                id=value["id"],
                metadata=value["metadata"],
                timestamp=from_json(datetime, value["timestamp"], f"{path}.timestamp"),
                required_signatories=tuple(value["signatories"]),
                states=tuple(
                    consensual_state_from_json(entry, f"{path}.states[{index}]")
                    for index, entry in enumerate(value["states"])
                ),
            )
        except (KeyError, TypeError) as exc:
            raise CodecError(path, f"is no consensual ledger transaction: {exc!r}") from exc


def consensual_state_to_json(state: ConsensualState) -> dict[str, Any]:
    """A state as transactions carry it.

    Raises:
        CodecError: the value is no state, or does not fit its class.
    """
    if not isinstance(state, ConsensualState):
        raise mismatch("a state, of a subclass of ConsensualState", state, "$")
    return {
        "type": name_of(type(state)),
        "value": form_of(type(state)).encode(state, "$"),
        "participants": list(state.participants),
    }


def consensual_state_from_json(entry: Mapping[str, Any], path: str = "$") -> ConsensualState:
    """Decode a state and check what the transaction claims about it.

    Raises:
        UnknownTypeError, ParticipantsError, CodecError: the claim is false.
    """
    cls = CONSENSUAL_STATES.get(entry["type"])
    if cls is None:
        raise UnknownTypeError(f"{path}: state type {entry['type']!r} is not declared")
    state: ConsensualState = form_of(cls).decode(entry["value"], f"{path}.value")
    if list(state.participants) != list(entry["participants"]):
        raise ParticipantsError(f"{path}: participants differ from those of the state")
    return state


def _declared() -> list[tuple[str, type[Any]]]:
    """States by name, without those that are only others' bases."""
    return [
        (name, cls)
        for name, cls in sorted(CONSENSUAL_STATES.items())
        if cls.verify is not ConsensualState.verify
        or ("__dataclass_fields__" in cls.__dict__ and not cls.__subclasses__())
    ]


def _problems() -> Iterator[str]:
    """What is wrong with declared states."""
    for _, cls in _declared():
        if cls.verify is ConsensualState.verify:
            yield problem("has no verify method", cls)
        else:
            yield from method_problems(cls, "verify", ["transaction"])
        yield from type_problems(cls, cls)
        yield from participants_problems(cls)


def _failures(value: Mapping[str, Any]) -> Iterator[tuple[str, BaseException]]:
    """Each type of state that refuses a transaction, and why; the first false claim is alone."""
    for index, entry in enumerate(value["states"]):
        try:
            consensual_state_from_json(entry, f"$.states[{index}]")
        except (Exception, SystemExit) as exc:  # noqa: BLE001  # becomes a failure
            yield str(entry["type"]), exc
            return
    transaction = ConsensualLedgerTransaction.__from_json__(value)
    for state in transaction.states:
        try:
            state.verify(transaction)
        except (Exception, SystemExit) as exc:  # noqa: BLE001  # any exception refuses
            yield name_of(type(state)), exc


CONSENSUAL_SIDE["declared"] = _declared
CONSENSUAL_SIDE["check"] = _problems
CONSENSUAL_SIDE["failures"] = _failures
