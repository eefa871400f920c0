"""Ledger transactions that a test puts together, as contracts see them."""

from collections.abc import Sequence
from typing import Any

from cordapp.contracts import Command, ContractState, TimeWindow, state_to_json
from cordapp.registry import name_of
from cordapp.schema import to_json
from host.domain.packages import CpiRecord
from host.ledger.core.builders import read_builder
from host.ledger.core.metadata import make_metadata
from host.ledger.core.model import Resolved, State, StateAndRef, StateRef
from host.ledger.core.rules import BUILDER, check_content
from host.ports.public_keys import PublicKeys
from host.tools.testkit.arguments import objects_given

_ID = f"SHA-256D:{0xC0DE:064X}"
_INPUTS, _REFERENCES = 1, 2
_NO_PARAMETERS = f"SHA-256:{0:064X}"


def ledger_transaction(
    cpi: CpiRecord,
    *,
    public_keys: PublicKeys,
    inputs: Sequence[ContractState],
    outputs: Sequence[ContractState],
    commands: Sequence[Command],
    signatories: Sequence[str],
    references: Sequence[ContractState],
    time_window: TimeWindow | None = None,
) -> Resolved:
    """A transaction of these parts, whose inputs and references earlier ones have made.

    Raises:
        CapabilityError: `transaction-invalid`.
        InvalidInputError: a key.
        TypeError: an argument holds something else than states or commands.
    """
    __tracebackhide__ = True
    for name, states in (("inputs", inputs), ("outputs", outputs), ("references", references)):
        objects_given(states, ContractState, name)
    objects_given(commands, Command, "commands")
    consumed, shown = _as_resolved(inputs, _INPUTS), _as_resolved(references, _REFERENCES)
    builder: dict[str, Any] = {
        "notary": None,
        "timeWindow": to_json(time_window, TimeWindow | None),
        "signatories": list(signatories),
        "inputs": [str(entry.ref) for entry in consumed],
        "references": [str(entry.ref) for entry in shown],
        "outputs": [state_to_json(state) for state in outputs],
        "commands": [{"type": name_of(type(c)), "value": to_json(c, type(c))} for c in commands],
    }
    content = read_builder(
        builder,
        metadata=make_metadata(cpi, _NO_PARAMETERS),
        notaries=(),
        public_keys=public_keys,
    )
    check_content(content, subject=BUILDER, notaries=())
    return Resolved(id=_ID, transaction=content, inputs=consumed, references=shown)


def _as_resolved(states: Sequence[ContractState], origin: int) -> tuple[StateAndRef, ...]:
    return tuple(
        StateAndRef(ref=StateRef(f"SHA-256D:{origin:064X}", index), state=_state(state))
        for index, state in enumerate(states)
    )


def _state(state: ContractState) -> State:
    entry = state_to_json(state)
    return State(
        type=entry["type"],
        contract=entry["contract"],
        value=entry["value"],
        participants=tuple(entry["participants"]),
    )
