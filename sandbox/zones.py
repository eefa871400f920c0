"""The data set of time zones: the same zones for every guest, of a named version of `tzdata`.

The file `runtime_app/zones.bin` is a zlib stream of a line of JSON and, after it, zone files (RFC
9636) of the package tzdata, each content once:
{"tzdata": version, "iana": version, "zones": {name: [offset, length], ..}}.

This module is part of the runtime's sources as well: it imports nothing of this project.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

_COMPRESSED: list[bytes] = []
"""The file's content, once it has been read: a guest cannot read it later."""


def keep(content: bytes) -> None:
    """Keep a data set in memory, in the form of `packed`."""
    _COMPRESSED[:] = [content]
    _opened.cache_clear()


def version() -> str:
    """The version of the package tzdata, such as `2026.6`."""
    return str(_opened()[0]["tzdata"])


def names() -> Iterable[str]:
    """The names of all zones."""
    return tuple(_opened()[0]["zones"])


def read(name: str) -> bytes:
    """The zone file of a zone.

    Raises:
        KeyError: the data set has no such zone.
    """
    index, data = _opened()
    offset, length = index["zones"][name]
    return data[offset : offset + length]


def packed(tzdata: str, iana: str, files: Mapping[str, bytes]) -> bytes:
    """The form of a data set; the same content gives the same bytes with the same zlib."""
    data = bytearray()
    places: dict[bytes, int] = {}
    zones = {}
    for name in sorted(files):
        content = files[name]
        if content not in places:
            places[content] = len(data)
            data += content
        zones[name] = [places[content], len(content)]
    head = json.dumps({"tzdata": tzdata, "iana": iana, "zones": zones}, separators=(",", ":"))
    return zlib.compress(head.encode() + b"\n" + data, 9)


@cache
def _opened() -> tuple[Mapping[str, Any], bytes]:
    head, _, data = zlib.decompress(_COMPRESSED[0]).partition(b"\n")
    return json.loads(head), data
