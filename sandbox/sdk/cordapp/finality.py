"""How a transaction of either ledger becomes final, from a flow's side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cordapp.contracts import StateRef
from cordapp.errors import CordaRuntimeError, HostApi
from cordapp.failures import message_of

if TYPE_CHECKING:
    from cordapp.sessions import FlowSession


@dataclass(frozen=True)
class Undelivered:
    """A counterparty that could not be told; its own host will ask the notary."""

    counterparty: str
    code: str


@dataclass(frozen=True)
class FinalizationResult:
    """A final transaction.

    Attributes:
        id: the transaction's.
        signatures: those that were added by this call, the notary's last.
        visible: its outputs that concern this node.
        undelivered: counterparties that have not been told; empty for who received the transaction.
    """

    id: str
    signatures: list[dict[str, Any]]
    visible: list[StateRef]
    undelivered: list[Undelivered]


def finalize(
    api: HostApi, transaction: Mapping[str, Any], sessions: Sequence["FlowSession"]
) -> FinalizationResult:
    """Make a transaction final with the counterparties of `sessions`.

    Raises:
        CordaRuntimeError: it is not final, or not known to be.
    """
    request = {
        "op": "finalize",
        "transaction": transaction,
        "sessions": [session.id for session in sessions],
    }
    answer: Any = api.call("ledger", "record", request)
    undelivered = [Undelivered(e["counterparty"], e["code"]) for e in answer["undelivered"]]
    return _finalized(answer, undelivered)


def receive_finality(
    api: HostApi,
    session: "FlowSession",
    validate: Callable[[Mapping[str, Any]], object],
    ledger: str | None = None,
) -> FinalizationResult:
    """Take what the counterparty proposes, and accept it unless `validate` refuses.

    Args:
        api: of the flow.
        session: on which the proposal comes.
        validate: gets the ledger transaction as the host shows it, and refuses by `ValueError` or
            `CordaRuntimeError`.
        ledger: `consensual`; None: the UTXO ledger.

    Raises:
        CordaRuntimeError: it is not final, or not known to be.
    """
    wanted = {"op": "receive-finality", "session": session.id}
    if ledger is not None:
        wanted["ledger"] = ledger
    received: Any = api.call("ledger", "verify", wanted)
    answer = {"session": session.id, "proposal": received["proposal"]}
    try:
        validate(received["transaction"])
    except (ValueError, CordaRuntimeError) as refused:
        code = getattr(refused, "code", None)
        refusal = {
            "op": "refuse-finality",
            **answer,
            "message": message_of(refused),
            "code": code if isinstance(code, str) else None,
            "invalid": True,
        }
        api.call("ledger", "record", refusal)
        raise
    accepted: Any = api.call("ledger", "record", {"op": "accept-finality", **answer})
    return _finalized(accepted, [])


def _finalized(answer: dict[str, Any], undelivered: list[Undelivered]) -> FinalizationResult:
    visible = [StateRef(answer["id"], index) for index in answer["visible"]]
    return FinalizationResult(answer["id"], answer["signatures"], visible, undelivered)
