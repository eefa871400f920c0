"""PKCS#11 URIs, which name a token, a key and a library.

Supported are the path attributes token, serial, manufacturer, model, object, id and type (`private`
alone) and the query attributes module-path and pin-source (`env:NAME` or `file:/path`). A
`pin-value` is refused: a PIN does not belong on a command line.

Source: RFC 7512.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from plugins.pkcs11_hsm.errors import HardwareUriError

SCHEME = "pkcs11"
_URI_BYTES_MAX = 4096
_PATH = ("token", "serial", "manufacturer", "model", "object", "id", "type")
_QUERY = ("module-path", "pin-source")
_SAFE = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=&/?|\- -]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUri:
    """The attributes of a URI; None for a missing one."""

    token: str | None
    serial: str | None
    manufacturer: str | None
    model: str | None
    object: str | None
    id: bytes | None
    module_path: Path | None
    pin_source: str | None

    def __str__(self) -> str:
        """Token and key, for messages."""
        named = {"token": self.token, "serial": self.serial, "object": self.object}
        parts = [f"{name}={value}" for name, value in named.items() if value is not None]
        if self.id is not None:
            parts.append(f"id={self.id.hex()}")
        return f"{SCHEME}:{';'.join(parts)}"


def parse_uri(text: str) -> KeyUri:
    """Parse a `pkcs11:` URI.

    Raises:
        HardwareUriError: the syntax is broken, an attribute is unknown or comes twice, or neither
            `object` nor `id` names a key.
    """
    if len(text) > _URI_BYTES_MAX or not text.startswith(f"{SCHEME}:"):
        raise HardwareUriError(f"{text[:80]!r} is no {SCHEME}: URI of at most {_URI_BYTES_MAX}")
    path, _, query = text.removeprefix(f"{SCHEME}:").partition("?")
    where = _attributes(path, ";", _PATH)
    how = _attributes(query, "&", _QUERY)
    if where.get("type", b"private") != b"private":
        raise HardwareUriError("attribute type must be private: only a private key signs")
    if "object" not in where and "id" not in where:
        raise HardwareUriError("the URI must name a key by object or id")
    if how.get("module-path", b"/")[:1] != b"/":
        raise HardwareUriError("module-path must be an absolute path")
    module = _text(how, "module-path")
    return KeyUri(
        token=_text(where, "token"),
        serial=_text(where, "serial"),
        manufacturer=_text(where, "manufacturer"),
        model=_text(where, "model"),
        object=_text(where, "object"),
        id=where.get("id"),
        module_path=Path(module) if module else None,
        pin_source=_text(how, "pin-source"),
    )


def _attributes(part: str, separator: str, known: tuple[str, ...]) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for piece in part.split(separator) if part else ():
        name, equals, value = piece.partition("=")
        if name == "pin-value":
            raise HardwareUriError("pin-value is not taken: give the PIN by --storepass env:NAME")
        if name not in known or not equals:
            raise HardwareUriError(f"attribute {name!r} is none of {', '.join(known)}")
        if name in found:
            raise HardwareUriError(f"attribute {name} comes twice")
        if not _SAFE.fullmatch(value):
            raise HardwareUriError(f"attribute {name} has characters that must be %-encoded")
        found[name] = unquote_to_bytes(value)
    return found


def _text(attributes: Mapping[str, bytes], name: str) -> str | None:
    value = attributes.get(name)
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError as error:
        raise HardwareUriError(f"attribute {name} is not UTF-8") from error
