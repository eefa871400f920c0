"""Outward topics: logs that other systems read, and the broker that serves them there.

External messages (`ext.*`), dead letters and flows' statuses leave the cluster; nothing comes in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.domain.errors import HostError
from host.ports.bus import Record, TopicPartition

EXTERNAL_PREFIX = "ext."
"""Prefix of the topics of messages to systems outside the network."""
STATUS_TOPIC = "flow.status"
"""Each status that a client-started flow takes; written only on a host with a relay."""


class OutwardBroker(Protocol):
    """A message broker outside the cluster. Used by one thread."""

    def deliver(self, batches: Sequence[Sequence[Record]]) -> Mapping[TopicPartition, HostError]:
        """Send records, and wait until the broker has stored all or refused some.

        Records of one batch, which are of one partition, keep their order. A call that fails may be
        repeated: readers tell repeated records by their ids.

        Returns:
            For each partition of which a record may not have arrived, why; none: all have arrived.
        """
        ...

    def close(self) -> None:
        """Forget what was not sent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTopic:
    """A topic as the broker should have it.

    Attributes:
        name: with the prefix of the settings.
        is_compacted: only the last record of each key is kept for ever.
        retention_ms: how long records are kept otherwise; None: as the broker's default says.
        record_bytes_max: the largest record that it takes.
        is_work: it carries work between flows (`bus = kafka`), each partition that of the database.
    """

    name: str
    partitions: int
    replicas: int
    is_compacted: bool
    retention_ms: int | None
    record_bytes_max: int
    is_work: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTopic:
    """A wanted topic as it was found.

    Attributes:
        exists: whether the broker has it.
        faults: what would lose, refuse or disorder records, one sentence each.
    """

    name: str
    exists: bool
    faults: Sequence[str] = ()


class BrokerTopics(Protocol):
    """The topics of a broker, as operators look after them."""

    def wanted(
        self, external: Sequence[str], *, partitions: int, replicas: int, work_partitions: int = 0
    ) -> Sequence[WantedTopic]:
        """The outward topics: the shared ones, and those of `external` messages by their names.

        With `bus = kafka` also those of work, with `work_partitions` partitions.

        Raises:
            InvalidInputError: a name that no topic of external messages can have.
        """
        ...

    def create(self, topics: Sequence[WantedTopic]) -> Sequence[str]:
        """Make those that do not exist; returns their names.

        Raises:
            UnavailableError: the broker cannot be reached.
            ForbiddenError: it refused.
        """
        ...

    def check(self, topics: Sequence[WantedTopic]) -> Sequence[FoundTopic]:
        """How each is on the broker; raises as `create`."""
        ...
