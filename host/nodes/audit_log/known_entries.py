"""What a log remembers of its latest entries, to recognise what is in it already."""

from collections import OrderedDict

from host.domain.json import JsonValue
from host.nodes.audit_log import chain, refusals
from host.nodes.audit_log.problems import Anchor

_FLOWS_MAX = 10_000
_DIGESTS_MAX = 4 * refusals.RUNS_MAX


class KnownEntries:
    """The last calls of flows, reported counts and reported ends. Mutable, used under a lock."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._digests: OrderedDict[str, None] = OrderedDict()
        self._ends: set[Anchor] = set()

    def last_call(self, flow: str) -> tuple[int, str]:
        """Number and outcome of the flow's last call; -1 and no outcome if none is known."""
        return self._calls.get(flow, (-1, ""))

    def has_count(self, digest: str) -> bool:
        """Whether an entry tells how often the refusal of this digest was repeated."""
        return digest in self._digests

    def has_end(self, end: Anchor) -> bool:
        """Whether an entry `recovery` names this earlier end of the log."""
        return end in self._ends

    def add(self, entry: chain.Entry) -> None:
        """Remember an entry of the log."""
        known = entry.get("headSeq")
        if entry.get("kind") == chain.RECOVERY and isinstance(known, int):
            self._ends.add(Anchor(seq=known, hash=str(entry.get("headHash"))))
        if entry.get("kind") == chain.CALL:
            self._add_call(str(entry.get("flow")), entry.get("call"), entry.get("outcome"))
        elif entry.get("kind") == chain.REPEATS:
            self._digests[str(entry.get("digest"))] = None
            if len(self._digests) > _DIGESTS_MAX:
                self._digests.popitem(last=False)
            if entry.get("flow") != refusals.ANY:
                self._add_call(str(entry.get("flow")), entry.get("lastCall"), entry.get("outcome"))

    def _add_call(self, flow: str, number: JsonValue, outcome: JsonValue) -> None:
        if isinstance(number, int) and number >= self.last_call(flow)[0]:
            self._calls[flow] = (number, str(outcome))
            self._calls.move_to_end(flow)
            if len(self._calls) > _FLOWS_MAX:
                self._calls.popitem(last=False)
