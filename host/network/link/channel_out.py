"""The sending end of a channel: numbered messages of one pair, until each is settled. Pure.

A message is settled when the receiver has acknowledged or refused it, or when it has expired.
Numbers are never used again. The head is stored with every change; messages are stored once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from host.domain.ids import EpochMs
from host.network.link.frames import Ack
from host.network.values.p2p_out import Filter, Subsystem

WINDOW = 1024
"""A receiver takes no number further than this beyond the last one of its unbroken row."""
UNACKNOWLEDGED_BYTES_MAX = 4 * 1024 * 1024
HOLD_MS_MAX = 15 * 60_000
HELD_MS_MAX = 24 * 3600 * 1000
"""For how long, in all, a receiver's holds may delay the expiry of a pair's messages."""


class DeliveryCode(StrEnum):
    """Why a message was given up."""

    UNREACHABLE = "peer-unreachable"
    TOO_LARGE = "message-too-large"


class TxHead(Struct, frozen=True, kw_only=True):
    """A pair's channel, as stored.

    Attributes:
        channel: 16 random bytes.
        next: the number that the next message gets.
        held_ms: for how long holds were in force.
        hold_until: until when the receiver takes no messages of flows.
    """

    v: int = 1
    group_id: str
    source: str
    target: str
    channel: bytes
    next: int = 1
    held_ms: int = 0
    hold_until: EpochMs = EpochMs(0)


class TxMessage(Struct, frozen=True, kw_only=True):
    """A message as stored. `expires_at` is the time of the sending store, without holds.

    `written_at` is when its sender wrote it; 0: not known.
    `size` is set in memory, where the payload is left out.
    """

    v: int = 1
    subsystem: Subsystem
    filter: Filter
    message_id: str
    expires_at: EpochMs
    payload: bytes
    sealed_for_mgm: bool = False
    written_at: EpochMs = EpochMs(0)
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What an acknowledgement changes.

    Attributes:
        head: the head from now on.
        taken: numbers that the receiver has.
        refused: numbers that it will never take, and why.
        is_void: the answer cannot be about messages of this store; a new channel begins.
    """

    head: TxHead
    taken: frozenset[int] = frozenset()
    refused: Mapping[int, str] = field(default_factory=dict)
    is_void: bool = False


def head_key(pair: str) -> str:
    return f"p2p/tx/{pair}"


def message_key(pair: str, number: int) -> str:
    return f"p2p/tx/{pair}/{number}"


def base_of(head: TxHead, pending: Mapping[int, object]) -> int:
    """The smallest number that is not settled."""
    return min(pending, default=head.next)


def acknowledged(
    head: TxHead, pending: Mapping[int, object], ack: Ack, now: EpochMs, new_channel: bytes
) -> Settled:
    """Process an acknowledgement.

    Args:
        head: as stored.
        pending: messages that are not settled, by number.
        ack: authenticated, and the answer to the latest request.
        now: time of the sending store.
        new_channel: 16 random bytes, used if the answer is void.
    """
    if ack.channel != head.channel:
        return Settled(head=head)
    last = max([ack.upto, *(range_[1] for range_ in ack.ranges)])
    if last >= head.next:
        # The receiver has numbers that this store never gave out: it was restored from a backup.
        return Settled(head=replace(head, channel=new_channel), is_void=True)
    refused = {number: code for number, code in ack.refused if number in pending}
    taken = {
        number
        for number in pending
        if number <= ack.upto or any(first <= number <= last for first, last in ack.ranges)
    }
    return Settled(
        head=_held(head, ack.hold_until_ms, now),
        taken=frozenset(taken - refused.keys()),
        refused=refused,
    )


def expires_at(head: TxHead, message: TxMessage) -> EpochMs:
    """When a message expires, with the holds of the pair."""
    return EpochMs(message.expires_at + head.held_ms)


def expired(head: TxHead, pending: Mapping[int, TxMessage], now: EpochMs) -> list[int]:
    """Numbers of messages that expire now; none while a hold is in force."""
    return [number for number, each in pending.items() if expires_at(head, each) <= now]


def _held(head: TxHead, hold_ms: int, now: EpochMs) -> TxHead:
    """The head with a hold of the receiver: expiry is delayed by the time that it adds."""
    hold_ms = min(max(hold_ms, 0), HOLD_MS_MAX)
    if hold_ms == 0:
        return head if head.hold_until <= now else replace(head, hold_until=now)
    until = EpochMs(now + hold_ms)
    added = until - max(head.hold_until, now)
    held = min(head.held_ms + max(added, 0), HELD_MS_MAX)
    return replace(head, held_ms=held, hold_until=until)
