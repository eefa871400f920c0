"""A transaction is notarised: its notary is asked until it answers.

A notary answers each transaction always the same, so a question that got no answer is asked again,
of another node of the service if there is one.
Source: corda-runtime-os `NonValidatingNotaryClientFlowImpl.kt`, `PluggableNotaryServiceImpl`.
"""

import base64
from collections.abc import Sequence

import msgspec

from host.domain.capability_error import CapabilityError
from host.domain.instants import instant_ms
from host.domain.json import JsonObject
from host.ledger.core.answers import NotaryAnswer, NotaryPlan
from host.ledger.core.notary_errors import (
    ErrorKind,
    FinalityUndecidedError,
    NotaryRefusedError,
)
from host.ledger.protocols.steps import Steps, ask, fail, receive_from
from host.ports.programs import Call, Close, Now, Open, Random, Send, Sleep

FIRST_PAUSE_MS = 1_000
PAUSE_MAX_MS = 60_000
BOUND_WAIT_MAX_MS = 15 * 60_000
"""How long a transaction waits for the lower bound of its time window."""
_OWN_FAILURES = frozenset({"quota-exceeded", "notary-signature-invalid"})
"""Codes that end the notarisation: to ask again would not help, or the notary lies."""


def notarise(transaction_id: str, check: str = "WRITE") -> Steps[list[JsonObject]]:
    """The notary's signatures over a transaction of this node's vault, verified.

    Args:
        transaction_id: of a transaction that names a notary.
        check: `WRITE` has it notarised; `READ` asks what came of an earlier `WRITE`.

    Raises:
        NotaryRefusedError: it can never be notarised; the code is one of `FATAL_CODES`.
        FinalityUndecidedError: the notary was not reached, or (`READ`) has not seen it.
        CapabilityError: `notary-protocol-unknown`, no node runs the notary in a known protocol;
            `notary-signature-invalid`; `quota-exceeded`.
    """
    plan = yield from ask("notary-plan", {"id": transaction_id}, NotaryPlan)
    first = yield from _any_of(plan.nodes)
    pause, reason = FIRST_PAUSE_MS, ""
    for attempt in range(plan.attempts):
        node = plan.nodes[(first + attempt) % len(plan.nodes)]
        try:
            answer = yield from _ask_node(node, plan, transaction_id, check)
        except CapabilityError as failed:
            if failed.code in _OWN_FAILURES:
                raise
            reason = f"{node}: {failed.message}"
        else:
            if answer.error is None:
                return answer.signatures
            kind, reason = ErrorKind(answer.error.kind), answer.error.message
            if kind.is_fatal:
                raise NotaryRefusedError(transaction_id, kind, reason)
            if kind is ErrorKind.NOT_PREVIOUSLY_SEEN_TRANSACTION:
                break
            if answer.error.lower is not None:
                yield from _wait_for(answer.error.lower, plan.service)
                continue
        if attempt + 1 < plan.attempts:
            yield Sleep(pause)
            pause = min(2 * pause, PAUSE_MAX_MS)
    raise FinalityUndecidedError(
        f"notary {plan.service} has not decided on transaction {transaction_id}: {reason}"
    )


def _ask_node(node: str, plan: NotaryPlan, transaction_id: str, check: str) -> Steps[NotaryAnswer]:
    """Ask one node once.

    Raises:
        CapabilityError: it was not reached, failed, or gave no answer that can be read.
    """
    opened = yield Open(
        counterparty=node,
        protocol=plan.protocol,
        versions=tuple(plan.versions),
        timeout_ms=plan.answer_ms,
    )
    session = str(opened)
    try:
        made = Call(
            "notary-request", {"id": transaction_id, "check": check, "protocol": plan.protocol}
        )
        yield Send(session, made=made)
        into = Call("take-notary-answer", {"id": transaction_id})
        taken = yield from receive_from(session, within_ms=plan.answer_ms, into=into)
    except CapabilityError as failed:
        yield from fail(session, failed)
        raise
    yield Close(session)
    return msgspec.convert(taken, NotaryAnswer)


def _any_of(nodes: Sequence[str]) -> Steps[int]:
    """The index of the node to ask first, at random."""
    if len(nodes) == 1:
        return 0
    drawn = yield Random(4)
    return int.from_bytes(base64.b64decode(str(drawn)), "big") % len(nodes)


def _wait_for(lower: str, service: str) -> Steps[None]:
    """Wait until a time window begins.

    Raises:
        FinalityUndecidedError: it begins too late to wait for it.
    """
    now = yield Now()
    wait = instant_ms(lower) - instant_ms(str(now))
    if wait > BOUND_WAIT_MAX_MS:
        raise FinalityUndecidedError(
            f"notary {service} decides from {lower} on, when the time window begins"
        )
    yield Sleep(max(FIRST_PAUSE_MS, wait))
