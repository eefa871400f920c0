"""What changed between two versions of a package, as the page of the newer one says it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.console.view import text
from host.console.words import NOTHING, digest
from host.domain.json import JsonObject
from host.domain.quotas import quota_meaning
from host.domain.wording import count, size
from host.guests.limits import LIMITS

_KINDS = {
    "signers": "Signers",
    "cpk": "CPK",
    "code": "Code",
    "limit": "Limit",
    "interface": "Interface",
    "capability": "Capability",
    "flow": "Flow",
    "contract": "Contract",
    "state": "State",
    "entity": "Entity",
    "query": "Query",
    "channel": "External channel",
    "library": "Library",
}
_OF_ITSELF = frozenset({"signers", "cpk", "code"})
"""Kinds of which the name is the CPK's own."""

_DIGESTS = frozenset({"signers", "code"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A line of the comparison. `owner` is the CPK; `is_risk` if code may do more by it."""

    what: str
    owner: str
    before: str
    after: str
    is_risk: bool


def lines(changes: Sequence[JsonObject]) -> Sequence[Change]:
    """The changes of `GET /cpi/{checksum}/audit?against`, in its order."""
    return [
        Change(
            what=_what(text(each, "kind"), text(each, "name")),
            owner=text(each, "cpk"),
            before=_value(each, "before"),
            after=_value(each, "after"),
            is_risk=each.get("widens") is True,
        )
        for each in changes
    ]


def _what(kind: str, name: str) -> str:
    if kind == "limit":
        return (
            f"Limit: {quota_meaning(LIMITS[name]).rstrip('.')}"
            if name in LIMITS
            else f"Limit {name}"
        )
    word = _KINDS.get(kind, kind)
    return word if kind in _OF_ITSELF else f"{word} {name}"


def _value(change: JsonObject, side: str) -> str:
    value, name = text(change, side), text(change, "name")
    if text(change, "kind") in _DIGESTS and value:
        return digest(value)
    if text(change, "kind") != "limit" or not value.isdigit():
        return value or NOTHING
    if "Bytes" in name:
        return size(int(value))
    return f"{count(int(value))} ms" if name.endswith("MsMax") else count(int(value))
