"""PEM text: the blocks between BEGIN and END lines, found in one pass.

A file may contain other text around its blocks, as `openssl` writes it. Where one block is
expected, no other text is allowed.

Source: RFC 7468.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_LABEL_BYTES_MAX = 64
_SHOWN_MAX = 40


class PemRefusedError(ValueError):
    """The text is not PEM, or contains more than expected; the message gives the position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PemBlock:
    """A block: `text` is the whole block, `body` the text between its BEGIN and END lines.

    `before` is the text between it and the block before it.
    """

    label: str
    text: bytes
    body: bytes
    before: bytes = b""

    def der(self) -> bytes:
        """The bytes that the block holds.

        Raises:
            PemRefusedError: the body is not base64; encryption headers are refused for the same
                reason.
        """
        try:
            return base64.b64decode(b"".join(self.body.split()), validate=True)
        except binascii.Error as error:
            raise PemRefusedError(f"{self.label} is no base64: {error}") from error


def pem_blocks(data: bytes) -> Iterator[PemBlock]:
    """Every block in order, lazily: the caller stops at its own limit.

    Raises:
        PemRefusedError: a block has no end, or another one begins inside it.
    """
    at = 0
    while (begin := data.find(_BEGIN, at)) >= 0:
        start = begin + len(_BEGIN)
        close = data.find(_DASHES, start, start + _LABEL_BYTES_MAX + len(_DASHES))
        if close < 0:
            raise PemRefusedError(f"the block at byte {begin} has no label")
        label = data[start:close]
        body_start = close + len(_DASHES)
        body_end = data.find(_DASHES, body_start)
        last = _END + label + _DASHES
        if body_end < 0 or not data.startswith(last, body_end):
            raise PemRefusedError(f"the block {_shown(label)} at byte {begin} has no end")
        before, at = data[at:begin], body_end + len(last)
        yield PemBlock(
            label=label.decode("ascii", errors="replace"),
            text=data[begin:at],
            body=data[body_start:body_end],
            before=before,
        )


def single_pem(data: bytes, *labels: str) -> PemBlock:
    """The single block in `data`; only spaces and line ends may surround it.

    Raises:
        PemRefusedError: there is no block, its label differs, or other text surrounds it.
    """
    text = data.strip()
    block = next(pem_blocks(text), None)
    if block is None or not text.startswith(_BEGIN):
        raise PemRefusedError(f"expected a PEM block {labels[0]}, found {_shown(text)}")
    if block.label not in labels:
        raise PemRefusedError(f"expected a PEM block {labels[0]}, found {block.label[:_SHOWN_MAX]}")
    if len(block.text) != len(text):
        raise PemRefusedError(
            f"{len(text) - len(block.text)} bytes follow the PEM block {block.label}"
        )
    return block


def _shown(data: bytes) -> str:
    return repr(data[:_SHOWN_MAX].decode("ascii", errors="replace"))
