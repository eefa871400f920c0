"""Worker kinds, and how many processes of each a host runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from host.domain.errors import InvalidInputError

COMBINED = "combined"
COUNT_MAX = 64

_TERM = re.compile(r"([a-z]+)(?:=([0-9]{1,3}))?")


class WorkersInvalidError(InvalidInputError):
    """The text is not a valid set of worker processes."""

    code = "workers-invalid"


class WorkerKind(StrEnum):
    """What a worker process does."""

    CRYPTO = "crypto"
    UNIQUENESS = "uniqueness"
    VERIFICATION = "verification"
    MEMBERSHIP = "membership"
    PERSISTENCE = "persistence"
    LINK = "link"
    GATEWAY = "gateway"
    FLOW = "flow"
    RELAY = "relay"
    REST = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """Number of processes of each kind; if there are none, one process does everything.

    A service whose kind has processes runs only there. Other services run in every process that
    needs them.
    """

    counts: Mapping[WorkerKind, int]

    @staticmethod
    def parse(text: str, *, flow_count: int, has_relay: bool = False) -> "WorkerPlan":
        """Read `combined`, or kinds with counts such as `flow=2,crypto`.

        There is always one REST process, and there are `flow_count` flow processes unless a count
        is given, and one relay process with `has_relay`; other kinds without a count get one
        process. Link and gateway come together.

        Raises:
            WorkersInvalidError: an unknown kind, a duplicate kind, or an invalid count.
        """
        if text.strip() == COMBINED:
            return WorkerPlan(counts=MappingProxyType({}))
        counts: dict[WorkerKind, int] = {}
        for term in text.split(","):
            kind, count = _read(term.strip())
            if kind in counts:
                raise WorkersInvalidError(f"workers: {kind.value!r} is named twice")
            default = flow_count if kind is WorkerKind.FLOW else 1
            counts[kind] = default if count is None else count
        if counts.setdefault(WorkerKind.REST, 1) != 1:
            raise WorkersInvalidError("workers: a host has exactly one rest process")
        counts.setdefault(WorkerKind.FLOW, flow_count)
        if has_relay and counts.setdefault(WorkerKind.RELAY, 1) != 1:
            raise WorkersInvalidError("workers: a host has exactly one relay process")
        if WorkerKind.LINK in counts or WorkerKind.GATEWAY in counts:
            counts.setdefault(WorkerKind.GATEWAY, 1)
            if counts.setdefault(WorkerKind.LINK, 1) != 1:
                raise WorkersInvalidError("workers: a host has exactly one link process")
        return WorkerPlan(
            counts=MappingProxyType({k: counts[k] for k in WorkerKind if k in counts})
        )

    @property
    def is_combined(self) -> bool:
        return not self.counts

    def __str__(self) -> str:
        return ",".join(f"{kind}={count}" for kind, count in self.counts.items()) or COMBINED


def _read(term: str) -> tuple[WorkerKind, int | None]:
    match = _TERM.fullmatch(term)
    names = ", ".join(WorkerKind)
    if match is None or match[1] not in set(WorkerKind):
        raise WorkersInvalidError(
            f"workers: {term[:32]!r} is neither {COMBINED!r} nor one of {names}, with a count"
            " such as 'flow=2'"
        )
    if match[2] is None:
        return WorkerKind(match[1]), None
    count = int(match[2])
    if not 1 <= count <= COUNT_MAX:
        raise WorkersInvalidError(f"workers: {term!r}: expected a count from 1 to {COUNT_MAX}")
    return WorkerKind(match[1]), count
