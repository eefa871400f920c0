"""The chain: entries as canonical JSON, each bound to the one before by SHA-256. Pure.

An entry's `hash` is over the entry without `hash` and `mac`; `previous` is the hash of the entry
before. The first entry, number 0, names the holding identity, so that every hash depends on it.
`mac` is HMAC-SHA256 of the hash under the host's key: who can write the file but not read the key
can make no entry.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from host.domain.ids import EpochMs, HoldingIdentity
from host.domain.json import JsonValue
from host.ports.audit_log import PrivilegedCall

VERSION = 1
LINE_BYTES_MAX = 64 * 1024
NO_HASH = "0" * 64
_HEAD_BYTES = 512

GENESIS, CALL, RECOVERY = "genesis", "call", "recovery"

Entry = Mapping[str, JsonValue]


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The newest entry that a log had, kept beside it: a log that ends earlier was cut."""

    v: int
    seq: int
    hash: str
    mac: str


def genesis(holding: HoldingIdentity, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the first entry."""
    return {
        "kind": GENESIS,
        "at": at,
        "x500Name": str(holding.x500_name),
        "groupId": holding.group_id,
        "holding": holding.full_hash,
    }


def call_content(call: PrivilegedCall, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of an entry for a call."""
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
    }


def recovery(torn: bytes, *, at: EpochMs) -> dict[str, JsonValue]:
    """The content of the entry that tells of a torn line, which was cut off."""
    digest = "SHA-256:" + hashlib.sha256(torn).hexdigest().upper()
    return {"kind": RECOVERY, "at": at, "bytes": len(torn), "digest": digest}


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
    """The entry by RFC 8785. Entries are flat, of texts and whole numbers with ASCII names.

    For those the standard library's encoder gives the same bytes, many times faster.
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


def head_bytes(seq: int, digest: str, key: bytes) -> bytes:
    """The head file: always of one length, so that it is replaced in place."""
    text = f"cordbox audit head {seq} {digest}".encode()
    mac = hmac.new(key, text, "sha256").hexdigest()
    head = msgspec.json.encode(Head(v=VERSION, seq=seq, hash=digest, mac=mac))
    return head.ljust(_HEAD_BYTES - 1) + b"\n"


def parse_head(data: bytes) -> Head | None:
    """The head, unchecked; None for other bytes."""
    try:
        return msgspec.json.decode(data, type=Head)
    except (ValueError, RecursionError):
        return None


def is_genuine(head: Head, key: bytes) -> bool:
    """Whether the host made this head."""
    made = parse_head(head_bytes(head.seq, head.hash, key))
    return made is not None and hmac.compare_digest(made.mac.encode(), head.mac.encode())
