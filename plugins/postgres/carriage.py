"""The outbox and the inlets of a flow store in PostgreSQL (`host.ports.carriage`)."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from host.domain.ids import EpochMs, ShortHash
from host.domain.landed import Landed
from host.ports.bus import TopicPartition, WorkQueue
from host.ports.carriage import Carried, Inlet, Landing, Stream, Unlanded

UNLANDED = (
    "WITH RECURSIVE found AS ("
    " (SELECT target, topic, partition, node FROM outbox"
    " ORDER BY target, topic, partition, node LIMIT 1)"
    " UNION ALL SELECT next.* FROM found, LATERAL ("
    " SELECT o.target, o.topic, o.partition, o.node FROM outbox o"
    " WHERE (o.target, o.topic, o.partition, o.node)"
    " > (found.target, found.topic, found.partition, found.node)"
    " ORDER BY o.target, o.topic, o.partition, o.node LIMIT 1) next)"
    " SELECT f.target, f.topic, f.partition, f.node, r.position, r.key, r.size"
    " FROM found f, LATERAL (SELECT position, key, octet_length(value) AS size FROM outbox o"
    " WHERE o.target = f.target AND o.topic = f.topic AND o.partition = f.partition"
    " AND o.node = f.node ORDER BY position LIMIT :m) r WHERE f.partition = ANY (:ps)"
)
"""One look-up of the index per queue, independent of its number of records."""
CONTENTS = (
    "SELECT o.target, o.topic, o.partition, o.position, o.node, o.key, o.peer, o.written_at,"
    " o.nonce, o.value FROM jsonb_to_recordset(:wanted::jsonb)"
    " w (target integer, topic text, partition integer, position bigint)"
    " JOIN outbox o USING (target, topic, partition, position)"
)
STILL_THERE = (
    "SELECT o.topic, o.partition, o.position, o.nonce FROM jsonb_to_recordset(:wanted::jsonb)"
    " w (target integer, topic text, partition integer, position bigint)"
    " JOIN outbox o USING (target, topic, partition, position)"
)
INLETS = (
    "SELECT i.source, i.topic, i.partition, i.version, i.landed::text"
    " FROM jsonb_to_recordset(:wanted::jsonb) w (source text, topic text, partition integer)"
    " JOIN inlets i USING (source, topic, partition)"
)
PLACES = "SELECT topic, partition, next FROM inlet_places WHERE partition = ANY (:ps)"
LAND = "SELECT land_work(:number, :said::jsonb, :vals::bytea[])"
ACKNOWLEDGE = "SELECT acknowledge(:number, :said::jsonb)"
LEAVING = "SELECT topic, count(*), min(written_at) FROM outbox GROUP BY topic ORDER BY topic"
COUNT_LEAVING = "SELECT count(*) FROM outbox WHERE node = :n"
_RUN = re.compile(r"\[(\d+),(\d+)\)")
_encode = msgspec.json.Encoder().encode


def unlanded_of(row: Sequence[Any]) -> Unlanded:
    """A row of `UNLANDED`."""
    target, topic, partition, node, position, key, size = row
    queue = WorkQueue(topic, partition, ShortHash(node))
    return Unlanded(target=target, queue=queue, position=position, key=key, size=size)


def wanted_contents(wanted: Collection[Unlanded | Carried]) -> str:
    """The parameter of `CONTENTS` and of `STILL_THERE`."""
    return _encode(
        [
            {
                "target": each.target,
                "topic": each.queue.topic,
                "partition": each.queue.partition,
                "position": each.position,
            }
            for each in wanted
        ]
    ).decode()


def contents_of(
    rows: Sequence[Sequence[Any]], wanted: Mapping[Unlanded, int | None], source: str
) -> Sequence[Carried]:
    """The rows of `CONTENTS`, in the order of `wanted`."""
    found = {tuple(row[:4]): row for row in rows}
    records = []
    for each, after in wanted.items():
        place = each.target, each.queue.topic, each.queue.partition, each.position
        row = found.get(place)
        if row is None:
            continue
        *_, peer, written_at, nonce, value = row
        records.append(
            Carried(
                source=source,
                target=each.target,
                queue=each.queue,
                position=each.position,
                nonce=nonce,
                after=after,
                key=each.key,
                value=value,
                peer=None if peer is None else ShortHash(peer),
                written_at=EpochMs(written_at),
            )
        )
    return records


def found_of(rows: Sequence[Sequence[Any]], records: Sequence[Carried]) -> Sequence[Carried]:
    """The records of which the rows of `STILL_THERE` tell."""
    found = {tuple(row) for row in rows}
    return [
        each
        for each in records
        if (each.queue.topic, each.queue.partition, each.position, each.nonce) in found
    ]


def wanted_inlets(streams: Collection[Stream]) -> str:
    """The parameter of `INLETS`."""
    return _encode([stream._asdict() for stream in streams]).decode()


def inlet_of(row: Sequence[Any]) -> tuple[Stream, Inlet]:
    """A row of `INLETS`."""
    source, topic, partition, version, landed = row
    runs = [(int(start), int(end)) for start, end in _RUN.findall(landed)]
    return Stream(source, topic, partition), Inlet(landed=Landed.of(runs), version=version)


def place_of(row: Sequence[Any]) -> tuple[TopicPartition, int]:
    """A row of `PLACES`."""
    topic, partition, following = row
    return TopicPartition(topic=topic, partition=partition), following


def landing_arguments(landing: Landing, own: str) -> tuple[str, Sequence[bytes]]:
    """What `LAND` writes, as JSON, and the values to which it refers by their numbers from 1.

    Inlets are sorted: so landings do not wait for each other in a circle.

    Args:
        landing: what is landed.
        own: the id of this store.
    """
    said = {
        "inlets": [
            {
                "s": stream.source,
                "t": stream.topic,
                "p": stream.partition,
                "x": inlet.version,
                "r": "{" + ",".join(f"[{a},{b})" for a, b in inlet.landed.ranges) + "}",
            }
            for stream, inlet in sorted(landing.inlets.items())
        ],
        "own": positions_of([each for each in landing.records if each.source == own]),
        "records": [_record(each, number) for number, each in enumerate(landing.records, 1)],
        "places": [
            {"t": place.topic, "p": place.partition, "next": following}
            for place, following in sorted(landing.places.items())
        ],
    }
    return _encode(said).decode(), [each.value for each in landing.records]


def positions_of(records: Sequence[Carried]) -> Sequence[Mapping[str, object]]:
    """Positions by topic and partition, sorted."""
    found: dict[tuple[str, int], list[int]] = {}
    for each in records:
        found.setdefault((each.queue.topic, each.queue.partition), []).append(each.position)
    return [{"t": t, "p": p, "at": sorted(at)} for (t, p), at in sorted(found.items())]


def acknowledged(records: Sequence[Carried]) -> str:
    """The parameter of `ACKNOWLEDGE`."""
    return _encode(positions_of(records)).decode()


def _record(record: Carried, number: int) -> Mapping[str, object]:
    said: dict[str, object] = {
        "t": record.queue.topic,
        "p": record.queue.partition,
        "n": record.queue.node,
        "k": record.key,
        "w": record.written_at,
        "v": number,
    }
    return said if record.peer is None else said | {"peer": record.peer}
