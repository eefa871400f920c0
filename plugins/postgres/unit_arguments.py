"""A unit of work as arguments of the database's function `commit_unit`. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from host.adapters.partitions import PARTITIONS, place_of, queue_of, target_of
from host.domain.accounts import Charge
from host.domain.ids import EpochMs, ShortHash
from host.ports.bus import NewRecord
from host.ports.glances import GlanceWrite
from host.ports.state import StateWrite
from host.ports.units import Consumed, JournalRow, Unit

_encode = msgspec.json.Encoder().encode


HomeOf = Callable[[ShortHash], int]
"""The number of the database where a node's queues are."""


def arguments_of(
    unit: Unit, partitions: int = PARTITIONS, home_of: HomeOf | None = None
) -> tuple[str, Sequence[bytes]]:
    """The unit as JSON, and its values, to which the JSON refers by their numbers from 1.

    Everything that takes a lock is sorted, so that units do not wait for each other in a circle.
    Records keep their order within a partition.

    Args:
        unit: the unit.
        partitions: of the store.
        home_of: for work that a broker carries; without it, work enters its queues at once.
    """
    values: list[bytes] = []
    found: dict[str, list[Any]] = {
        "fences": [
            {"g": f.group, "p": f.partition, "e": f.epoch}
            for f in sorted(unit.owned(), key=lambda f: (f.group, f.partition))
        ],
        "done": [
            {
                "t": d.queue.topic,
                "p": d.queue.partition,
                "n": d.queue.node,
                "at": sorted(d.positions),
            }
            for d in sorted(unit.done, key=lambda d: d.positions)
        ],
        "consumed": [_consumed(c) for c in sorted(unit.consumed, key=_consumed_place)],
        "dropped": [
            {"t": d.source.topic, "p": d.source.partition, "o": d.offset}
            for d in sorted(unit.dropped)
        ],
        "states": [_state(s, values, partitions) for s in sorted(unit.states, key=lambda s: s.key)],
        "journal": [_journal(r, values) for r in sorted(unit.journal, key=lambda r: r.flow_id)],
        "passed": [
            {"f": p.flow_id, "charge": _charge(p.charge)}
            for p in sorted(unit.passed, key=lambda p: p.flow_id)
        ],
        "forget": sorted(unit.forget),
        "records": [
            _record(r, values, partitions, home_of)
            for r in sorted(unit.records, key=lambda r: _tail(r, partitions, home_of))
        ],
    }
    return _encode({name: rows for name, rows in found.items() if rows}).decode(), values


def _number(values: list[bytes], value: bytes) -> int:
    values.append(value)
    return len(values)


def _charge(charge: Charge) -> list[str | None]:
    return [charge.node, charge.account.value, charge.peer]


def _consumed_place(consumed: Consumed) -> tuple[str, str, int, int]:
    return consumed.group, consumed.source.topic, consumed.source.partition, consumed.start


def _consumed(consumed: Consumed) -> dict[str, Any]:
    dropped = {"d": True} if consumed.is_dropped else {}
    return dropped | {
        "g": consumed.group,
        "t": consumed.source.topic,
        "p": consumed.source.partition,
        "s": consumed.start,
        "c": consumed.count,
    }


def _state(write: StateWrite, values: list[bytes], partitions: int) -> dict[str, Any]:
    said: dict[str, Any] = {"k": write.key}
    if write.expected is not None:
        said["x"] = write.expected
    if write.value is None:
        return said
    said["v"] = _number(values, write.value)
    if write.due_at is not None:
        said["due"] = write.due_at
    if write.place is not None:
        place = place_of(write.place, partitions)
        said |= {"g": place.group, "p": place.partition}
    if write.charge is not None:
        said["charge"] = _charge(write.charge)
    if write.glance is not None:
        said["glance"] = _glance(write.glance)
    return said


def _glance(glance: GlanceWrite) -> dict[str, Any]:
    ended: EpochMs | None = glance.at if glance.is_final else None
    return {
        "node": glance.node,
        "responder": glance.is_responder,
        "request": glance.request_id,
        "flow": glance.flow_id,
        "class": glance.flow_class,
        "status": glance.status,
        "at": glance.at,
        "ended": ended,
        "origin": glance.origin,
    }


def _journal(row: JournalRow, values: list[bytes]) -> dict[str, Any]:
    said: dict[str, Any] = {"f": row.flow_id, "n": row.number, "v": _number(values, row.value)}
    if row.charge is not None:
        said["charge"] = _charge(row.charge)
    return said


def _tail(record: NewRecord, partitions: int, home_of: HomeOf | None) -> tuple[bool, int, str, int]:
    """Work first, in the unit's order; what is numbered by what it locks: its outlet or tail."""
    if record.node is None:
        target = target_of(record, partitions)
        return True, 0, target.topic, target.partition
    if home_of is None:
        return False, 0, "", 0
    queue = queue_of(record, partitions)
    return False, home_of(queue.node), queue.topic, queue.partition


def _record(
    record: NewRecord, values: list[bytes], partitions: int, home_of: HomeOf | None
) -> dict[str, Any]:
    said: dict[str, Any] = {"k": record.key, "v": _number(values, record.value)}
    if record.node is not None:
        queue = queue_of(record, partitions)
        said |= {"t": queue.topic, "p": queue.partition, "n": queue.node}
        if home_of is not None:
            said["o"] = home_of(queue.node)
        if record.peer is not None:
            said["peer"] = record.peer
        return said
    target = target_of(record, partitions)
    said |= {"t": target.topic, "p": target.partition}
    if record.owner is not None:
        said["owner"] = record.owner
    return said
