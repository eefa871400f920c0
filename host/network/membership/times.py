"""How long things of membership take at most. Pure.

Defaults are Corda's, of section `corda.membership`.
"""

from dataclasses import dataclass

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTimes:
    """Times in milliseconds.

    Attributes:
        sync_ms: between two questions of a member for its list, less up to a tenth.
        expiry_ms: until a registration is declined whose status does not change.
        verify_ms: for a member's answer to the MGM.
        send_ms: for sending a registration.
        decline_ms: in which a member is told that its registration was declined; later it learns it
            by asking.
        package_ms: until a package without an answer is sent again, then of the newest version.
    """

    sync_ms: int = 480 * MINUTE_MS
    expiry_ms: int = 180 * MINUTE_MS
    verify_ms: int = 20 * MINUTE_MS
    send_ms: int = 30 * MINUTE_MS
    package_ms: int = 10 * MINUTE_MS
    decline_ms: int = 8 * MINUTE_MS
