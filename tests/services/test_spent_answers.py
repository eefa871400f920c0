"""Answers kept for flows that may still repeat their calls, and for no other."""

import pytest
from sqlalchemy import select

from host.adapters.sqlite.vaults import Vaults
from host.domain.capability_error import CapabilityError
from host.domain.clock import SimClock
from host.domain.flow import FlowStatusName
from host.domain.ids import FlowId
from host.entities import SCHEMA, EntityCapability
from host.flow.core.events import FlowEnded, FlowStarted
from host.ledger.vault.tables import SCHEMA as LEDGER
from host.runtime.wiring.services import VaultAnswers
from host.vault.idempotency import ENDED_KEPT_MS, REQUEST, REQUESTS, holds_answers
from host.vault.idempotency_cleanup import IdempotencyCleanup
from tests.services.support import ALICE, context, holding

ENDED, RUNNING = FlowId("flow-1"), FlowId("flow-10")
ME = holding(ALICE).short_hash


def facts(flow_id):
    return {"flow_id": flow_id, "holding_id": ME, "flow_class": "f.F", "request_id": "1"}


def test_the_answers_of_a_flow_go_when_it_has_ended_and_no_sooner(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA, LEDGER])
    vaults.create(ME)
    entities = EntityCapability(vaults)
    for flow_id in (ENDED, RUNNING):
        for call, dedup_id in enumerate((None, "once")):
            item = {"type": "iou.Note", "key": f"{flow_id}{call}", "value": {"text": "x"}}
            request = {"op": "persist", "entities": [item], "dedupId": dedup_id}
            entities.call(context(ALICE, call, flow_id=flow_id), "write", request)

    def kept():
        with vaults.read(ME) as connection:
            return [flow for flow in (ENDED, RUNNING) if holds_answers(connection, flow)]

    told = []
    tell = IdempotencyCleanup(VaultAnswers(vaults, SimClock()).forget, then=told.append)
    tell(FlowStarted(**facts(ENDED)))
    assert kept() == [ENDED, RUNNING]
    end = FlowEnded(**facts(ENDED), status=FlowStatusName.COMPLETED, error=None)
    tell(end)
    tell(end)
    assert kept() == [RUNNING]
    assert told == [FlowStarted(**facts(ENDED)), end, end]
    vaults.close()


def test_an_ended_flow_has_no_effect_any_more_and_is_forgotten_in_time(tmp_path):
    """A worker that was taken for dead makes the call late: another worker has made it."""
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA, LEDGER])
    vaults.create(ME)
    clock, entities = SimClock(), EntityCapability(vaults)
    answers = VaultAnswers(vaults, clock)

    def merge(flow_id, text):
        item = {"type": "iou.Note", "key": "1", "value": {"text": text}}
        request = {"op": "merge", "entities": [item], "dedupId": None}
        entities.call(context(ALICE, 0, flow_id=flow_id), "write", request)

    def text():
        request = {"op": "find", "type": "iou.Note", "keys": ["1"]}
        return entities.call(context(ALICE, 9), "read", request)[0]["text"]

    merge(ENDED, "old")
    answers.forget(ME, ENDED)
    merge(RUNNING, "new")
    with pytest.raises(CapabilityError) as refused:
        merge(ENDED, "old")
    assert (refused.value.code, text()) == ("flow-ended", "new")
    clock.advance(ENDED_KEPT_MS)
    answers.forget(ME, RUNNING)
    with vaults.read(ME) as connection:
        marks = connection.execute(select(REQUEST.c.request_id)).scalars().all()
    assert marks == [f"ended:{RUNNING}"]
    vaults.close()
