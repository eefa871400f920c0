"""Golden journals: flows that ran once, as bytes that every later build must replay.

As a program: `python -m tests.flow.golden_journals` records them anew into `tests/flow/golden/`,
for
a new version of the journal's format; files of older versions stay. It needs a few minutes, since
it builds the IOU sample and runs it on a host. `iou.cpi` is the code that those flows ran, so a
later change of the sample changes nothing here.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.adapters.memory.store import MemoryStore
from host.adapters.sqlite.store import SqliteStore
from host.flow.core.statuses import decode_status
from host.flow.records.history import HistoryLimits, read_history
from host.ports.units import FlowStore
from tests.flow import durable_flows
from tests.flow.network import BOB, Flow, Network
from tests.flow.scripted import CallFailed, Guest

FOLDER = Path(__file__).parent / "golden"
CPI = FOLDER / "iou.cpi"
_KEPT = HistoryLimits(retention_ms=3_600_000)
_NAMES = ("O=Alice, L=London, C=GB", "O=Bob, L=London, C=GB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A flow that ran: `journal` holds its rows as stored, `start` the argument of its guest."""

    name: str
    guest: str
    flow_class: str
    start: str
    result: str | None
    journal: tuple[str, ...]


def read_golden() -> list[Golden]:
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        document = json.loads(path.read_text())
        document["journal"] = tuple(document["journal"])
        found.append(Golden(name=path.stem, **document))
    return found


def every_word(guest: Guest) -> str:
    """Makes each kind of call that the engine itself answers, and fails in some of them."""
    guest.log("not journalled")
    put = {"op": "put", "key": "k", "value": "v"}
    guest.call("flow", "context", **put)
    seen = [
        guest.call("flow", "context", op="get", key=key) for key in ("k", "none", "corda.cpiName")
    ]
    guest.call("flow", "sub-flow", op="enter", flow="test.Sub", protocol="p", versions=[1])
    session = guest.open(BOB, requireClose=False)
    guest.call("sessions", "info", session=session)
    guest.call("sessions", "send", messages=[{"session": session, "payload": {"ä": [1.5, None]}}])
    seen.append(guest.receive(session))
    guest.close(session)
    guest.call("flow", "sub-flow", op="leave")
    guest.call("flow", "sub-flow", op="enter", flow="test.Sub", protocol=None, versions=[])
    guest.call("flow", "sub-flow", op="fail", message="no")
    guest.call("external-messaging", "send", channel="c", messageId="1", message="m")
    for wrong in (lambda: guest.receive("none"), lambda: guest.call("flow", "random", bytes=0)):
        try:
            wrong()
        except CallFailed as exc:
            seen.append(exc.code)
    guest.call("flow", "sleep", millis=5)
    return json.dumps([seen, guest.call("flow", "now"), guest.call("flow", "random", bytes=3)])


def answers(guest: Guest) -> str:
    guest.send(guest.session, {"got": guest.receive(guest.session)})
    return "answered"


SCRIPTED: dict[str, dict[str, Flow]] = {
    "durable": durable_flows.FLOWS,
    "words": {"test.Initiator": every_word, "test.Responder": answers},
}


def _scripted() -> Iterator[Golden]:
    for name, flows in SCRIPTED.items():
        network = Network(MemoryStore(), flows, history=_KEPT)
        network.run({"amount": 5})
        for _ in range(3):
            network.later(2_000)
        yield from _recorded(network.store, f"scripted-{name}", "scripted")


def _recorded(store: FlowStore, prefix: str, guest: str) -> Iterator[Golden]:
    """All ended flows of a store whose histories are kept."""
    statuses = [decode_status(r) for p in ("status/", "responder/") for r in store.scan(p)]
    for number, status in enumerate(statuses):
        kept = store.get(status.history or "")
        assert kept is not None
        assert status.flow_id is not None
        start = read_history(kept).start
        assert start is not None
        yield Golden(
            name=f"{prefix}-{number}-{status.flow_class.rpartition('.')[2]}",
            guest=guest,
            flow_class=status.flow_class,
            start=start,
            result=status.result,
            journal=tuple(row.decode() for row in store.journal(status.flow_id)),
        )


def _ious() -> Iterator[Golden]:
    from cryptography.hazmat.primitives.serialization import Encoding

    from benchmarks import workshop
    from cpi.package.build import build_cpi
    from cpi.package.group_policy_generation import generate_static_policy
    from sample_cordapps.demo import network
    from sample_cordapps.demo.flows import FlowRunner

    built = workshop.built(Path("sample_cordapps/iou"))
    policy = generate_static_policy(
        names=_NAMES, group_id=None, endpoint_url="http://localhost:1080", endpoint_protocol=1
    )
    cpb = (built.cpb.path.name, built.cpb.path.read_bytes())
    key = workshop.key()
    data = build_cpi(name="iou", version="1.0.0", cpb=cpb, group_policy=policy, keys=(key,))
    CPI.write_bytes(data)
    with workshop.running_host("golden") as (rest, _host):
        certificate = workshop.folder() / "golden.pem"
        certificate.write_bytes(key.certificate_chain[0].public_bytes(Encoding.PEM))
        network.trust_signer(rest, certificate)
        checksum = network.upload(rest, CPI)
        alice, bob = (workshop.node_of(rest, checksum, name) for name in _NAMES)
        runner = FlowRunner(rest)
        issue = {"counterparty": _NAMES[1], "amount": 100, "currency": "GBP", "pause_millis": 50}
        made = runner.run(alice, "iou_flows.IssueIou", issue, show=False)
        settle = {"linear_id": made["linear_id"], "amount": 40}
        runner.run(alice, "iou_flows.SettleIou", settle, show=False)
        runner.run(bob, "iou_flows.ListIous", {}, show=False)
        while not all("COMPLETED" in s["flowStatus"] for s in runner.responders(bob, show=False)):
            time.sleep(0.1)
    store = SqliteStore(workshop.folder() / "golden" / "data" / "flows.sqlite")
    yield from _recorded(store, "iou", "iou")
    store.close()


def _write(golden: Golden) -> None:
    document: dict[str, Any] = {
        "guest": golden.guest,
        "flow_class": golden.flow_class,
        "start": golden.start,
        "result": golden.result,
        "journal": golden.journal,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / f"{golden.name}.json").write_text(text)


if __name__ == "__main__":
    recorders: tuple[Callable[[], Iterator[Golden]], ...] = (_scripted, _ious)
    for recorder in recorders:
        for recorded in recorder():
            _write(recorded)
