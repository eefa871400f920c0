"""Pings of a peer: asked for by a record on `p2p.out`, answered by a state. Pure.

The owner of the pair sends a heartbeat, whatever else waits, and stores what came of it. So a ping
reaches the right process of the cluster, and who asked reads the answer in any other one.
"""

import msgspec
from msgspec import Struct

from host.domain.ids import EpochMs
from host.flow.core.versioned_codec import read_stored
from host.network.link.sessions import GROUP
from host.ports.bus import Placement
from host.ports.state import StateWrite

PING_TTL_MS = 10_000
"""How long a ping waits for its turn and for its answer."""
KEPT_MS = 60_000
"""How long an answer is kept."""
PINGS_MAX = 16
"""Pings of one pair that wait for the same answer; more are not answered."""


class PingAnswer(Struct, frozen=True, kw_only=True):
    """What came of a ping, as stored.

    Attributes:
        milliseconds: from the hand-over of the heartbeat to the gateway until its acknowledgement
            was verified here, with the TLS handshake if there was no connection; None: failed.
        list_version: of the peer's member list.
        software: as the peer named it in the handshake.
        failure: why there was no answer.
    """

    v: int = 1
    milliseconds: int | None = None
    list_version: int = 0
    software: str = ""
    failure: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PingAnswer)


def ping_key(ping_id: str) -> str:
    return f"p2p/ping/{ping_id}"


def answer_write(pair: str, ping_id: str, answer: PingAnswer, now: EpochMs) -> StateWrite:
    """The write of an answer, which is deleted after a minute."""
    return StateWrite(
        key=ping_key(ping_id),
        value=_encoder.encode(answer),
        expected=0,
        due_at=EpochMs(now + KEPT_MS),
        place=Placement(group=GROUP, key=pair),
    )


def read_answer(value: bytes) -> PingAnswer:
    """Read a stored answer.

    Raises:
        FlowRecordDamagedError: it cannot be read.
    """
    return read_stored(_decoder, value, "a ping's answer")
