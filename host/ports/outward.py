"""Outward topics: logs that other systems read, and the broker that serves them there.

External messages (`ext.*`), dead letters and flows' statuses leave the cluster; nothing comes in.
"""

from collections.abc import Mapping, Sequence
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
