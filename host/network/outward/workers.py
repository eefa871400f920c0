"""The threads of relays, which send outward records."""

from host.flow.core.messages import DEAD_LETTER_TOPIC
from host.network.group_thread import ThreadGroup
from host.network.outward.troubles import GROUP
from host.ports.bus import Committed
from host.ports.outward import EXTERNAL_PREFIX, STATUS_TOPIC

_SHARED = frozenset({DEAD_LETTER_TOPIC, STATUS_TOPIC})


def _concerns(committed: Committed) -> bool:
    return any(
        place.topic in _SHARED or place.topic.startswith(EXTERNAL_PREFIX)
        for place in committed.logs
    )


RELAYS = ThreadGroup(name=GROUP, concerns=_concerns)
"""Their work is a `host.network.outward.relay.Relay`."""
