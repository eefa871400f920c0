"""What the administrative log records, and the contents of its entries. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import rfc8785

from host.domain.ids import EpochMs
from host.domain.json import JsonValue

GENESIS, INTENT, OUTCOME = "genesis", "intent", "outcome"
REFUSAL, REPEATS, PRUNED, RECOVERY = "refusal", "repeats", "pruned", "recovery"

PATH_CHARACTERS_MAX: Final = 2048
TEXT_CHARACTERS_MAX: Final = 255
PARAMETERS_CHARACTERS_MAX: Final = 4096
SUCCEEDED = "ok"

Content = dict[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An operation that changes the host, before it runs.

    Attributes:
        source: `rest`, `console`, or `cli` for a command that works on a data directory.
        user: login name; of an offline command, the operating system's user.
        address: IP address of the client; empty for an offline command.
        request_id: id of the request, as in the host's log and the answer.
        method: HTTP method, or `CLI`.
        path: canonical, with its query; of a command, its words.
        operation: the path with names for its parameters; of a command, its words.
        parameters: chosen values of the request's body; never a secret.
        is_flow: it starts or ends a flow. There are many such acts, so fewer are kept.
    """

    source: str
    user: str
    address: str
    request_id: str
    method: str
    path: str
    operation: str
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    is_flow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an act ended.

    Attributes:
        status: HTTP status; of a command, its exit code.
        code: `ok`, or the code of the refusal.
        result: identifiers of what was created or started, such as the id to poll.
    """

    status: int
    code: str
    result: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An act that was refused before it began. `act.user` is what the client claims."""

    act: Act
    status: int
    code: str

    @property
    def key(self) -> tuple[str, ...]:
        """Refusals with the same key: the first has an entry, the others are counted."""
        act = self.act
        return (act.user, act.address, act.method, act.operation, str(self.status), self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActQuery:
    """A filter of acts; None matches everything.

    Attributes:
        user: the complete login name.
        since: earliest time, included.
        until: latest time, excluded.
        resource: text that the path contains.
    """

    user: str | None = None
    since: EpochMs | None = None
    until: EpochMs | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActView:
    """An act with its outcome, or a refusal with its count.

    Attributes:
        seq: number of its first entry.
        hash: hash of that entry.
        status: None while the act runs, or if the host died during it.
        count: number of refusals; 1 for an act.
    """

    seq: int
    hash: str
    at: EpochMs
    act: Act
    is_refusal: bool
    status: int | None
    code: str | None
    result: Mapping[str, JsonValue]
    ended_at: EpochMs | None
    count: int


def intent(act: Act, *, at: EpochMs) -> Content:
    """The content of the entry written before an act."""
    return {"kind": INTENT, "at": at, **_who_and_what(act)}


def outcome(of: int, ended: Outcome, *, at: EpochMs) -> Content:
    """The content of the entry written after an act, whose intent is entry `of`."""
    return {
        "kind": OUTCOME,
        "at": at,
        "of": of,
        "status": ended.status,
        "code": _cut(ended.code),
        "result": _values(ended.result),
    }


def refusal(refused: Refusal, *, at: EpochMs) -> Content:
    """The content of the entry of a refusal that is the first of its kind in a minute."""
    what = _who_and_what(refused.act)
    return {
        "kind": REFUSAL,
        "at": at,
        **what,
        "status": refused.status,
        "code": _cut(refused.code),
    }


def repeats(
    of: int, *, count: int, first_at: EpochMs, last_at: EpochMs, is_any: bool, at: EpochMs
) -> Content:
    """The content of the entry that counts further refusals like entry `of`, or of any kind."""
    return {
        "kind": REPEATS,
        "at": at,
        "of": of,
        "count": count,
        "firstAt": first_at,
        "lastAt": last_at,
        "like": "any" if is_any else "same",
    }


def pruned(gaps: Sequence[tuple[int, int, str]], *, count: int, at: EpochMs) -> Content:
    """The content of the entry that records which entries were deleted.

    Args:
        gaps: first number, last number and last hash of each range.
        count: how many entries they were.
        at: time of the entry.
    """
    listed = rfc8785.dumps([list(gap) for gap in gaps]).decode()
    return {"kind": PRUNED, "at": at, "count": count, "gaps": listed}


def recovery(*, head_seq: int, head_hash: str, at: EpochMs) -> Content:
    """The content of the entry that reports that the log ended before its head."""
    return {
        "kind": RECOVERY,
        "at": at,
        "cause": "log-cut",
        "headSeq": head_seq,
        "headHash": head_hash,
    }


def _who_and_what(act: Act) -> Content:
    return {
        "source": act.source,
        "user": _cut(act.user),
        "address": _cut(act.address),
        "requestId": _cut(act.request_id),
        "method": _cut(act.method),
        "path": _cut(act.path, PATH_CHARACTERS_MAX),
        "operation": _cut(act.operation),
        "parameters": _values(act.parameters),
        "isFlow": int(act.is_flow),
    }


def _values(values: Mapping[str, JsonValue]) -> str:
    """Canonical JSON; if the values are too long together, only their names."""
    try:
        text = rfc8785.dumps(dict(values)).decode()
    except rfc8785.CanonicalizationError:
        text = ""
    if text and len(text) <= PARAMETERS_CHARACTERS_MAX:
        return text
    names = [_cut(name, 64) for name in sorted(values)[:32]]
    return rfc8785.dumps({"omitted": names}).decode()


def _cut(text: str, most: int = TEXT_CHARACTERS_MAX) -> str:
    """The start of a text, with invalid characters replaced."""
    whole = text.encode(errors="replace").decode()
    return whole if len(whole) <= most else whole[: most - 1] + "…"
