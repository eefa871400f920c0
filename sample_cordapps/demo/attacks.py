"""A hostile CorDapp in a node of its own, while Alice and Bob go on."""

import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.flows import ALICE, BOB, ISSUE, FlowRunner
from sample_cordapps.demo.network import create_node, register, upload
from sample_cordapps.demo.packages import MALLORY, Packages
from sample_cordapps.demo.rest import RestClient

_STACK = r"stack|recursion"
ATTEMPTS = {
    "hostile_compute.EndlessLoop": r"fuel",
    "hostile_compute.MemoryBomb": r"memory",
    "hostile_compute.DeepRecursion": _STACK,
    "hostile_escape.ReadFile": r"file|open",
    "hostile_escape.OpenSocket": r"socket",
    "hostile_escape.ReadClock": r"clock|time",
    "hostile_escape.ReadEnvironment": r"environment",
    "hostile_steal.CallUngranted": r"signing",
    "hostile_steal.ReadOthersEntities": r"no entity",
    "hostile_steal.ReadOthersTypes": r"iou_flows\.CreditLimit",
    "hostile_steal.ReadOthersTransaction": r"not found",
    "hostile_steal.ReadOthersState": r"state",
    "hostile_flood.LogFlood": r"log",
    "hostile_flood.HostCallFlood": r"calls",
    "hostile_flood.OversizedResult": r"payload|bytes",
}
"""Flow -> what its reason must name. The sample's tests run all of its attempts."""

SECONDS_MAX = 60.0
"""An attempt ends by its limits, the wall clock's 10 s at the latest; the rest is the wait for a
processor, which other scenes and other programs use too."""


@dataclass(slots=True)
class Neighbours:
    """Issues IOUs from Alice to Bob until told to stop, and counts what was completed."""

    runner: FlowRunner
    alice: str
    stop: threading.Event = field(default_factory=threading.Event)
    seconds: list[float] = field(default_factory=list)
    failure: str | None = None

    def work(self) -> None:
        while not self.stop.is_set():
            started = time.monotonic()
            try:
                body = {"counterparty": BOB, "amount": 5}
                self.runner.run(self.alice, ISSUE, body, show=False)
            except StepFailedError as failed:
                self.failure = str(failed)
                return
            self.seconds.append(time.monotonic() - started)


def run(
    console: DemoConsole,
    *,
    packages: Packages,
    rest: RestClient,
    runner: FlowRunner,
    nodes: dict[str, str],
    transaction_id: object,
) -> None:
    """Make the fourth node and let it try everything."""
    with console.step("A hostile CorDapp in a fourth node: every attempt fails") as record:
        checksum = upload(rest, packages.cpi("hostile"))
        mallory = create_node(rest, checksum, MALLORY)
        register(rest, mallory)
        startable = rest.get(f"/flowclass/{mallory}")["flowClassNames"]
        if missing := set(ATTEMPTS) - set(startable):
            raise StepFailedError(f"the hostile CorDapp has no flows {sorted(missing)}")
        victim = {
            "x500_name": ALICE,
            "short_hash": nodes[ALICE],
            "transaction_id": str(transaction_id),
            "key": BOB,
        }
        neighbours = Neighbours(runner, nodes[ALICE])
        beside = threading.Thread(target=neighbours.work)
        beside.start()
        try:
            outcomes = {name: _attempt(console, runner, mallory, name, victim) for name in ATTEMPTS}
        finally:
            neighbours.stop.set()
            beside.join()
        _judge_neighbours(console, neighbours)
        record.facts |= {
            "attempts": outcomes,
            "neighbourFlows": len(neighbours.seconds),
            "neighbourSlowestSeconds": round(max(neighbours.seconds), 3),
        }


def _attempt(
    console: DemoConsole, runner: FlowRunner, mallory: str, name: str, victim: dict[str, str]
) -> dict[str, Any]:
    """One attempt must end FAILED, with a reason, in time."""
    started = time.monotonic()
    body = victim if name.startswith("hostile_steal.ReadOthers") else {}
    status = runner.wait(mallory, runner.start(mallory, name, body, show=False), show=False)
    seconds = time.monotonic() - started
    error = status["flowError"]
    reason = f"{error['type']}: {error['message']}" if error else ""
    if status["flowStatus"] != "FAILED" or not is_stopped(name, reason):
        raise StepFailedError(f"{name} ended {json.dumps(status)}")
    if seconds > SECONDS_MAX:
        raise StepFailedError(f"{name} lasted {seconds:.1f} s")
    short = name.rpartition(".")[2]
    console.note(f"{short:<28} {seconds:6.2f} s  {reason[:90]}")
    return {"type": error["type"], "message": error["message"], "seconds": round(seconds, 3)}


def is_stopped(name: str, reason: str) -> bool:
    """Whether a flow ended for the reason that the attempt has to give.

    On a busy machine the wall clock may end before the fuel does what uses much of both.
    """
    wanted = ATTEMPTS[name]
    if name.startswith(("hostile_compute.", "hostile_flood.")):
        wanted += "|^deadline-exceeded:"
    return re.search(wanted, reason, re.IGNORECASE) is not None


def _judge_neighbours(console: DemoConsole, neighbours: Neighbours) -> None:
    if neighbours.failure is not None:
        raise StepFailedError(f"an Alice-Bob flow failed beside the attacks: {neighbours.failure}")
    if not neighbours.seconds:
        raise StepFailedError("no Alice-Bob flow was completed beside the attacks")
    console.note(
        f"beside them {len(neighbours.seconds)} IOUs went from Alice to Bob, "
        f"the slowest in {max(neighbours.seconds):.2f} s"
    )
