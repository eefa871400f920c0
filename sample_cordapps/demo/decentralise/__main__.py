"""Run it: `python -m sample_cordapps.demo.decentralise [--identities 10] [--picture FILE]`."""

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from host.tools.network.plan import MGM, NOTARY
from sample_cordapps.demo import packages
from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.decentralise.hosts import Network
from sample_cordapps.demo.decentralise.judgement import Asked, Held, Member, findings
from sample_cordapps.demo.decentralise.load import Flow, Load
from sample_cordapps.demo.decentralise.picture import Life, drawn
from sample_cordapps.demo.processes import CommandLine

_LIST = "iou_flows.ListIous"
_ENDED = ("COMPLETED", "FAILED", "KILLED")
_BETWEEN = 3
"""Flows that hosts take between two moves, at most for `_BETWEEN_SECONDS`."""
_BETWEEN_SECONDS = 20.0
_PAGE = 1000
"""The longest page of a list."""
_PAGE_KIBIBYTES = 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="decentralise", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/decentralise"))
    parser.add_argument("--identities", type=int, default=10)
    parser.add_argument("--clients", type=int, default=2, help="Clients that start flows.")
    parser.add_argument("--pace", type=float, default=0.5, help="Seconds between their flows.")
    parser.add_argument(
        "--stay", type=int, default=0, help="Identities that stay on the first host."
    )
    parser.add_argument("--picture", type=Path, help="Where to draw the run, as SVG.")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    console = DemoConsole()
    facts: dict[str, object] = {}
    try:
        _run(console, options, facts)
    except StepFailedError as failed:
        console.failure(f"FAILED: {failed}")
    good = console.summary(options.folder / "summary.json", facts)
    console.verdict("DECENTRALISED" if good else "FAILED", good=good)
    sys.exit(0 if good else 1)


def _run(console: DemoConsole, options: argparse.Namespace, facts: dict[str, object]) -> None:
    workshop = packages.Workshop(folder=options.folder, samples=Path("sample_cordapps"))
    shell = CommandLine(console, Path.cwd())
    packages.make_key(console, shell, workshop)
    network = Network(console, options.folder / "network", workshop.certificate)
    try:
        with console.step(f"One host with MGM, notary and {options.identities} members"):
            out = options.folder / "iou"
            sources = str(workshop.samples / "iou")
            shell.cordbox(
                *("cordapp", "build", sources, *workshop.signing(), "--output-dir", str(out)),
                quiet=True,
            )
            (cpb,) = out.glob("*.cpb")
            names = network.up(options.identities, cpb)
        load = Load(names, network.at, options.clients, options.pace)
        begun, moves = time.time(), dict[str, tuple[float, float]]()
        with load:
            load.until_more(_BETWEEN, _BETWEEN_SECONDS)
            leaving = [*names[options.stay :], NOTARY, MGM]
            for number, name in enumerate(leaving, 1):
                moves[name] = _move(network, load, number, name, begun)
        seconds = _settle(console, network, load, begun)
        _judge(console, network, load, names, facts)
        stay = dict.fromkeys(names[: options.stay], (seconds, seconds))
        lives = _lives(network, load, {**stay, **moves}, begun)
        facts |= _figures(network, load, moves, seconds)
        if options.picture is not None:
            caption = (
                f"{len(leaving) - 2} identities, notary and MGM leave one host under load:"
                f" {len(load.flows)} flows, all completed once"
            )
            options.picture.write_text(drawn(lives, seconds, caption), encoding="utf-8")
            console.note(f"drawn: {options.picture}")
    finally:
        network.down()


def _move(
    network: Network, load: Load, number: int, name: str, begun: float
) -> tuple[float, float]:
    """Move a member to a new host; returns when the move began and ended."""
    console = network.console
    with console.step(f"{name} moves to a host of its own") as record:
        place = network.new_host(number)
        path = "/flow/{}?responders=true&status=RUNNING"
        in_flight = len(network.look(name, path)["flowStatusResponses"])
        left = time.time() - begun
        network.move(name, place)
        arrived = time.time() - begun
        record.facts |= {"flowsInFlight": in_flight, "secondsOfMove": round(arrived - left, 2)}
        console.note(f"{in_flight} flows were in flight; the move took {arrived - left:.1f} s")
        load.until_more(_BETWEEN, _BETWEEN_SECONDS)
        return left, arrived


def _settle(console: DemoConsole, network: Network, load: Load, begun: float) -> float:
    """Wait until all flows have ended; returns the seconds since the load began."""
    with console.step("All flows end"):
        for name in network.nodes:
            client, node = network.at(name)
            for status in ("START_REQUESTED", "RUNNING"):
                client.poll(
                    f"/flow/{node}?responders=true&status={status}",
                    lambda answer: not answer["flowStatusResponses"],
                    what="the end of all flows",
                    show=False,
                )
        console.note(f"{len(load.flows)} flows; hosts asked clients to wait {load.refusals} times")
        return time.time() - begun


def _judge(
    console: DemoConsole, network: Network, load: Load, names: list[str], facts: dict[str, object]
) -> None:
    title = "Nothing failed, nothing happened twice, and ledgers agree"
    with console.step(title):
        asked = [_asked(network, flow) for flow in load.flows]
        members = {name: _member(network, name) for name in names}
        wrong = findings(asked, members)
        for sentence in wrong:
            console.failure(sentence)
        if wrong:
            raise StepFailedError(f"{len(wrong)} findings")
        held = sum(len(member.ious) for member in members.values())
        console.note(f"{len(asked)} flows, {held} IOUs in {len(members)} vaults: as they should be")
        facts |= {"flows": len(asked), "ious": held}


def _asked(network: Network, flow: Flow) -> Asked:
    found = network.look(flow.borrower, "/flow/{}/" + flow.request_id)
    result = json.loads(found["flowResult"]) if found.get("flowResult") else {}
    return Asked(
        request_id=flow.request_id,
        borrower=flow.borrower,
        lender=flow.lender,
        amount=flow.amount,
        status=found["flowStatus"],
        transaction_id=result.get("transaction_id"),
    )


def _member(network: Network, name: str) -> Member:
    statuses = network.look(name, "/flow/{}?responders=true&limit=" + str(_PAGE))[
        "flowStatusResponses"
    ]
    return Member(
        ious=[
            Held(
                state_ref=iou["state_ref"],
                borrower=iou["borrower"],
                lender=iou["lender"],
                amount=iou["amount"],
            )
            for iou in _listed(network, name)
        ],
        transactions=_transactions(network, name),
        flows=Counter(str(each["flowStatus"]) for each in statuses),
    )


def _listed(network: Network, name: str) -> list[dict[str, Any]]:
    client, node = network.at(name)
    request = {"clientRequestId": "list", "flowClassName": _LIST, "requestBody": {}}
    client.post(f"/flow/{node}", request, show=False, expect=202)
    path = f"/flow/{node}/list"
    ended = client.poll(path, lambda s: s["flowStatus"] in _ENDED, what="the list", show=False)
    found: list[dict[str, Any]] = json.loads(ended["flowResult"])
    return found


def _transactions(network: Network, name: str) -> dict[str, str]:
    """Id -> status, of a member's ledger."""
    page = network.look(name, "/ledger/{}/transaction?limit=" + str(_PAGE))["transactions"]
    if len(page) == _PAGE:
        raise StepFailedError(f"{name} has more than {_PAGE - 1} transactions: ask for fewer flows")
    return {each["id"]: each["status"] for each in page}


def _lives(
    network: Network, load: Load, moves: dict[str, tuple[float, float]], begun: float
) -> list[Life]:
    ended: dict[str, list[float]] = {name: [] for name in moves}
    for flow in load.flows:
        found = network.look(flow.borrower, "/flow/{}/" + flow.request_id)
        at = datetime.fromisoformat(found["timestamp"]).timestamp()
        ended[flow.borrower].append(at - begun)
    return [
        Life(
            name=name.split(",")[0].removeprefix("O="),
            left=left,
            arrived=arrived,
            flows=ended[name],
        )
        for name, (left, arrived) in moves.items()
    ]


def _figures(
    network: Network, load: Load, moves: dict[str, tuple[float, float]], seconds: float
) -> dict[str, object]:
    """Figures of the run, for its summary: seconds, and memory of an idle host in MiB."""
    memory = []
    for pid in network.processes():
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        memory.append(round(pages * _PAGE_KIBIBYTES / 1024))
    return {
        "seconds": round(seconds, 1),
        "longestMove": round(max(b - a for a, b in moves.values()), 1),
        "refusals": load.refusals,
        "mebibytesOfHosts": memory,
    }


if __name__ == "__main__":
    main()
