"""Reading what the flow engine has stored: one place decides about versions and damage."""

from typing import Protocol, TypeVar

import msgspec

from host.flow.errors import FlowRecordDamagedError

FORMAT_VERSION = 1
"""Of everything that the flow engine stores, until a part of it changes its shape."""


class Versioned(Protocol):
    @property
    def v(self) -> int: ...


_T = TypeVar("_T", bound=Versioned)


def read_stored(decoder: msgspec.json.Decoder[_T], data: bytes, what: str) -> _T:
    """Decode a stored value.

    Args:
        decoder: of the value's class.
        data: as stored.
        what: names the value in the refusal, for example `a checkpoint`.

    Raises:
        FlowRecordDamagedError: damage, or a format version that this host does not know.
    """
    try:
        value = decoder.decode(data)
    except msgspec.DecodeError as exc:
        raise FlowRecordDamagedError(f"{what} cannot be read: {exc}") from exc
    if value.v != FORMAT_VERSION:
        raise FlowRecordDamagedError(
            f"{what} is stored in format {value.v}, expected {FORMAT_VERSION}"
        )
    return value
