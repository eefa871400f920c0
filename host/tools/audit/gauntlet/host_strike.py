"""The clients of an attack on a host, in a separate process with a low priority.

Real attackers use other machines, so their clients must not compete with the host or the
neighbour's client for the processors and the interpreter that are measured. An order is a line of
JSON on standard input; each strike writes a line with its endings; the end of standard input ends
the attack.
"""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import IO, Any, cast

import msgspec
from msgspec import Struct

from host.domain.accounts import QuotaExceededError
from host.domain.errors import HostError, NotFoundError, UnavailableError
from host.domain.json import JsonObject
from host.flow.core.errors import FlowsTooManyError
from host.tools.audit.gauntlet.host_attacks import KILLED, REFUSED, HostAttack, host_attacks
from host.tools.audit.gauntlet.model import CONTAINED, Ending
from host.tools.audit.gauntlet.strangers import Door
from host.tools.client.host_client import HostClient
from host.tools.flows.client import FINAL, FlowPlace, HostFlows

_CLIENTS = 8
_LISTS = 20
_MESSAGE_MAX = 200
_WAIT_S = 0.1
_NICE = 10
_QUOTAS = frozenset({QuotaExceededError.code, FlowsTooManyError.code})
"""Codes with which a host refuses a start for a quota of the node."""


class AttackClientError(UnavailableError):
    """The clients of an attack ended too early."""

    code = "gauntlet-attack-client"


class Order(Struct, frozen=True, kw_only=True):
    """The attack to perform, and its target.

    `attack` is its name in the catalogue, `flows` and `body` its own or those of a smaller one;
    `url`, `certificate` (a file's path) and `password` are those of the host and its `admin`;
    `node` is the short hash of the node whose flows attack.
    """

    attack: str
    flows: int
    body: Any
    node: str
    url: str
    certificate: str
    password: str

    def client(self) -> HostClient:
        certificate = Path(self.certificate)
        return HostClient(self.url, user="admin", password=self.password, ca_file=certificate)


class Strike(Struct, frozen=True, kw_only=True):
    """The result of one strike: an ending of each code, or why the clients cannot continue."""

    endings: Sequence[Ending] = ()
    failure: str | None = None


def clients(order: Order, over: Event) -> Iterator[Sequence[Ending]]:
    """Start the clients and yield the endings of each strike, until `over` is set.

    Raises:
        AttackClientError: they ended earlier.
    """
    command = [sys.executable, "-P", "-m", "host.tools.audit.gauntlet.host_strike"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        orders, strikes = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        orders.write(msgspec.json.encode(order) + b"\n")
        orders.flush()
        ender = threading.Thread(target=_close_when, args=(over, orders), daemon=True)
        ender.start()
        for line in strikes:
            strike = msgspec.json.decode(line, type=Strike)
            if strike.failure is not None:
                raise AttackClientError(strike.failure)
            yield strike.endings
        if not over.is_set():
            raise AttackClientError(f"the clients of {order.attack!r} have ended")
        ender.join()


def _close_when(over: Event, pipe: IO[bytes]) -> None:
    over.wait()
    with suppress(OSError):  # the clients have ended
        pipe.close()


def main() -> None:
    """Strike until standard input ends."""
    os.nice(_NICE)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    over = Event()
    threading.Thread(target=_set_at_end, args=(over,), daemon=True).start()
    listed = next(attack for attack in host_attacks() if attack.name == order.attack)
    attack = replace(listed, flows=order.flows, body=order.body)
    while True:
        try:
            found = _strike(attack, order, over)
        except HostError as failed:
            _tell(Strike(failure=f"{failed.code}: {failed.message}"))
            return
        _tell(Strike(endings=tuple({ending.code: ending for ending in found}.values())))
        if over.is_set():
            return


def _set_at_end(over: Event) -> None:
    sys.stdin.buffer.read()
    over.set()


def _tell(strike: Strike) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(strike) + b"\n")
    sys.stdout.buffer.flush()


def _strike(attack: HostAttack, order: Order, over: Event) -> list[Ending]:
    """Attack until `over` is set, or until the attack has ended.

    Raises:
        HostError: the host did not answer.
    """
    if attack.stranger is not None:
        attack.stranger(Door(url=order.url, certificate=Path(order.certificate)), over)
        return [Ending(code=CONTAINED, message="held out until it was over")]
    places = [
        FlowPlace(node=order.node, request_id=f"gauntlet-{uuid.uuid4()}")
        for _ in range(attack.flows)
    ]
    crowds = [places[first::_CLIENTS] for first in range(_CLIENTS)]
    with ThreadPoolExecutor(_CLIENTS, thread_name_prefix="gauntlet") as pool:
        endings = pool.map(lambda crowd: _run(attack, order, crowd, over), crowds)
        return [ending for found in endings for ending in found]


def _run(
    attack: HostAttack, order: Order, places: Sequence[FlowPlace], over: Event
) -> list[Ending]:
    """Start flows as fast as one client can, and wait for their ends."""
    with order.client() as client:
        flows = HostFlows(client)
        started = [(place, _started(flows, place, attack)) for place in places]
        if attack.lists and places:
            _list(client, places[0].node, over)
        return [refused or _ended(flows, place, over) for place, refused in started]


def _list(client: HostClient, node: str, over: Event) -> None:
    """List the node's flows with their results, as often as an operator's script would."""
    for _ in range(_LISTS):
        if not over.is_set():
            with suppress(HostError):
                client.get(f"/flow/{node}", results="true")


def _started(flows: HostFlows, place: FlowPlace, attack: HostAttack) -> Ending | None:
    """Start a flow; returns the ending if the host refuses it."""
    try:
        flows.start(place, attack.flow, attack.body)
    except HostError as refused:
        return ending_of_refusal(refused)
    return None


def ending_of_refusal(refused: HostError) -> Ending:
    """How an attack ends whose start the host refuses.

    Raises:
        UnavailableError: the host did not answer.
    """
    message = refused.message[:_MESSAGE_MAX]
    if refused.answered_code in _QUOTAS:
        return Ending(code=REFUSED, message=message)
    if isinstance(refused, UnavailableError):
        raise refused
    return Ending(code=refused.code, message=message)


def _ended(flows: HostFlows, place: FlowPlace, over: Event) -> Ending:
    """How a flow ended."""
    while True:
        try:
            answer = flows.result(place)
        except NotFoundError:
            return Ending(code=CONTAINED, message="its status was removed for newer ones")
        if answer.get("flowStatus") in FINAL:
            return _ending(answer)
        if over.wait(_WAIT_S):
            return Ending(code=KILLED, message="had not ended when its time was over")


def _ending(answer: JsonObject) -> Ending:
    error = answer.get("flowError")
    if not isinstance(error, dict):
        return Ending(code=CONTAINED, message="ran to its end")
    code, message = str(error.get("type")), str(error.get("message"))[:_MESSAGE_MAX]
    return Ending(code=code, message=message)


if __name__ == "__main__":
    main()
