"""The JAR manifest codec: bytes to sections and back, with the exact bytes that digests cover.

Stricter than Java where two readers could differ: a repeated attribute, a repeated entry section,
a line of more than 512 bytes, an empty section or a missing last line end are refused. So are more
sections than the caller expects, and files with many very short lines: they cost time and carry no
information.

Source: JAR File Specification, "Name-Value pairs and Sections".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cpi.errors import Code, ManifestError
from cpi.limits import DEFAULT_LIMITS

_LINE_BYTES_MAX = 72
_READ_LINE_BYTES_MAX = 512
_LINES_FREE = 1_000
_BYTES_PER_LINE = 8
_ATTRIBUTE_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_-]{0,69}")
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section. `raw` is its bytes with the blank line that ends it: what a digest covers."""

    attributes: Mapping[str, str]
    raw: bytes

    def get(self, name: str) -> str | None:
        """The value of an attribute, whose name is compared ignoring case."""
        lowered = name.lower()
        return next((v for k, v in self.attributes.items() if k.lower() == lowered), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A parsed manifest or signature file; `entries` maps entry names to their sections."""

    main: Section
    entries: Mapping[str, Section]
    raw: bytes


def parse_manifest(
    data: bytes,
    *,
    first_attribute: str = "Manifest-Version",
    entry: str | None = None,
    sections_max: int = DEFAULT_LIMITS.entries_max,
) -> Manifest:
    """Parse a manifest, or a signature file with `first_attribute` "Signature-Version".

    Args:
        data: the file.
        first_attribute: what its first line must be.
        entry: the file's name, for messages.
        sections_max: sections about entries that it may have.

    Raises:
        ManifestError: with the line number of what is wrong.
    """
    main: Section | None = None
    sections: dict[str, Section] = {}
    for number, raw, attributes in _sections(data, entry):
        names = list(attributes)
        if main is None:
            if not names or names[0].lower() != first_attribute.lower():
                raise _syntax(f"line 1 should be {first_attribute}", entry)
            main = Section(attributes=attributes, raw=raw)
            continue
        if len(sections) >= sections_max:
            raise _syntax(f"line {number}: more than {sections_max} sections", entry)
        if names[0].lower() != "name":
            raise _syntax(f"line {number} should start a section with Name", entry)
        name = attributes[names[0]]
        if name in sections:
            raise _syntax(f"line {number}: section {name!r} appears twice", entry)
        if any(n.lower() == "magic" for n in names):
            raise _syntax(f"line {number}: section {name!r} has a Magic attribute", entry)
        sections[name] = Section(attributes=attributes, raw=raw)
    if main is None:
        raise _syntax("it is empty", entry)
    return Manifest(main=main, entries=sections, raw=data)


def _sections(data: bytes, entry: str | None) -> Iterable[tuple[int, bytes, dict[str, str]]]:
    """Each section as (number of its first line, raw bytes, attributes)."""
    start, first_line, lines = 0, 1, list[bytearray]()
    end = 0
    lines_max = _LINES_FREE + len(data) // _BYTES_PER_LINE
    for number, match in enumerate(_LINE_END.finditer(data), 1):
        if number > lines_max:
            raise _syntax(f"more than {lines_max} lines in {len(data)} bytes", entry)
        line = data[end : match.start()]
        end = match.end()
        if len(line) > _READ_LINE_BYTES_MAX:
            raise _syntax(f"line {number} is longer than {_READ_LINE_BYTES_MAX} bytes", entry)
        if line.startswith(b" ") and lines:
            lines[-1] += line[1:]
        elif line:
            # Java does not read a name that goes on in the next line.
            if b": " not in line:
                raise _no_attribute(line, first_line, entry)
            lines.append(bytearray(line))
        elif lines:
            yield first_line, data[start:end], _attributes(lines, first_line, entry)
            start, first_line, lines = end, number + 1, []
        else:
            raise _syntax(f"line {number} is an empty section", entry)
    if end != len(data):
        raise _syntax("the last line has no line end", entry)
    if lines:
        yield first_line, data[start:end], _attributes(lines, first_line, entry)


def _attributes(lines: list[bytearray], first_line: int, entry: str | None) -> dict[str, str]:
    attributes: dict[str, str] = {}
    seen = set[bytes]()
    for line in lines:
        name, separator, value = bytes(line).partition(b": ")
        if not separator or not _ATTRIBUTE_NAME.fullmatch(name):
            raise _no_attribute(line, first_line, entry)
        if name.lower() in seen:
            raise _syntax(f"section at line {first_line}: {name.decode()} appears twice", entry)
        seen.add(name.lower())
        if b"\0" in value:
            raise _syntax(f"section at line {first_line}: {name.decode()} holds NUL", entry)
        try:
            attributes[name.decode()] = value.decode()
        except UnicodeDecodeError as error:
            raise _syntax(
                f"section at line {first_line}: {name.decode()} is not UTF-8", entry
            ) from error
    return attributes


def _no_attribute(line: bytes | bytearray, first_line: int, entry: str | None) -> ManifestError:
    return _syntax(f"section at line {first_line}: {bytes(line[:80])!r} is no attribute", entry)


def _syntax(reason: str, entry: str | None) -> ManifestError:
    return ManifestError(Code.MANIFEST_SYNTAX, f"{entry or 'manifest'}: {reason}", entry=entry)


def encode_manifest(
    main: Mapping[str, str], entries: Iterable[tuple[str, Mapping[str, str]]] = ()
) -> bytes:
    """Write a manifest: CRLF line ends, lines folded, one blank line after each section.

    Raises:
        ManifestError: a name or value that the format cannot hold.
    """
    return encode_section(main) + b"".join(
        encode_section({"Name": name, **attributes}) for name, attributes in entries
    )


def encode_section(attributes: Mapping[str, str]) -> bytes:
    """Write one section with its blank line.

    Raises:
        ManifestError: a name or value that the format cannot hold.
    """
    lines = []
    for name, value in attributes.items():
        raw_name, raw_value = name.encode(), value.encode()
        if not _ATTRIBUTE_NAME.fullmatch(raw_name):
            raise ManifestError(Code.MANIFEST_ATTRIBUTE, f"{name!r} is no attribute name")
        if any(character in raw_value for character in b"\0\r\n"):
            raise ManifestError(
                Code.MANIFEST_ATTRIBUTE, f"attribute {name} holds a line end or NUL: {value!r}"
            )
        lines.append(fold_line(raw_name + b": " + raw_value))
    return b"".join(lines) + b"\r\n"


def fold_line(line: bytes) -> bytes:
    """Fold one logical line to physical lines of at most 72 bytes, CRLF excluded.

    Continuation lines start with one space, which counts towards the 72.
    """
    pieces = [line[:_LINE_BYTES_MAX]]
    pieces += [
        b" " + line[at : at + _LINE_BYTES_MAX - 1]
        for at in range(_LINE_BYTES_MAX, len(line), _LINE_BYTES_MAX - 1)
    ]
    return b"\r\n".join(pieces) + b"\r\n"
