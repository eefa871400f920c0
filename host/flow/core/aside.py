"""Records that are set aside: the queue of a key whose next record cannot be processed now.

Pure. The head, `aside/<short hash>/<topic>:<key>`, says why the key waits and which records it
has; each record is a state of its own, `aside/<short hash>/<topic>:<key>/<number>`. Numbers count
from 0 in the order in which records were set aside, and records are removed only from the front: so
the key's order is kept, and every write names the version that it replaces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from host.domain.accounts import Account, Charge
from host.domain.ids import EpochMs, ShortHash
from host.flow.core.messages import GROUP
from host.flow.core.retry import Failures
from host.flow.core.versioned_codec import read_stored
from host.ports.bus import NOBODY, Placement, WorkQueue
from host.ports.state import StateRecord, StateWrite
from host.ports.work import WorkRecord

ASIDE = "aside"
"""Prefix of the state keys of everything that is set aside."""
ASIDE_GROUP = f"{GROUP}.aside"
"""The group in whose partitions heads are placed, so that a partition's owner finds them."""


class Cause(StrEnum):
    RETRY = "retry"
    """The first record failed, and is retried at the head's due time."""
    PAUSED = "paused"
    """The node is paused: nothing is tried, and there is no due time."""


def head_key(node: ShortHash, topic: str, key: str) -> str:
    """The state key of the head of a key that is set aside."""
    return f"{ASIDE}/{node}/{topic}:{key}"


class WorkKey(NamedTuple):
    """A key and the queue of its records, which are processed one after the other."""

    queue: WorkQueue
    key: str

    @property
    def state_key(self) -> str:
        """The state key of its head."""
        return head_key(self.queue.node, self.queue.topic, self.key)

    def record_key(self, number: int) -> str:
        return f"{self.state_key}/{number}"

    @property
    def place(self) -> Placement:
        return Placement(group=ASIDE_GROUP, key=self.key)


class Head(Struct, frozen=True, kw_only=True):
    """Why a key waits. Its records are numbered from `first` to `after - 1`.

    `failures` are those of the first record.
    """

    v: int = 1
    cause: Cause = Cause.RETRY
    first: int = 0
    after: int = 0
    failures: Failures | None = None


class SetAside(Struct, frozen=True, kw_only=True):
    """A record as it was in its queue."""

    v: int = 1
    position: int
    written_at: EpochMs
    value: bytes


_head_encoder, _encoder = msgspec.json.Encoder(), msgspec.msgpack.Encoder()
_head_decoder = msgspec.json.Decoder(Head)
_decoder = msgspec.msgpack.Decoder(SetAside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """The head of a key as stored; `version` 0: no record of the key is set aside."""

    key: WorkKey
    version: int = 0
    head: Head = field(default_factory=Head)
    due: EpochMs | None = None

    def __len__(self) -> int:
        return self.head.after - self.head.first

    def behind(
        self,
        records: Sequence[WorkRecord],
        failures: Failures | None,
        due: EpochMs | None,
        cause: Cause = Cause.RETRY,
    ) -> tuple[StateWrite, ...]:
        """Writes that append `records` to those that are set aside.

        Args:
            records: of the key, in its order.
            failures: those of the very first record; of the head, if it has records already.
            due: when that record is retried.
            cause: why the key waits, if no record of it did so far.
        """
        head = replace(
            self.head,
            cause=self.head.cause if len(self) else cause,
            after=self.head.after + len(records),
            failures=failures,
        )
        added = [
            StateWrite(
                key=self.key.record_key(self.head.after + number),
                value=_encoder.encode(
                    SetAside(
                        position=record.position,
                        written_at=record.written_at,
                        value=record.value,
                    )
                ),
                expected=0,
                charge=self._charge(),
            )
            for number, record in enumerate(records)
        ]
        return (self._write(head, due), *added)

    def failed(self, failures: Failures, due: EpochMs) -> tuple[StateWrite, ...]:
        """Writes that record a further failure of the first record."""
        return (self._write(replace(self.head, cause=Cause.RETRY, failures=failures), due),)

    def without_first(self, count: int, now: EpochMs) -> tuple[StateWrite, ...]:
        """Writes that delete the first `count` records; the rest is due at once."""
        numbers = range(self.head.first, self.head.first + count)
        gone = [
            StateWrite(key=self.key.record_key(number), value=None, expected=1)
            for number in numbers
        ]
        if count == len(self):
            head = StateWrite(key=self.key.state_key, value=None, expected=self.version)
        else:
            left = replace(self.head, cause=Cause.RETRY, first=numbers.stop, failures=None)
            head = self._write(left, now)
        return (head, *gone)

    def _write(self, head: Head, due: EpochMs | None) -> StateWrite:
        return StateWrite(
            key=self.key.state_key,
            value=_head_encoder.encode(head),
            expected=self.version,
            due_at=due,
            place=self.key.place,
            charge=self._charge(),
        )

    def _charge(self) -> Charge | None:
        """The account to charge for a record that is set aside; none if the record is damaged."""
        node = self.key.queue.node
        return Charge(node=node, account=Account.BUS) if node != NOBODY else None


def key_of(record: StateRecord) -> WorkKey:
    """The key of a head, derived from its state key and its place."""
    _, node, name = record.key.split("/", 2)
    topic, _, key = name.partition(":")
    assert record.place is not None  # noqa: S101  # heads have one, and are found by it
    partition = record.place.partition
    return WorkKey(WorkQueue(topic=topic, partition=partition, node=ShortHash(node)), key)


def read_head(record: StateRecord) -> Aside:
    """The head of a key.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    head = read_stored(_head_decoder, record.value, f"head {record.key!r}")
    return Aside(key=key_of(record), version=record.version, head=head, due=record.due_at)


def read_set_aside(key: WorkKey, record: StateRecord) -> WorkRecord:
    """A record that was set aside.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    found = read_stored(_decoder, record.value, f"record {record.key!r}")
    return WorkRecord(
        queue=key.queue,
        position=found.position,
        key=key.key,
        value=found.value,
        written_at=found.written_at,
    )
