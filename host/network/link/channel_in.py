"""The receiving end of channels: which numbers of a pair were taken. Pure.

A number is taken once. What was taken is an unbroken row from 1 on, and ranges above it; numbers
that the sender has given up count as taken. A sender whose store was restored begins a new channel.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from host.domain.ids import EpochMs
from host.network.link.channel_out import WINDOW

RANGES_MAX = 32
CHANNELS_MAX = 4
KEPT_MS = 14 * 24 * 3600 * 1000
"""How long a channel is remembered after its last use: longer than any session lives."""
CHANNEL_BYTES = 16


class RxChannel(Struct, frozen=True, kw_only=True):
    """`ranges` are disjoint, ascending, and not adjacent to each other or to `upto`."""

    channel: bytes
    upto: int = 0
    ranges: tuple[tuple[int, int], ...] = ()
    last_at: EpochMs


class RxState(Struct, frozen=True, kw_only=True):
    """The channels of a pair, and the ids of its inbound sessions, oldest first, as stored."""

    v: int = 1
    channels: tuple[RxChannel, ...] = ()
    sessions: tuple[bytes, ...] = ()


class Verdict(StrEnum):
    """What becomes of a number."""

    NEW = "new"
    OLD = "old"
    """It was taken earlier: acknowledged again, and dropped."""
    LATER = "later"
    """It cannot be taken now: not acknowledged."""


def state_key(pair: str) -> str:
    return f"p2p/rx/{pair}"


def opened(
    state: RxState, channel: bytes, base: int, now: EpochMs
) -> tuple[RxState, RxChannel] | None:
    """The channel, created if it is new; None if there are too many, or it is malformed.

    Channels that were not used for a long time are forgotten.
    """
    kept = tuple(c for c in state.channels if c.last_at + KEPT_MS > now)
    found = next((c for c in kept if c.channel == channel), None)
    if found is not None:
        return replace(state, channels=tuple(c for c in kept if c is not found)), found
    if len(kept) >= CHANNELS_MAX or len(channel) != CHANNEL_BYTES or base < 1:
        return None
    return replace(state, channels=kept), RxChannel(channel=channel, upto=base - 1, last_at=now)


def closed(state: RxState, channel: RxChannel, now: EpochMs) -> RxState:
    """The state with the channel, as used now."""
    return replace(state, channels=(*state.channels, replace(channel, last_at=now)))


def with_session(state: RxState, session_id: bytes, most: int) -> tuple[RxState, tuple[bytes, ...]]:
    """The state with a further session, and the ids of those that are too many."""
    sessions = (*state.sessions, session_id)
    return replace(state, sessions=sessions[-most:]), sessions[:-most]


def take(channel: RxChannel, number: int, base: int) -> tuple[RxChannel, Verdict]:
    """Take a number, if it was not taken before.

    Args:
        channel: so far.
        number: of the message.
        base: that the message tells: smaller numbers never come again.
    """
    if number < base or number < 1:
        return channel, Verdict.OLD
    channel = _advanced(channel, base - 1)
    if number <= channel.upto or any(first <= number <= last for first, last in channel.ranges):
        return channel, Verdict.OLD
    if number > channel.upto + WINDOW:
        return channel, Verdict.LATER
    ranges = _joined((*channel.ranges, (number, number)))
    added = _advanced(replace(channel, ranges=ranges), channel.upto)
    if len(added.ranges) > RANGES_MAX:
        return channel, Verdict.LATER
    return added, Verdict.NEW


def _advanced(channel: RxChannel, upto: int) -> RxChannel:
    """Everything up to `upto` counts as taken."""
    upto = max(channel.upto, upto)
    above = []
    for first, last in channel.ranges:
        if first <= upto + 1:
            upto = max(upto, last)
        else:
            above.append((first, last))
    return replace(channel, upto=upto, ranges=tuple(above))


def _joined(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Ranges in order, adjacent ones joined."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)
