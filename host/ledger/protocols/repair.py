"""Repair: a node asks the notary what came of a transaction that its finality left undecided.

Each finality remembers its repair before anybody could make the transaction final without this
node. The notary's answer decides; a counterparty is asked for signatures only.
Source: corda-runtime-os `UtxoLedgerRepairFlow.kt`. Difference: a timer for each transaction instead
of a scan of the vault.
"""

from msgspec import Struct

from host.domain.capability_error import CapabilityError
from host.domain.instants import instant_ms
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.answers import Finished, RepairPlan
from host.ledger.core.message_reading import read_repair_answer, read_repair_ask
from host.ledger.core.messages import RepairAsk, message_json
from host.ledger.core.notary_errors import FATAL_CODES
from host.ledger.protocols.notary_client import notarise
from host.ledger.protocols.steps import Steps, ask, call, expect, fail, read_request
from host.ports.programs import Call, Close, Forget, Now, Open, Remember, Send, SystemFlow

PROTOCOL = "cordbox.repair"
REPAIR = SystemFlow(name="cordbox:ledger-repair", program="repair", interface="ledger")
ANSWER = SystemFlow(
    name="cordbox:ledger-answer",
    program="answer-repair",
    interface="ledger",
    protocol=PROTOCOL,
)
AT_ONCE_MS = 1_000
HOUR_MS = 60 * 60_000
LATER_MS = (HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS)
"""Pauses after attempts without an answer; the last one again and again."""
_ANSWER_MS = 60_000


class RepairRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    attempt: int


class AnswerRequest(Struct, frozen=True, kw_only=True):
    session: str
    counterparty: str


def remember(transaction_id: str, after_ms: int, attempt: int = 0) -> Steps[None]:
    """Repair a transaction later, unless `forget` comes first."""
    yield repair_of(transaction_id, after_ms, attempt)


def repair_of(transaction_id: str, after_ms: int, attempt: int = 0) -> Remember:
    """The repair of a transaction, as flows and operators have it made."""
    return Remember(
        flow=REPAIR.name,
        key=_key(transaction_id),
        request={"id": transaction_id, "attempt": attempt},
        after_ms=after_ms,
        again_ms=HOUR_MS,
    )


def remember_after(transaction_id: str, until: str, after_ms: int) -> Steps[None]:
    """Repair a transaction when its time window has ended: nobody can have it notarised then."""
    now = yield Now()
    left = instant_ms(until) - instant_ms(str(now))
    yield from remember(transaction_id, max(0, left) + after_ms)


def forget(transaction_id: str) -> Steps[None]:
    """The transaction is decided."""
    yield Forget(_key(transaction_id))


def repair(request: JsonObject) -> Steps[JsonValue]:
    """Ask the notary what came of a transaction; answers its status, a letter, afterwards."""
    wanted = read_request(request, RepairRequest)
    plan = yield from ask("repair-plan", {"id": wanted.id}, RepairPlan)
    if plan.done or plan.until is None:
        yield from forget(wanted.id)
        return plan.status
    try:
        signatures = yield from notarise(wanted.id, "READ")
        for party in plan.parties if plan.incomplete else ():
            yield from _ask_party(wanted.id, party)
        found: JsonObject = {"id": wanted.id, "signatures": signatures}
        yield from ask("finish", found, Finished)
    except CapabilityError as failed:
        return (yield from _undecided(wanted, plan, failed))
    yield from forget(wanted.id)
    return "V"


def answer_repair(request: JsonObject) -> Steps[JsonValue]:
    """Give the signatures of a transaction to a party of its finality."""
    wanted = read_request(
        {name: request.get(name) for name in ("session", "counterparty")}, AnswerRequest
    )
    asked = yield from expect(wanted.session, read_repair_ask)
    made = Call("answer-repair", {"id": asked.id, "party": wanted.counterparty})
    yield Send(wanted.session, made=made)
    return None


def _undecided(
    wanted: RepairRequest, plan: RepairPlan, failed: CapabilityError
) -> Steps[JsonValue]:
    if failed.code in FATAL_CODES:
        yield from call("refused", {"id": wanted.id, "reason": "notary"})
        yield from forget(wanted.id)
        return "I"
    now = yield Now()
    if plan.until is not None and instant_ms(str(now)) > instant_ms(plan.until) + plan.given_up_ms:
        yield from call("repair-given-up", {"id": wanted.id, "reason": failed.message})
        yield from forget(wanted.id)
    else:
        pause = LATER_MS[min(wanted.attempt, len(LATER_MS) - 1)]
        yield from remember(wanted.id, pause, wanted.attempt + 1)
    return plan.status


def _ask_party(transaction_id: str, party: str) -> Steps[None]:
    """Take the signatures that a counterparty has; one that does not answer has none."""
    opened = yield Open(counterparty=party, protocol=PROTOCOL, versions=(1,), timeout_ms=_ANSWER_MS)
    session = str(opened)
    try:
        yield Send(session, message_json(RepairAsk(id=transaction_id)))
        answer = yield from expect(session, read_repair_answer, within_ms=_ANSWER_MS)
        signatures: list[JsonValue] = [*(answer.signatures or ())]
        yield from call("take-repair", {"id": transaction_id, "signatures": signatures})
    except CapabilityError as failed:
        yield from fail(session, failed)
        return
    yield Close(session)


def _key(transaction_id: str) -> str:
    return f"repair:{transaction_id}"
