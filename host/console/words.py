"""Values as templates show them: times, names, digests, marks. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from host.domain.ids import EpochMs
from host.domain.json import JsonObject
from host.domain.wording import some, span

NOTHING = "\N{EN DASH}"
"""Stands where there is no value."""
_NAME_PARTS = ("O", "CN")
_DIGEST_HEAD, _DIGEST_TAIL = 4, 2
_STATES = {
    "RUNNING": ("run", "runs"),
    "START_REQUESTED": ("idle", "starts"),
    "COMPLETED": ("good", "completed"),
    "FAILED": ("bad", "failed"),
    "KILLED": ("bad", "killed"),
    "ACTIVE": ("good", "active"),
    "INACTIVE": ("out", "maintenance"),
    "MAINTENANCE": ("out", "maintenance"),
    "PAUSED": ("idle", "paused"),
    "V": ("good", "verified"),
    "U": ("out", "unverified"),
    "I": ("bad", "invalid"),
    "D": ("idle", "draft"),
    "ready": ("good", "ready"),
    "joined": ("good", "joined"),
}


@dataclass(frozen=True, slots=True)
class State:
    """A state by shape, colour and word: `look` is `good`, `bad`, `out`, `run` or `idle`."""

    look: str
    word: str


def state(text: str) -> State:
    """The state that REST calls so."""
    look, word = _STATES.get(text, ("idle", text.lower()))
    return State(look, word)


def millis(text: str | None) -> EpochMs | None:
    """The time of an instant as REST writes it."""
    if not text:
        return None
    return EpochMs(int(datetime.fromisoformat(text).timestamp() * 1000))


def clock_time(text: str | None) -> str:
    """`11:42:16` in UTC; a dash if there is none."""
    at = millis(text)
    return NOTHING if at is None else f"{_utc(at):%H:%M:%S}"


def day(text: str | None) -> str:
    """`29 November 2026` in UTC."""
    at = millis(text)
    return NOTHING if at is None else f"{_utc(at).day} {_utc(at):%B %Y}"


def day_time(text: str | None) -> str:
    """`29 November 2026, 11:42:16 UTC`."""
    return NOTHING if millis(text) is None else f"{day(text)}, {clock_time(text)} UTC"


def ago(text: str | None, now: EpochMs) -> str:
    """How long ago an instant was."""
    at = millis(text)
    return NOTHING if at is None else span(max(now - at, 0))


def until(text: str | None, now: EpochMs) -> str:
    """How long it is to an instant."""
    at = millis(text)
    return NOTHING if at is None else span(max(at - now, 0))


def lasted(begun: str | None, ended: str | None, now: EpochMs) -> str:
    """The time between two instants, or from one to now."""
    first, last = millis(begun), millis(ended)
    return NOTHING if first is None else span(max((now if last is None else last) - first, 0))


def open_flows(usage: JsonObject | None) -> str:
    """How many flows a node has open: `1 flow is open`, `3 flows are open`."""
    found = None if usage is None else usage.get("flowsOpen")
    if not isinstance(found, int):
        return "How many flows are open is not known"
    return f"{some(found, 'flow')} {'is' if found == 1 else 'are'} open"


def name_head(x500_name: str) -> str:
    """The part of a name that people know a member by: `O=Alice`."""
    parts = x500_name.split(", ")
    return next(
        (p for wanted in _NAME_PARTS for p in parts if p.startswith(f"{wanted}=")), parts[0]
    )


def name_rest(x500_name: str) -> str:
    """The rest of a name: `L=London, C=GB`."""
    head = name_head(x500_name)
    return ", ".join(part for part in x500_name.split(", ") if part != head)


def digest(text: str) -> str:
    """A digest by its ends: `F2F1…1E`."""
    plain = text.rpartition(":")[2]
    if len(plain) <= _DIGEST_HEAD + _DIGEST_TAIL + 4:
        return plain
    return f"{plain[:_DIGEST_HEAD]}…{plain[-_DIGEST_TAIL:]}"


def short_class(name: str) -> str:
    """A class without its package."""
    return name.rpartition(".")[2]


def _utc(at: EpochMs) -> datetime:
    return datetime.fromtimestamp(at / 1000, tz=UTC)
