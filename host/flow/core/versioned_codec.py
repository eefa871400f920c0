"""Decoding of values stored by the flow engine: the one check of versions and damage."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

from host.flow.core.errors import FlowRecordDamagedError

FIRST_VERSION = (1,)
"""Versions of all stored values of the flow engine whose format has never changed."""


class Versioned(Protocol):
    @property
    def v(self) -> int: ...


_T = TypeVar("_T", bound=Versioned)


def read_stored(
    decoder: msgspec.json.Decoder[_T] | msgspec.msgpack.Decoder[_T],
    data: bytes,
    what: str,
    *,
    versions: Sequence[int] = FIRST_VERSION,
) -> _T:
    """Decode a stored value.

    Args:
        decoder: of the value's class.
        data: as stored.
        what: names the value in the refusal, for example `a checkpoint`.
        versions: that `decoder` reads, the newest last.

    Raises:
        FlowRecordDamagedError: damage, or a format version that this host does not support.
    """
    try:
        value = decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise FlowRecordDamagedError(f"{what} cannot be read: {exc}") from exc
    if value.v not in versions:
        raise FlowRecordDamagedError(
            f"{what} is stored in format {value.v}, expected {' or '.join(map(str, versions))}"
        )
    return value
