"""Validation of guests' texts: the rules for every JSON text that a guest writes.

A guest may return any text, and its later consumers (decoders, canonical encoding, SQL, JSON
Schemas) raise exceptions at limits of their own. So each text is checked here, once, before any
other use: Unicode scalar values without U+0000, which PostgreSQL cannot store, nesting, number of
values, numbers that are finite and of bounded length, no duplicate key in an object, valid JSON.
The work is linear in the text, and nothing recurses before the nesting is known to be small. Pure.

Failures and log lines must not be lost because of such a rule: they are repaired and truncated.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import AnyStr, TypeVar

from host.domain.errors import RequestInvalidError
from host.domain.json import JsonValue
from host.domain.json_strings import BLOCK, NUL, PLACEHOLDER, without_long_strings

NESTING_MAX = 64
NUMBER_CHARACTERS_MAX = 1024
VALUES_MAX = 500_000
"""Values of one text, names included: this bounds all code that iterates over them later."""
MESSAGE_BYTES_MAX = 8 * 1024
TYPE_CHARACTERS_MAX = 255
TRACE_LINES_MAX = 50
TRACE_LINE_CHARACTERS_MAX = 500

_QUOTED = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string; an unterminated one extends to the end of the text, so no text is scanned twice."""
_NUMBER_TOO_LONG = re.compile(rf"(?<![-+.0-9eE])[-+.0-9eE]{{{NUMBER_CHARACTERS_MAX + 1},}}+")
_MAYBE_INFINITE = re.compile(
    r"(?<![-+.0-9eE])(?:-?[0-9][-+.0-9eE]{150,}+|-?[0-9]++(?:\.[0-9]++)?+[eE]\+?[0-9]{3,}+)"
)
"""Beyond a double's range, 1.8e308, are only numbers with an exponent of three digits or with many
digits. The look-behind ensures that each character is scanned once."""
_ESCAPE_START = r"\u"
_MAYBE_UNFIT = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<unfit>u[dD][89a-fA-F][0-9a-fA-F]{2}|u0000)|.)",
    re.DOTALL,
)
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")
_ESCAPED_REPLACEMENT = r"\ufffd"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = tuple(1 if byte in b"[{" else -1 for byte in range(256))
"""How each bracket's byte changes the depth."""
_SEEN_ALIKE = bytes.maketrans(b"0123456789[D", b"0000000000{d")
"""Maps equivalent characters to one: digits, opening brackets, escapes of surrogates."""
_ESCAPED_NUL = r"\u0000"

_LONG_DIGITS = b"0" * 200
"""Without this many digits in a row, no number is too long, and no integer exceeds a double."""
_ESCAPED_HALF = rb"\ud"
_ENDS = frozenset({("{", "}"), ("[", "]"), ('"', '"')})
_WORDS = frozenset({"true", "false", "null"})
_NUMBER = re.compile(r"-?[0-9]++(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+")
_WHITE = " \t\n\r"
_CUT = " [cut: {} of {} bytes]"
_CUT_CHARACTERS = "...[cut]"
_T = TypeVar("_T")


class GuestTextError(RequestInvalidError):
    """A guest's text is not JSON that the host accepts; the message names the rule."""


class RuleError(GuestTextError):
    """The text breaks a rule beyond JSON's grammar: a character, nesting, a number, a key."""


class KeyTwiceError(RuleError):
    """An object has a duplicate key, so its value is ambiguous."""


def checked_json(text: str) -> JsonValue:
    """The value of a JSON text that a guest wrote.

    Raises:
        RuleError: an unpaired surrogate, U+0000, nesting too deep, too many values, a number too
            long or not finite, a duplicate key in an object.
        GuestTextError: it is not JSON.
    """
    found = _plainly_sound(text)
    if found is not None:
        return found[0]
    _check_characters(text)
    bare = _QUOTED.sub("", text)
    _check_sizes(bare)
    _check_numbers(bare)
    try:
        value: JsonValue = _decoder_of(text).decode(text)
    except GuestTextError:
        raise
    except (ValueError, RecursionError) as exc:
        raise GuestTextError(f"the text is no JSON: {exc}") from exc
    return value


def check_result(text: str) -> bool:
    """Refuse a result that is JSON but breaks a rule; a result that is not JSON is plain text.

    Returns:
        As `is_json`.

    Raises:
        RuleError: as of `checked_json`.
    """
    _check_raw(text)
    inner = text.strip(_WHITE)
    if not inner or ((inner[0], inner[-1]) not in _ENDS and not _NUMBER.fullmatch(inner)):
        return inner in _WORDS
    try:
        checked_json(text)
    except RuleError:
        raise
    except GuestTextError:
        return False
    return True


def is_json(text: str) -> bool:
    """Whether `checked_json` accepts a text."""
    try:
        checked_json(text)
    except GuestTextError:
        return False
    return True


def mended_json(text: str) -> str:
    """`text` with each surrogate and U+0000, raw or escaped, replaced by U+FFFD."""
    if _ESCAPE_START in text and _MAYBE_UNFIT.search(text):
        text = _ESCAPE.sub(
            lambda found: found[0] if found["unfit"] is None else _ESCAPED_REPLACEMENT, text
        )
    return whole_characters(text)


def whole_characters(text: str) -> str:
    """`text` with each surrogate and U+0000 replaced by U+FFFD."""
    return _UNFIT.sub(_REPLACEMENT, text) if _has_unfit(text) else text


def cut_message(text: str, bytes_max: int = MESSAGE_BYTES_MAX) -> str:
    """`text`, sanitised, in at most `bytes_max` UTF-8 bytes; truncation is marked."""
    # A character has at least one byte: no more of them need be sanitised.
    head = whole_characters(text[:bytes_max])
    data = head.encode()
    if len(text) <= bytes_max and len(data) <= bytes_max:
        return head
    note = _CUT.format(bytes_max, _mended_bytes(text))
    return data[: max(0, bytes_max - len(note))].decode(errors="ignore") + note


def cut_line(text: str, characters_max: int) -> str:
    """`text`, sanitised, in at most `characters_max` characters; truncation is marked."""
    if len(text) <= characters_max:
        return whole_characters(text)
    return whole_characters(text[: characters_max - len(_CUT_CHARACTERS)]) + _CUT_CHARACTERS


def cut_trace(frames: Sequence[_T], line_of: Callable[[_T], str] = str) -> tuple[str, ...]:
    """The innermost (last) lines, each truncated; the first line states how many were left out."""
    kept = frames if len(frames) <= TRACE_LINES_MAX else frames[1 - TRACE_LINES_MAX :]
    cut = tuple(cut_line(line_of(frame), TRACE_LINE_CHARACTERS_MAX) for frame in kept)
    left = len(frames) - len(kept)
    return cut if not left else (f"[cut: {left} more lines]", *cut)


def _mended_bytes(text: str) -> int:
    """UTF-8 bytes of `text` once sanitised: U+FFFD and a surrogate have three, U+0000 has one."""
    return len(text.encode(errors="surrogatepass")) + 2 * text.count(NUL)


def _has_unfit(text: str) -> bool:
    """Whether `text` has a surrogate or U+0000; many times faster than a regular expression."""
    if NUL in text:
        return True
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _plainly_sound(text: str) -> tuple[JsonValue, int] | None:
    """Value and length of a text that a few searches prove valid; None if they cannot prove it.

    The searches include string contents, so they reject more than the rules forbid, never less.
    """
    try:
        cut = without_long_strings(text) if len(text) > BLOCK else None
        bare = text if cut is None else cut[0]
        alike = _seen_alike(bare)
        if (
            (len(bare) <= VALUES_MAX or _marks(alike) <= VALUES_MAX)
            and not _holds(alike, _ESCAPED_HALF)
            and not _holds(alike, _LONG_DIGITS)
            and not _holds(bare, _ESCAPED_NUL)
        ):
            found = _read_bare(bare, cut[1] if cut else (), len(text))
            if found is None or _count(alike, b"{") <= NESTING_MAX or _is_flat(found[0]):
                return found
    except (GuestTextError, ValueError, RecursionError):
        pass
    return None


def _read_bare(bare: str, strings: Sequence[str], length: int) -> tuple[JsonValue, int] | None:
    """The value of a text of some length whose long strings were cut out; None if it is none."""
    decoder = _decoder_of(bare) if not strings else _decoder_with(iter(strings))
    found: tuple[JsonValue, int] = decoder.raw_decode(bare)
    return (found[0], length) if found[1] == len(bare) else None


def _is_flat(value: JsonValue) -> bool:
    """Whether a value is nested at most `NESTING_MAX` deep; it is looked at level by level."""
    level: list[JsonValue] = [value]
    for _ in range(NESTING_MAX):
        level = [
            inner for outer in level for inner in _inner(outer) if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


def _inner(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _marks(alike: bytes) -> int:
    """At least the number of values, as `_check_sizes` counts them."""
    return _count(alike, b",") + _count(alike, b":") + _count(alike, b"{")


def _seen_alike(text: str) -> bytes:
    data = text.encode()
    if len(data) <= BLOCK:
        return data.translate(_SEEN_ALIKE)
    blocks = range(0, len(data), BLOCK)
    return b"".join(data[at : at + BLOCK].translate(_SEEN_ALIKE) for at in blocks)


def _count(data: bytes, byte: bytes) -> int:
    if len(data) <= BLOCK:
        return data.count(byte)
    return sum(data.count(byte, at, at + BLOCK) for at in range(0, len(data), BLOCK))


def _holds(data: AnyStr, part: AnyStr) -> bool:
    if len(data) <= BLOCK:
        return part in data
    more = BLOCK + len(part) - 1
    return any(data.find(part, at, at + more) >= 0 for at in range(0, len(data), BLOCK))


def _check_characters(text: str) -> None:
    _check_raw(text)
    if _ESCAPE_START not in text or not _MAYBE_UNFIT.search(text):
        return
    for found in _ESCAPE.finditer(text):
        if found["unfit"] is not None:
            what = _why_unfit(is_nul=found["unfit"] == "u0000")
            raise RuleError(f"\\{found['unfit']} at character {found.start()} {what}")


def _check_raw(text: str) -> None:
    if not _has_unfit(text):
        return
    unfit = _UNFIT.search(text)
    if unfit is not None:
        raise RuleError(f"character {unfit.start()} {_why_unfit(is_nul=unfit[0] == NUL)}")


def _why_unfit(*, is_nul: bool) -> str:
    return "is U+0000, which cannot be stored" if is_nul else "is half a character"


def _check_sizes(bare: str) -> None:
    """Count values and nesting; `bare` is the text without its strings."""
    brackets = bare.encode().translate(None, _NO_BRACKETS)
    values = bare.count(",") + bare.count(":") + len(brackets) // 2
    if values > VALUES_MAX:
        raise RuleError(f"the text has {values} values, at most {VALUES_MAX}")
    # A closing bracket without an opening one is refused by the JSON parser.
    depth = max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
    if depth > NESTING_MAX:
        raise RuleError(f"the text is nested {depth} deep, at most {NESTING_MAX}")


def _check_numbers(bare: str) -> None:
    long = _NUMBER_TOO_LONG.search(bare)
    if long is not None:
        raise RuleError(f"a number has {len(long[0])} characters, at most {NUMBER_CHARACTERS_MAX}")
    for found in _MAYBE_INFINITE.finditer(bare):
        if not _is_finite(found[0]):
            raise RuleError(f"the number {cut_line(found[0], 40)} is not finite")


def _is_finite(number: str) -> bool:
    try:
        return math.isfinite(float(number))
    except ValueError:
        return True  # not a number: refused by the JSON parser


def _object(pairs: Sequence[tuple[str, JsonValue]]) -> JsonValue:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    counts = Counter(name for name, _ in pairs)
    twice = next(name for name, count in counts.items() if count > 1)
    raise KeyTwiceError(f"an object has the key {cut_line(twice, 64)!r} twice")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise RuleError(f"the number {cut_line(number, 40)} is not finite")
    return value


def _refuse_constant(name: str) -> JsonValue:
    raise RuleError(f"{name} is no number of JSON")


def _decoder_of(text: str) -> json.JSONDecoder:
    return _decoder if len(text) <= BLOCK else _long_decoder


def _decoder_with(strings: Iterator[str]) -> json.JSONDecoder:
    """A decoder that gives the next of these strings for each placeholder.

    A text that has placeholders of its own has too many for them: its reading fails.
    """

    def constant(name: str) -> JsonValue:
        string = next(strings, None) if name == PLACEHOLDER else None
        return _refuse_constant(name) if string is None else string

    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_float=_finite,
        parse_int=_integer,
        parse_constant=constant,
    )


def _integer(digits: str) -> int:
    return int(digits)


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_finite, parse_constant=_refuse_constant
)
_long_decoder = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_finite,
    parse_int=_integer,
    parse_constant=_refuse_constant,
)
"""For texts that are longer than a block: each number is made in Python, where the interpreter can
serve other threads, while an array of megabytes would else be read in one stretch."""
