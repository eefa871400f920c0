"""The chain: entries as canonical JSON, each bound to the one before by SHA-256. Pure.

An entry's `hash` is over the entry without `hash` and `mac`; `previous` is the hash of the entry
before. The first entry, number 0, names the holding identity, so that every hash depends on it.
`mac` is HMAC-SHA256 of the hash under the host's key: a process that can write the file but cannot
read the key cannot make a valid entry.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.json import JsonValue
from host.ports.audit_log import PrivilegedCall

VERSION = 2
VERSIONS = frozenset({1, VERSION})
"""Version 1 had one file, and only the entries `genesis`, `call` and those of torn lines."""
LINE_BYTES_MAX = 64 * 1024
NO_HASH = "0" * 64

GENESIS, SEGMENT, CALL = "genesis", "segment", "call"
REPEATS, RECOVERY, ARCHIVED = "repeats", "recovery", "archived"
ACKNOWLEDGED, ARRIVED = "acknowledged", "arrived"

Entry = Mapping[str, JsonValue]


class Cause(StrEnum):
    """Why a log does not continue from its last entry."""

    TORN_LINE = "torn-line"
    LOG_CUT = "log-cut"
    LOG_REPLACED = "log-replaced"
    HEAD_MISSING = "head-missing"
    HEAD_FORGED = "head-forged"
    RESTORED = "restored"


def genesis(holding: HoldingIdentity, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the first entry."""
    return {"kind": GENESIS, "at": at, **_identity(holding)}


def segment(holding: HoldingIdentity, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the first entry of every file but the first of a log.

    Its `previous` is the hash of the last entry of the file before.
    """
    return {"kind": SEGMENT, "at": at, **_identity(holding)}


def _identity(holding: HoldingIdentity) -> dict[str, JsonValue]:
    return {
        "x500Name": str(holding.x500_name),
        "groupId": holding.group_id,
        "holding": holding.full_hash,
    }


def call_content(call: PrivilegedCall, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of an entry for a call."""
    parts = {"operation": call.operation, "step": call.step}
    return {
        "kind": CALL,
        "at": at,
        "cpi": call.cpi,
        "flow": call.flow_id,
        "flowClass": call.flow_class,
        "call": call.call,
        "function": call.function,
        "request": call.request_digest,
        "outcome": call.outcome,
        **{name: part for name, part in parts.items() if part is not None},
    }


def torn_line(torn: bytes, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the entry that reports a torn last line, which was removed."""
    return {
        "kind": RECOVERY,
        "at": at,
        "cause": Cause.TORN_LINE.value,
        "bytes": len(torn),
        "digest": digest_of(torn),
    }


def restored(*, of: EpochMs, store_id: str, backup: str, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the first entry that a log gets after its host was restored.

    Args:
        of: the moment that the backup shows; later entries are not in it.
        store_id: store id of the restored host.
        backup: digest of the backup's header.
        at: when it was restored.
    """
    return {
        "kind": RECOVERY,
        "at": at,
        "cause": Cause.RESTORED.value,
        "of": of,
        "storeId": store_id,
        "backup": backup,
    }


def archived(
    *, first: int, last: int, last_hash: str, content: str, at: EpochMs
) -> dict[str, JsonValue]:
    """The content of the entry that records that a whole file of the log was moved.

    Args:
        first: number of the file's first entry.
        last: number of its last.
        last_hash: hash of its last.
        content: digest of the file.
        at: time of the entry.
    """
    return {
        "kind": ARCHIVED,
        "at": at,
        "firstSeq": first,
        "lastSeq": last,
        "lastHash": last_hash,
        "digest": content,
    }


def arrived(*, of: int, of_hash: str, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the entry that names a log of the node on the cluster that it came from.

    Args:
        of: number of that log's last entry.
        of_hash: its hash.
        at: when the node was imported.
    """
    return {"kind": ARRIVED, "at": at, "of": of, "ofHash": of_hash}


def acknowledged(
    *, of: int, of_hash: str, user: str, reason: str, at: EpochMs
) -> dict[str, JsonValue]:
    """The content of the entry by which a person acknowledges a reported cut.

    Args:
        of: number of the entry that reports the cut.
        of_hash: its hash.
        user: the person who examined it.
        reason: what was found.
        at: time of the entry.
    """
    return {
        "kind": ACKNOWLEDGED,
        "at": at,
        "of": of,
        "ofHash": of_hash,
        "user": user,
        "reason": reason,
    }


def digest_of(content: bytes) -> str:
    return "SHA-256:" + hashlib.sha256(content).hexdigest().upper()


def sealed(content: Mapping[str, JsonValue], *, seq: int, previous: str, key: bytes) -> Entry:
    """The entry: `content` with its number, its hashes and its MAC."""
    entry = {**content, "v": VERSION, "seq": seq, "previous": previous}
    digest = hash_of(entry)
    return {**entry, "hash": digest, "mac": mac_of(key, digest)}


def hash_of(entry: Entry) -> str:
    """The hash that the entry should have: 64 lower-case hexadecimal digits."""
    hashed = {name: value for name, value in entry.items() if name not in {"hash", "mac"}}
    return hashlib.sha256(canonical(hashed)).hexdigest()


def canonical(entry: Entry) -> bytes:
    """The entry as RFC 8785 JSON. Entries are flat: strings and integers under ASCII names.

    For such objects the standard library's encoder gives the same bytes, many times faster.
    """
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def mac_of(key: bytes, digest: str) -> str:
    return hmac.new(key, b"cordbox audit entry " + digest.encode(), "sha256").hexdigest()


def line_of(entry: Entry) -> bytes:
    """The entry as a line of the log."""
    return canonical(entry) + b"\n"


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The entry of a line without its end; None for one that is not in canonical form."""
    try:
        entry = msgspec.json.decode(line)
        is_flat = isinstance(entry, dict) and all(type(v) in {str, int} for v in entry.values())
        return entry if is_flat and canonical(entry) == line else None
    except (ValueError, RecursionError):
        return None
