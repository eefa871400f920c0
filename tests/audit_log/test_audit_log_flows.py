"""Privileged calls of flows reach the log: each once, with its outcome, before the flow goes on."""

import hashlib
import json
from typing import Any

import pytest

from host.adapters.memory.store import MemoryStore
from host.domain.capability_error import CapabilityError
from host.domain.clock import SimClock
from host.domain.flow import FlowStatusName
from host.nodes.audit_log import NodeAuditLogs
from host.nodes.audit_log.node_log import LOG_NAME
from host.nodes.audit_log.verification import read_entries, verify_log
from host.ports.guest import GuestKilledError
from host.ports.state import StateConflictError
from tests.flow.network import ALICE, Network, holding
from tests.flow.scripted import CallFailed, Guest, ScriptedGuests

KEY = bytes(32)
NODE = holding(ALICE).short_hash


class Audited:
    """Alice's flows on an engine with audit logs in a folder."""

    def __init__(self, folder: Any, flow: Any, store: Any = None, guests: Any = None) -> None:
        self.file = folder / NODE / LOG_NAME
        clock = SimClock()
        self.logs = NodeAuditLogs(folder, key=KEY, clock=clock)
        self.network = Network(
            store or MemoryStore(),
            {"test.Initiator": flow},
            clock=clock,
            guests=guests,
            audit_logs=self.logs,
        )

    def calls(self) -> list[dict[str, Any]]:
        assert verify_log(self.file, key=KEY, node=NODE).problem is None
        return [e for e in read_entries(self.file) if e["kind"] == "call"]


def test_calls_with_effects_are_kept_with_who_what_and_outcome(tmp_path):
    request = {"op": "persist", "entity": {"n": 1}}

    def flow(guest: Guest) -> str:
        guest.call("flow", "now")
        guest.call("persistence", "write", **request)
        guest.call("persistence", "read")
        guest.call("external-messaging", "send", channel="c", messageId="m", message="hello")
        return "done"

    audited = Audited(tmp_path, flow)
    audited.network.run()
    status = audited.network.alice()
    assert status.status is FlowStatusName.COMPLETED, status.error
    write, external = audited.calls()
    digest = hashlib.sha256(json.dumps(request).encode()).hexdigest().upper()
    assert (write["function"], write["request"]) == ("persistence.write", f"SHA-256:{digest}")
    assert (write["flow"], write["flowClass"]) == (status.flow_id, "test.Initiator")
    assert (write["call"], write["outcome"]) == (1, "ok")
    assert (external["function"], external["call"]) == ("external-messaging.send", 3)
    assert "hello" not in audited.file.read_text()


def test_a_refusal_is_kept_with_its_code(tmp_path):
    def flow(guest: Guest) -> str:
        try:
            guest.call("persistence", "write", op="persist")
        except CallFailed as refused:
            return refused.code
        return "written"

    audited = Audited(tmp_path, flow)
    audited.network.notes.failing = [CapabilityError("entity-exists", "it exists")]
    audited.network.run()
    assert [e["outcome"] for e in audited.calls()] == ["entity-exists"]


class Denying(ScriptedGuests):
    """Ends every run as the sandbox ends one that calls what was not granted."""

    def run(self, *args: Any, **options: Any) -> Any:
        raise GuestKilledError("capability-not-granted", "refused", denied="signing.sign")


def test_a_call_that_was_not_granted_is_kept(tmp_path):
    audited = Audited(tmp_path, None, guests=Denying({}))
    audited.network.run()
    (entry,) = audited.calls()
    assert (entry["function"], entry["outcome"]) == ("signing.sign", "capability-not-granted")


class FailingOnce(MemoryStore):
    """Refuses the commits that `failing` counts down, as if another step had been first."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.good, self.is_failed = good, False

    def commit(self, unit: Any) -> None:
        self.good -= 1
        if self.good == 0:
            self.is_failed = True
            raise StateConflictError("cut off")
        super().commit(unit)


@pytest.mark.parametrize("good", range(2, 9))
def test_a_step_that_is_cut_anywhere_leaves_each_call_once(tmp_path, good):
    def flow(guest: Guest) -> str:
        for number in range(3):
            guest.call("persistence", "write", number=number)
            guest.call("flow", "sleep", millis=1)
        return "done"

    audited = Audited(tmp_path, flow, store=FailingOnce(good))
    audited.network.run()
    for _ in range(20):
        audited.network.later(1_000)
    assert audited.network.store.is_failed
    assert audited.network.alice().status is FlowStatusName.COMPLETED
    assert [e["call"] for e in audited.calls()] == [0, 2, 4]


def test_a_call_that_cannot_be_kept_is_not_answered(tmp_path):
    answers = []

    def flow(guest: Guest) -> str:
        answers.append(guest.call("persistence", "write", op="persist"))
        return "done"

    audited = Audited(tmp_path, flow)
    (tmp_path / NODE).mkdir()
    audited.file.mkdir()
    audited.network.run()
    assert answers == []
    assert not audited.network.alice().status.is_final
    audited.file.rmdir()
    audited.network.later(1_000)
    assert audited.network.alice().status is FlowStatusName.COMPLETED
    assert len(audited.network.notes.rows) == 1
    assert [e["outcome"] for e in audited.calls()] == ["ok"]
