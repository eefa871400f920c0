"""Bodies of frames with as much as a test does not say."""

from host.network.link.frames import Ack, Data

CHANNEL = b"c" * 16


def ack(**changes: object) -> Ack:
    given: dict[str, object] = {
        "channel": CHANNEL,
        "upto": 0,
        "ranges": (),
        "refused": (),
        "credit_messages": 1000,
        "credit_bytes": 1 << 25,
        "hold_until_ms": 0,
        "list_version": 0,
        "head_hash": b"",
    }
    return Ack(**{**given, **changes})  # type: ignore[arg-type]


def data(payload: bytes, **changes: object) -> Data:
    """The first message of a channel."""
    given: dict[str, object] = {
        "channel": CHANNEL,
        "n": 1,
        "base": 1,
        "ttl_ms": 1,
        "subsystem": "flow",
        "filter": "ACTIVE",
        "message_id": "m",
        "trace": "",
        "payload": payload,
    }
    return Data(**{**given, **changes})  # type: ignore[arg-type]
