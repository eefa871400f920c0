"""Answers kept for flows that may still repeat their calls, and for no other."""

from host.composition.services import VaultAnswers
from host.db import Vaults
from host.db.requests import REQUESTS, holds_answers
from host.domain.flow import FlowStatusName
from host.domain.ids import FlowId
from host.flow.events import FlowEnded, FlowStarted
from host.persistence import SCHEMA, EntityCapability
from host.spent_answers import SpentAnswers
from tests.services.support import ALICE, context, holding

ENDED, RUNNING = FlowId("flow-1"), FlowId("flow-10")
ME = holding(ALICE).short_hash


def facts(flow_id):
    return {"flow_id": flow_id, "holding_id": ME, "flow_class": "f.F", "request_id": "1"}


def test_the_answers_of_a_flow_go_when_it_has_ended_and_no_sooner(tmp_path):
    vaults = Vaults(tmp_path / "vnodes", [REQUESTS, SCHEMA])
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
    tell = SpentAnswers(VaultAnswers(vaults).forget, then=told.append)
    tell(FlowStarted(**facts(ENDED)))
    assert kept() == [ENDED, RUNNING]
    end = FlowEnded(**facts(ENDED), status=FlowStatusName.COMPLETED, error=None)
    tell(end)
    tell(end)
    assert kept() == [RUNNING]
    assert told == [FlowStarted(**facts(ENDED)), end, end]
    vaults.close()
