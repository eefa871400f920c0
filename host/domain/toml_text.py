"""TOML within limits, parsed in time that grows with its length: for files that users write. Pure.

The standard parser calls itself for each level of nesting, and takes time quadratic in the number
of parts of a dotted key.
"""

import re
import tomllib

DEPTH_MAX = 64
KEY_PARTS_MAX = 32
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""'
    r"|'''.*?'''"
    r'|"(?:[^"\\\n]|\\.)*"?'
    r"|'[^'\n]*'?"
    r"|\#[^\n]*"
    r"|[][{}.=,\n]",
    re.DOTALL | re.VERBOSE,
)
"""Strings, comments, and what gives a document its structure."""


class TomlRefusedError(ValueError):
    """The text is not such TOML; the message gives the reason."""


def parse_toml(data: bytes, *, bytes_max: int) -> dict[str, object]:
    """Parse a document.

    Raises:
        TomlRefusedError: it is too long, not UTF-8, not TOML, nested too deep, or has a key of too
            many parts.
    """
    if len(data) > bytes_max:
        raise TomlRefusedError(f"it has more than {bytes_max} bytes")
    try:
        text = data.decode()
        _check_structure(text.replace("\r\n", "\n"))
        return tomllib.loads(text)
    except TomlRefusedError:
        raise
    except (ValueError, RecursionError) as error:
        raise TomlRefusedError(str(error)) from error


def _check_structure(text: str) -> None:
    depth = dots = 0
    for match in _TOKEN.finditer(text):
        part = match[0]
        if part in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise TomlRefusedError(f"it is nested deeper than {DEPTH_MAX}")
        elif part in "]}":
            depth = max(0, depth - 1)
        if part == ".":
            dots += 1
            if dots >= KEY_PARTS_MAX:
                raise TomlRefusedError(f"a key has more than {KEY_PARTS_MAX} parts")
        elif part in "[]{}=,\n":
            dots = 0
