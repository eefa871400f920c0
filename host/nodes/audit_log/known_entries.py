"""What a log remembers of its latest entries, to recognise what is in it already."""

import math
from collections import OrderedDict
from typing import TypeAlias

from host.domain.json import JsonValue
from host.nodes.audit_log import chain, refusals
from host.nodes.audit_log.problems import Anchor
from host.ports.audit_log import PrivilegedCall

_FLOWS_MAX = 10_000
_DIGESTS_MAX = 4 * refusals.RUNS_MAX


Place: TypeAlias = tuple[int, float]
"""Of a call in its flow: its number, and the step of the platform within it; the call ends them."""


def place_of(number: int, step: JsonValue) -> Place:
    return number, step if isinstance(step, int) else math.inf


class KnownEntries:
    """The last calls of flows, reported counts and reported ends. Mutable, used under a lock."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[Place, str]] = OrderedDict()
        self._digests: OrderedDict[str, None] = OrderedDict()
        self._ends: set[Anchor] = set()
        self._origins: set[Anchor] = set()

    def has_call(self, call: PrivilegedCall) -> bool:
        """Whether the log has the call with this outcome, or a later one of its flow."""
        place = place_of(call.call, call.step)
        known, outcome = self._last_call(call.flow_id)
        return place < known or (place, call.outcome) == (known, outcome)

    def _last_call(self, flow: str) -> tuple[Place, str]:
        """Place and outcome of the flow's last call; before all, if none is known."""
        return self._calls.get(flow, ((-1, 0), ""))

    def has_count(self, digest: str) -> bool:
        """Whether an entry tells how often the refusal of this digest was repeated."""
        return digest in self._digests

    def has_end(self, end: Anchor) -> bool:
        """Whether an entry `recovery` names this earlier end of the log."""
        return end in self._ends

    def has_origin(self, end: Anchor) -> bool:
        """Whether an entry names this end of a log on the cluster that the node came from."""
        return end in self._origins

    def add(self, entry: chain.Entry) -> None:
        """Remember an entry of the log."""
        known = entry.get("headSeq")
        if entry.get("kind") == chain.RECOVERY and isinstance(known, int):
            self._ends.add(Anchor(seq=known, hash=str(entry.get("headHash"))))
        if entry.get("kind") == chain.ARRIVED and isinstance(of := entry.get("of"), int):
            self._origins.add(Anchor(seq=of, hash=str(entry.get("ofHash"))))
        if entry.get("kind") == chain.CALL:
            self._add_call(entry, entry.get("call"), entry.get("step"))
        elif entry.get("kind") == chain.REPEATS:
            self._digests[str(entry.get("digest"))] = None
            if len(self._digests) > _DIGESTS_MAX:
                self._digests.popitem(last=False)
            if entry.get("flow") != refusals.ANY:
                self._add_call(entry, entry.get("lastCall"), None)

    def _add_call(self, entry: chain.Entry, number: JsonValue, step: JsonValue) -> None:
        if not isinstance(number, int):
            return
        flow, place = str(entry.get("flow")), place_of(number, step)
        if place >= self._last_call(flow)[0]:
            self._calls[flow] = (place, str(entry.get("outcome")))
            self._calls.move_to_end(flow)
            if len(self._calls) > _FLOWS_MAX:
                self._calls.popitem(last=False)
