"""Rows of the flow store's tables as values of the ports. Pure."""

from collections.abc import Sequence
from typing import Any

from host.domain.accounts import NOTHING, Balance
from host.domain.ids import EpochMs, FlowId, ShortHash
from host.ports.bus import DuePlace, Record, TopicPartition
from host.ports.glances import FlowGlance
from host.ports.state import StateRecord

STATE = "key, version, value, due_at, consumer, partition"
RECORD = "topic, partition, position, key, value, written_at, node"
GLANCE = "key, node, responder, request, flow_id, class, status, started, updated, ended"


def state_of(row: Sequence[Any]) -> StateRecord:
    """A state from the columns `STATE`."""
    key, version, value, due_at, group, partition = row
    place = None if group is None else DuePlace(group=group, partition=partition)
    return StateRecord(key=key, version=version, value=value, due_at=due_at, place=place)


def record_of(row: Sequence[Any]) -> Record:
    """A record of a log from the columns `RECORD`."""
    topic, partition, position, key, value, written_at, owner = row
    return Record(
        source=TopicPartition(topic=topic, partition=partition),
        offset=position,
        key=key,
        value=value,
        written_at=EpochMs(written_at),
        owner=owner,
    )


def glance_of(row: Sequence[Any]) -> FlowGlance:
    """A glance from the columns `GLANCE`."""
    key, node, responder, request, flow_id, flow_class, status, started, updated, ended = row
    return FlowGlance(
        key=key,
        node=ShortHash(node),
        request_id=request,
        flow_id=None if flow_id is None else FlowId(flow_id),
        flow_class=flow_class,
        status=status,
        is_responder=responder,
        started_at=EpochMs(started),
        updated_at=EpochMs(updated),
        ended_at=None if ended is None else EpochMs(ended),
    )


def balance_of(row: Sequence[int] | None) -> Balance:
    """A balance from bytes, things and lasting."""
    if row is None:
        return NOTHING
    size, things, lasting = row
    return Balance(bytes=int(size), rows=int(things), lasting=int(lasting))
