"""Messages to members of other clusters, as they wait in the topic `p2p.out`.

The topic's key is the pair of source and target (`host.network.values.pair`), the record's node is
the source's. A value is a session message of a flow, as the flow engine encoded it, or a `P2pOut`
of another subsystem; the link reads both as `P2pOut`. Pure.
"""

from enum import StrEnum

import msgspec
from msgspec import Struct

from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.flow.core.messages import P2P_OUT_TOPIC, SessionMessage
from host.flow.core.versioned_codec import read_stored

__all__ = ["FLOW_TTL_MS", "P2P_OUT_TOPIC", "Filter", "P2pOut", "Subsystem", "encode", "read"]

FLOW_TTL_MS = 300_000
"""Lifetime of a flow's message (Corda: flow.session.p2pTTL)."""


class Subsystem(StrEnum):
    """The part of a cluster that a message is for."""

    FLOW = "flow"
    MEMBERSHIP = "membership"
    PING = "ping"
    """The link itself: a probe that an operator asks for. Never on the wire."""


class Filter(StrEnum):
    """The statuses that the target may have in the source's member list (Corda's names)."""

    ACTIVE = "ACTIVE"
    ACTIVE_OR_SUSPENDED = "ACTIVE_OR_SUSPENDED"
    PENDING = "PENDING"
    ACTIVE_IF_PRESENT_OR_PENDING = "ACTIVE_IF_PRESENT_OR_PENDING"
    ACTIVE_OR_SUSPENDED_IF_PRESENT_OR_PENDING = "ACTIVE_OR_SUSPENDED_IF_PRESENT_OR_PENDING"


class P2pOut(Struct, frozen=True, kw_only=True, tag="p2p-out"):
    """One message to a member that may be on another cluster.

    Attributes:
        group_id: of both.
        source, target: X.500 names.
        ttl_ms: it expires when it has not been acknowledged this long after its record was written.
        message_id: chosen by the sender; names the message in outcomes and logs.
        sealed_for_mgm: `payload` is encrypted to the MGM's key, and travels without a session: a
            registration of a member that the MGM does not know yet.
        is_for_other: it is for the target's copy on another cluster, even if one is here.
    """

    v: int = 1
    group_id: str
    source: str
    target: str
    subsystem: Subsystem
    filter: Filter = Filter.ACTIVE
    ttl_ms: int
    message_id: str
    payload: bytes
    sealed_for_mgm: bool = False
    is_for_other: bool = False

    def source_holding(self) -> HoldingIdentity:
        """The sending identity.

        Raises:
            InvalidX500NameError: the name is not valid.
        """
        return _holding(self.source, self.group_id)

    def target_holding(self) -> HoldingIdentity:
        """The receiving identity.

        Raises:
            InvalidX500NameError: the name is not valid.
        """
        return _holding(self.target, self.group_id)


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[P2pOut | SessionMessage] = msgspec.json.Decoder(
    P2pOut | SessionMessage
)


def encode(message: P2pOut) -> bytes:
    return _encoder.encode(message)


def read(value: bytes) -> P2pOut:
    """Read a record's value.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    found = read_stored(_decoder, value, "an outgoing message")
    return of_session_message(found, value) if isinstance(found, SessionMessage) else found


def of_session_message(message: SessionMessage, value: bytes) -> P2pOut:
    """A flow's session message. Its id is that of the session, and its number there.

    Args:
        message: what it is.
        value: as it was encoded.
    """
    return P2pOut(
        group_id=message.target.group_id,
        source=message.source.name,
        target=message.target.name,
        subsystem=Subsystem.FLOW,
        ttl_ms=FLOW_TTL_MS,
        message_id=f"{message.session_id}/{message.sequence}",
        payload=value,
    )


def _holding(name: str, group_id: str) -> HoldingIdentity:
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group_id)
