"""Long strings of JSON texts: read in blocks, and cut out before the rest is looked at. Pure.

A text of megabytes is mostly one string. All that the rules for texts say of it is that its
characters are whole, and a decoder that knows nothing else reads those ten times as fast as the
searches for all rules do. In blocks, since the interpreter serves no other thread within one.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

NUL = "\0"
BLOCK = 64 * 1024
"""Characters that are read at once."""
LONG = 4 * 1024
"""Shorter strings are left where they are."""
PLACEHOLDER = "NaN"
"""What stands for a string that was cut out: no value of JSON, so that decoders tell it apart."""
_QUOTES_MAX = 4_000
"""Quotes that are looked at: beyond, no string is most of the text."""
_HALF = 6
"""Length of an escaped half of a character, `\\ud83d`; two of them are one."""
_BACKSLASHES = 16
"""How many are looked at first."""
_FIRST_HALF = re.compile(r"\\u[dD][89abAB]")
_decoder = msgspec.json.Decoder(str)


def without_long_strings(text: str) -> tuple[str, Sequence[str]] | None:
    """A JSON text with a placeholder for each long string, and the strings in their order.

    A text that is one string is cut out whole, however long.

    Returns:
        None for a text of which too much is in short strings, or that is not plainly sound: a
        string without an end, or with an escaped U+0000.

    Raises:
        ValueError: a long string is none, or has half a character.
    """
    if text[0] == text[-1] == '"':
        string = read_string(text, 1, len(text) - 1)
        return None if NUL in string else (PLACEHOLDER, [string])
    parts, strings = list[str](), list[str]()
    kept, opened = 0, -1
    quotes = list(islice(_quotes(text), _QUOTES_MAX))
    if len(quotes) == _QUOTES_MAX:
        return None
    for quote in quotes:
        if opened < 0:
            opened = quote
            continue
        if _is_escaped(text, quote, opened + 1):
            continue
        if quote - opened > LONG:
            parts += (text[kept:opened], PLACEHOLDER)
            strings.append(read_string(text, opened + 1, quote))
            kept = quote + 1
        opened = -1
    if opened >= 0 or any(NUL in string for string in strings):
        return None
    parts.append(text[kept:])
    return "".join(parts), strings


def _quotes(text: str) -> Iterator[int]:
    """The places of all quotes."""
    at = text.find('"')
    while at >= 0:
        yield at
        at = text.find('"', at + 1)


def read_string(text: str, begin: int, end: int) -> str:
    """The string whose JSON text, without its quotes, is `text[begin:end]`, block by block.

    Raises:
        ValueError: it is no such string.
    """
    parts, at = list[str](), begin
    while at < end:
        until = end if end - at <= BLOCK else _boundary(text, at, at + BLOCK)
        try:
            parts.append(_decoder.decode(f'"{text[at:until]}"'))
        except msgspec.MsgspecError as exc:
            raise ValueError(f"characters {at} to {until}: {exc}") from exc
        at = until
    return "".join(parts)


def _boundary(text: str, begin: int, end: int) -> int:
    """The last place up to `end` that is between two characters, of a string from `begin`."""
    last = text.rfind("\\", end - 2 * _HALF, end)
    if last < 0:
        return end
    place = last + 1 if _is_escaped(text, last, begin) else last
    before = place - _HALF
    is_half = before > begin and _FIRST_HALF.match(text, before)
    if is_half and not _is_escaped(text, before, begin):
        place = before
    return place


def _is_escaped(text: str, place: int, begin: int) -> bool:
    """Whether an odd number of backslashes is before a character of a string from `begin`."""
    size = _BACKSLASHES
    while True:
        tail = text[max(begin, place - size) : place]
        count = len(tail) - len(tail.rstrip("\\"))
        if count < len(tail) or place - size <= begin:
            return count % 2 == 1
        size *= 2
