"""What a log's head file records, and the check of a log against it. Pure.

The file has two lines of the same fixed length, so that each can be overwritten in place. The first
names the newest entry and is written after every entry; the second names the newest entry that is
known to be synced to disk. A log that ends before the first was cut. A power failure may cause
that, but it loses no entry up to the second, and the machine has a new boot id afterwards.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from host.domain.ids import EpochMs
from host.domain.json import JsonValue
from host.nodes.audit_log.chain import RECOVERY, Cause, digest_of

LINE_BYTES = 512
NEWEST, MARK = "head", "mark"
POWER_FAILURE, NONE = "power-failure", "none"


class HeadLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the log, and the boot id of the machine when it was recorded."""

    v: int
    seq: int
    hash: str
    boot: str = ""
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Both lines as found; None for one that is not valid."""

    raw: bytes
    newest: HeadLine | None
    mark: HeadLine | None

    @property
    def is_empty(self) -> bool:
        return not self.raw.strip(b"\0 \n")


def line_bytes(role: str, *, seq: int, digest: str, boot: str, key: bytes) -> bytes:
    """A line of the head file.

    Args:
        role: `NEWEST` or `MARK`.
        seq: number of the entry.
        digest: its hash.
        boot: boot id of the machine.
        key: the host's key.
    """
    line = HeadLine(v=2, seq=seq, hash=digest, boot=boot, mac=_mac(role, seq, digest, boot, key))
    return msgspec.json.encode(line).ljust(LINE_BYTES - 1) + b"\n"


def parse_head(data: bytes) -> Head:
    """The head file's content, unchecked."""
    return Head(
        raw=data,
        newest=_parsed(data[:LINE_BYTES]),
        mark=_parsed(data[LINE_BYTES : 2 * LINE_BYTES]),
    )


def is_genuine(line: HeadLine, role: str, key: bytes) -> bool:
    """Whether the host made this line."""
    if line.v == 1:
        text = f"cordbox audit head {line.seq} {line.hash}".encode()
        mac = hmac.new(key, text, "sha256").hexdigest()
    else:
        mac = _mac(role, line.seq, line.hash, line.boot, key)
    return line.v in {1, 2} and hmac.compare_digest(mac.encode(), line.mac.encode())


def recovery(
    head: Head,
    *,
    last: int,
    hash_at: Callable[[int], str | None],
    key: bytes,
    boot: str,
    at: EpochMs,
) -> dict[str, JsonValue] | None:
    """The content of the entry that reports how a log differs from its head.

    Args:
        head: as found beside the log.
        last: number of the log's last entry; -1 for an empty log.
        hash_at: the hash of the log's entry of a number, None if it has none.
        key: the host's key.
        boot: boot id of the machine.
        at: time of the entry.

    Returns:
        None when nothing is wrong. A head that is behind the log is not an error: it was not synced
        to disk in time.
    """
    content: dict[str, JsonValue] = {"kind": RECOVERY, "at": at}
    newest = head.newest
    if head.is_empty:
        # The first entry of a log is written before its head.
        return None if last <= 0 else {**content, "cause": Cause.HEAD_MISSING.value}
    if newest is None or not is_genuine(newest, NEWEST, key):
        return {**content, "cause": Cause.HEAD_FORGED.value, "digest": digest_of(head.raw)}
    known: dict[str, JsonValue] = {"headSeq": newest.seq, "headHash": newest.hash}
    if newest.seq > last:
        cut = Cause.LOG_CUT.value
        return {**content, "cause": cut, **known, "explanation": _explained(head, last, key, boot)}
    if hash_at(newest.seq) != newest.hash:
        return {**content, "cause": Cause.LOG_REPLACED.value, **known}
    return None


def _explained(head: Head, last: int, key: bytes, boot: str) -> str:
    newest, mark = head.newest, head.mark
    was_synced = mark is None or not is_genuine(mark, MARK, key) or mark.seq > last
    is_same_run = newest is not None and newest.boot in {"", boot}
    return NONE if was_synced or is_same_run else POWER_FAILURE


def _parsed(line: bytes) -> HeadLine | None:
    try:
        return msgspec.json.decode(line, type=HeadLine)
    except (ValueError, RecursionError):
        return None


def _mac(role: str, seq: int, digest: str, boot: str, key: bytes) -> str:
    text = f"cordbox audit {role} {seq} {digest} {boot}".encode()
    return hmac.new(key, text, "sha256").hexdigest()
