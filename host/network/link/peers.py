"""When a peer is tried again, and at which of its endpoints. Pure.

Delays double from 2 s to 10 s, with 20 % jitter, and are 60 s after ten minutes of failures. Every
try takes the next endpoint. A valid frame of the peer ends the delay.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from host.domain.ids import EpochMs
from host.network.link.limits import LinkLimits

LONG_MS = 60_000
LONG_AFTER_MS = 10 * 60_000
JITTER = 0.2
_NEVER = EpochMs(0)
ERROR_CHARACTERS_MAX = 500
URLS_MAX = 16
"""Endpoints whose failures are counted, of those that a member may have had meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerState:
    """`failures` in a row, since `failing_since`; `endpoint` counts tries.

    `by_url` counts those failures by endpoint; `error` is the last one's reason.
    """

    failures: int = 0
    failing_since: EpochMs = _NEVER
    next_at: EpochMs = _NEVER
    endpoint: int = 0
    by_url: Mapping[str, int] = field(default_factory=dict)
    error: str = ""


def failed(
    state: PeerState,
    now: EpochMs,
    jitter: float,
    limits: LinkLimits,
    *,
    url: str = "",
    reason: str = "",
) -> PeerState:
    """A request was not answered.

    Args:
        state: before.
        now: monotonic time.
        jitter: random, from -1 to 1.
        limits: of the delay.
        url: endpoint that was tried; empty if none could be.
        reason: why it was in vain.
    """
    since = now if state.failures == 0 else state.failing_since
    if now - since >= LONG_AFTER_MS:
        delay = LONG_MS
    else:
        delay = min(limits.first_ms << min(state.failures, 8), limits.later_ms)
    at = EpochMs(now + round(delay * (1 + JITTER * jitter)))
    return PeerState(
        failures=state.failures + 1,
        failing_since=since,
        next_at=at,
        endpoint=state.endpoint + 1,
        by_url=_counted(state.by_url, url),
        error=reason[:ERROR_CHARACTERS_MAX],
    )


def heard(state: PeerState) -> PeerState:
    """A valid frame of the peer has arrived."""
    return PeerState(endpoint=state.endpoint) if state.failures else state


def tried_now(state: PeerState) -> PeerState:
    """Somebody asks for the peer: it is tried at once."""
    return replace(state, next_at=_NEVER)


def postponed(state: PeerState, until: EpochMs) -> PeerState:
    """The peer asked for a pause, or takes nothing now."""
    return replace(state, next_at=max(state.next_at, until))


def url_of(state: PeerState, urls: tuple[str, ...]) -> str:
    """The endpoint to try next; `urls` is not empty."""
    return urls[state.endpoint % len(urls)]


def _counted(by_url: Mapping[str, int], url: str) -> Mapping[str, int]:
    if not url or (url not in by_url and len(by_url) >= URLS_MAX):
        return by_url
    return {**by_url, url: by_url.get(url, 0) + 1}
