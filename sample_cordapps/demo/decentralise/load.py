"""Clients that go on while identities move: each flow is asked for until a host has taken it."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self

from sample_cordapps.demo.rest import RestClient

ISSUE = "iou_flows.IssueIou"
_RETRY_SECONDS = 0.5
_PAUSES = (0, 0, 500, 3000)
"""Milliseconds that flows sleep between two messages: some are always in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A flow that a host has taken."""

    request_id: str
    borrower: str
    lender: str
    amount: int


@dataclass
class Load:
    """Asks for IOUs between members, one after another in each of its threads.

    Attributes:
        names: of the members.
        at: gives a client of the host where a member is now, and the member's short hash.
        clients: how many threads ask.
        pace: seconds between two flows of a thread.
    """

    names: Sequence[str]
    at: Callable[[str], tuple[RestClient, str]]
    clients: int
    pace: float
    flows: list[Flow] = field(default_factory=list)
    refusals: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def until_more(self, count: int, seconds: float) -> None:
        """Wait until hosts have taken `count` flows more, at most so many seconds."""
        wanted, deadline = len(self.flows) + count, time.monotonic() + seconds
        while len(self.flows) < wanted and time.monotonic() < deadline:
            time.sleep(0.05)

    def _run(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311  # no secret
        while not self._over.wait(self.pace):
            borrower, lender = chance.sample(list(self.names), 2)
            with self._lock:
                self._count += 1
                amount = self._count
            body = {
                "counterparty": lender,
                "amount": amount,
                "pause_millis": chance.choice(_PAUSES),
            }
            request_id = f"owe-{amount}"
            self._ask(borrower, request_id, body)
            flow = Flow(request_id=request_id, borrower=borrower, lender=lender, amount=amount)
            with self._lock:
                self.flows.append(flow)

    def _ask(self, borrower: str, request_id: str, body: object) -> None:
        """Ask until a host has the flow; a node on its way refuses, and nothing is lost by that."""
        request = {"clientRequestId": request_id, "flowClassName": ISSUE, "requestBody": body}
        while True:
            client, node = self.at(borrower)
            if client.status("POST", f"/flow/{node}", request) == HTTPStatus.ACCEPTED:
                return
            if client.status("GET", f"/flow/{node}/{request_id}") == HTTPStatus.OK:
                return  # taken, and the answer was lost
            self.refusals += 1
            time.sleep(_RETRY_SECONDS)
