"""Values of a link that may change while it runs; Corda's section `corda.p2p.linkManager`. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

VALID_MS_MAX = 7 * 24 * 3600 * 1000
"""The longest time of a session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimits:
    """Times are milliseconds.

    Attributes:
        message_bytes_max: of a message that is taken here; a session has the smaller one of both
            sides.
        first_ms: until a request is repeated that was not answered; doubled with each failure.
        later_ms: between two repetitions at most, for ten minutes.
        unacknowledged_max: messages of one pair.
        ask_ms: between two questions to a peer without room.
        session_timeout_ms: without an acknowledgement until another session is negotiated.
        refresh_ms: age at which a session of full length is replaced, a shorter one earlier.
    """

    message_bytes_max: int = 1_000_000
    first_ms: int = 2_000
    later_ms: int = 10_000
    unacknowledged_max: int = 100
    ask_ms: int = 2_000
    session_timeout_ms: int = 60_000
    refresh_ms: int = VALID_MS_MAX * 5 // 7


LimitsOf = Callable[[], LinkLimits]
"""The values in force; fast."""
