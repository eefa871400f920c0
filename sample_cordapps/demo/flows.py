"""IOUs between Alice and Bob, a contract that refuses, a host that dies."""

import json
import time
from itertools import count
from typing import Any

from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.packages import MEMBERS
from sample_cordapps.demo.processes import HostProcess
from sample_cordapps.demo.rest import RestClient

ALICE, BOB, CHARLIE = MEMBERS
ISSUE = "iou_flows.IssueIou"
SETTLE = "iou_flows.SettleIou"
SELL = "iou_flows.TransferIou"
LIST = "iou_flows.ListIous"
_FINAL = ("COMPLETED", "FAILED", "KILLED")
_PAUSE_MILLIS = 2500


class FlowRunner:
    """Starts flows and waits for them, each under a client request id of its own."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest
        self._numbers = count(1)

    def on(self, rest: RestClient) -> "FlowRunner":
        """The same, by another client; request ids stay unique."""
        other = FlowRunner(rest)
        other._numbers = self._numbers
        return other

    def start(self, node: str, flow: str, body: object, *, show: bool = True) -> str:
        """Start a flow; returns its client request id."""
        request_id = f"demo-{next(self._numbers)}"
        request = {"clientRequestId": request_id, "flowClassName": flow, "requestBody": body}
        self._rest.post(f"/flow/{node}", request, show=show, expect=202)
        return request_id

    def wait(self, node: str, request_id: str, *, show: bool = True) -> dict[str, Any]:
        """Poll until the flow has ended; returns its status."""
        status: dict[str, Any] = self._rest.poll(
            f"/flow/{node}/{request_id}",
            lambda s: s.get("flowStatus") in _FINAL,
            what=f"the end of flow {request_id}",
            show=show,
        )
        return status

    def run(self, node: str, flow: str, body: object, *, show: bool = True) -> Any:
        """Start a flow and wait until it has COMPLETED; returns its result as JSON.

        Raises:
            StepFailedError: it ended otherwise.
        """
        status = self.wait(node, self.start(node, flow, body, show=show), show=show)
        if status["flowStatus"] != "COMPLETED":
            raise StepFailedError(f"{flow} ended {status['flowStatus']}: {status['flowError']}")
        return json.loads(status["flowResult"])

    def responders(self, node: str, *, show: bool = True) -> list[dict[str, Any]]:
        """Statuses of the responder flows of a node, oldest first."""
        answer = self._rest.get(f"/flow/{node}?responders=true", show=show)
        found = [s for s in answer["flowStatusResponses"] if "INITIATED" in s["clientRequestId"]]
        return sorted(found, key=lambda s: str(s["timestamp"]))

    def wait_for_responders(self, node: str) -> None:
        """Poll until no responder of the node is under way: they end in their own time."""
        self._rest.poll(
            f"/flow/{node}?responders=true&status=RUNNING",
            lambda s: not s["flowStatusResponses"],
            what="the responders",
        )

    def wait_for_running_responder(self, node: str) -> None:
        """Poll until a responder of the node is under way: the first message has arrived."""
        self._rest.poll(
            f"/flow/{node}?responders=true&status=RUNNING",
            lambda s: len(s["flowStatusResponses"]) > 0,
            what="the responder",
        )


def issue_and_settle(console: DemoConsole, runner: FlowRunner, nodes: dict[str, str]) -> str:
    """Returns the id of the first transaction."""
    with console.step("Issue an IOU from Alice to Bob, settle part of it, sell the rest") as record:
        issued = runner.run(
            nodes[ALICE], ISSUE, {"counterparty": BOB, "amount": 10_000, "currency": "GBP"}
        )
        linear_id = issued["linear_id"]
        held = runner.run(nodes[BOB], LIST, {})
        _expect([i["outstanding"] for i in held] == [10_000], f"Bob holds {held}")
        settled = runner.run(nodes[ALICE], SETTLE, {"linear_id": linear_id, "amount": 4_000})
        _expect(settled["outstanding"] == 6_000, f"settled to {settled}")
        held = runner.run(nodes[BOB], LIST, {})
        _expect([i["outstanding"] for i in held] == [6_000], f"Bob holds {held}")
        seen = runner.run(nodes[CHARLIE], LIST, {})
        _expect(seen == [], f"Charlie sees {seen}")
        sold = runner.run(nodes[BOB], SELL, {"linear_id": linear_id, "new_lender": CHARLIE})
        held = runner.run(nodes[CHARLIE], LIST, {})
        _expect([i["outstanding"] for i in held] == [6_000], f"Charlie holds {held}")
        held = runner.run(nodes[BOB], LIST, {})
        _expect(held == [], f"Bob still holds {held}")
        record.facts |= {"issued": issued, "settled": settled, "sold": sold}
        return str(issued["transaction_id"])


def break_contract(console: DemoConsole, runner: FlowRunner, nodes: dict[str, str]) -> None:
    with console.step("An IOU that breaks the contract fails on both sides") as record:
        request_id = runner.start(nodes[ALICE], ISSUE, {"counterparty": BOB, "amount": -1})
        status = runner.wait(nodes[ALICE], request_id)
        _expect(status["flowStatus"] == "FAILED", f"Alice's flow ended {status['flowStatus']}")
        message = "An IOU's amount must be positive"
        _expect(message in status["flowError"]["message"], f"Alice: {status['flowError']}")
        runner.wait_for_responders(nodes[BOB])
        responder = runner.responders(nodes[BOB])[-1]
        _expect(responder["flowStatus"] == "FAILED", f"Bob's flow ended {responder}")
        _expect(message in responder["flowError"]["message"], f"Bob: {responder['flowError']}")
        record.facts |= {"alice": status["flowError"], "bob": responder["flowError"]}


def survive_kill(
    console: DemoConsole,
    host: HostProcess,
    rest: RestClient,
    runner: FlowRunner,
    nodes: dict[str, str],
) -> None:
    with console.step("Kill the host between two messages of a flow; it completes once") as record:
        before = len(runner.run(nodes[BOB], LIST, {}, show=False))
        body = {"counterparty": BOB, "amount": 777, "pause_millis": _PAUSE_MILLIS}
        request_id = runner.start(nodes[ALICE], ISSUE, body)
        runner.wait_for_running_responder(nodes[BOB])
        host.kill()
        started = time.monotonic()
        ready = host.start()
        host.show(ready)
        rest.move_to(ready["url"])
        status = runner.wait(nodes[ALICE], request_id)
        _expect(status["flowStatus"] == "COMPLETED", f"the flow ended {status}")
        held = runner.run(nodes[BOB], LIST, {})
        _expect(len(held) == before + 1, f"Bob holds {len(held)} IOUs, expected {before + 1}")
        _expect([i["amount"] for i in held].count(777) == 1, f"Bob holds {held}")
        record.facts |= {
            "result": status["flowResult"],
            "secondsToRecover": time.monotonic() - started,
        }


def _expect(condition: object, found: str) -> None:
    if not condition:
        raise StepFailedError(f"not as expected: {found}")
