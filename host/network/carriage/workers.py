"""The threads that carry work: those of the groups `carriage-out` and `carriage-in`."""

from host.flow.core.messages import P2P_OUT_TOPIC, WORK_TOPICS
from host.network.group_thread import ThreadGroup
from host.network.values.messages import MEMBERSHIP_IN_TOPIC
from host.ports.bus import Committed

CARRIED_TOPICS = (*WORK_TOPICS, P2P_OUT_TOPIC, MEMBERSHIP_IN_TOPIC)
"""The topics of work."""


def _of_outbox(committed: Committed) -> bool:
    """Commits tell of the outbox as of a log."""
    return any(place.topic in CARRIED_TOPICS for place in committed.logs)


SENDERS = ThreadGroup(name="carriage-out", concerns=_of_outbox)
"""Their work is a `host.network.carriage.sender.Sender`."""
LANDERS = ThreadGroup(name="carriage-in", concerns=lambda _committed: False)
"""Their work is a `host.network.carriage.lander.Lander`: a broker brings it, no commit does."""
