"""The JSON form of filtered transactions, as guests and peers exchange it (host-api.md).

{"id", "size": 10, "path": [base64..], "groups": [
    {"group": n, "kind": "audit", "size": k,
     "leaves": [{"index", "nonce": base64, "leaf": text}], "path": [base64..]}
  | {"group": n, "kind": "size", "hashes": [base64..]}]}
"""

import base64
from collections.abc import Sequence

from host.domain.json import JsonObject, JsonValue
from host.ledger.core.components import LEAF_BYTES_MAX, LEAVES_MAX, TOTAL_BYTES_MAX, Group
from host.ledger.core.filtered import (
    GROUPS,
    Counted,
    FilteredTransaction,
    Leaf,
    Part,
    Shown,
    check_proofs,
)
from host.ledger.core.model import is_transaction_id
from host.ledger.core.proofs import HASH_BYTES
from host.ledger.errors import FilteredInvalidError
from host.ports.requests import (
    as_object,
    check_fields,
    invalid_request,
    take_bytes,
    take_int,
    take_list,
    take_text,
)

AUDIT = "audit"
SIZE = "size"


def filtered_json(filtered: FilteredTransaction) -> JsonObject:
    """Write a filtered transaction."""
    return {
        "id": filtered.id,
        "size": GROUPS,
        "path": _texts(filtered.path),
        "groups": [_part_json(part) for part in filtered.parts],
    }


def read_filtered(request: JsonObject) -> FilteredTransaction:
    """Read a filtered transaction, and check every proof in it.

    Raises:
        CapabilityError: `request-invalid`, or `filtered-invalid`.
    """
    check_fields(request, ("id", "size", "path", "groups"))
    transaction_id = take_text(request, "id", characters_max=128)
    if not is_transaction_id(transaction_id):
        raise invalid_request(f"field 'id' is no transaction identifier: {transaction_id!r}")
    take_int(request, "size", minimum=GROUPS, maximum=GROUPS)
    groups = take_list(request, "groups", length_max=GROUPS)
    filtered = FilteredTransaction(
        id=transaction_id,
        parts=tuple(_read_part(as_object(item, "groups")) for item in groups),
        path=_read_hashes(request, "path"),
    )
    _check_total(filtered)
    check_proofs(filtered)
    return filtered


def _part_json(part: Part) -> JsonObject:
    if isinstance(part, Counted):
        return {"group": part.group.value, "kind": SIZE, "hashes": _texts(part.hashes)}
    leaves: list[JsonValue] = [
        {"index": leaf.index, "nonce": _text(leaf.nonce), "leaf": leaf.text} for leaf in part.leaves
    ]
    return {
        "group": part.group.value,
        "kind": AUDIT,
        "size": part.size,
        "leaves": leaves,
        "path": _texts(part.path),
    }


def _read_part(item: JsonObject) -> Part:
    group = Group(take_int(item, "group", minimum=0, maximum=GROUPS - 1))
    kind = take_text(item, "kind", characters_max=16)
    if kind == SIZE:
        check_fields(item, ("group", "kind", "hashes"))
        return Counted(group=group, hashes=_read_hashes(item, "hashes"))
    if kind != AUDIT:
        raise invalid_request(f"field 'kind' must be '{AUDIT}' or '{SIZE}'")
    check_fields(item, ("group", "kind", "size", "leaves", "path"))
    size = take_int(item, "size", minimum=1, maximum=LEAVES_MAX)
    leaves = take_list(item, "leaves", length_max=size)
    if not leaves:
        raise invalid_request("field 'leaves' must hold at least one leaf")
    return Shown(
        group=group,
        size=size,
        leaves=tuple(_read_leaf(as_object(leaf, "leaves"), size) for leaf in leaves),
        path=_read_hashes(item, "path"),
    )


def _read_leaf(item: JsonObject, size: int) -> Leaf:
    check_fields(item, ("index", "nonce", "leaf"))
    text = item.get("leaf")
    if not isinstance(text, str):
        raise invalid_request("field 'leaf' must be a text")
    try:
        length = len(text.encode())
    except UnicodeEncodeError as exc:
        raise invalid_request("field 'leaf' is no Unicode text") from exc
    if length > LEAF_BYTES_MAX:
        raise invalid_request(f"field 'leaf' has {length} bytes, at most {LEAF_BYTES_MAX}")
    return Leaf(
        index=take_int(item, "index", minimum=0, maximum=size - 1),
        nonce=_read_hash(item, "nonce"),
        text=text,
    )


def _check_total(filtered: FilteredTransaction) -> None:
    shown = (part for part in filtered.parts if isinstance(part, Shown))
    total = sum(len(leaf.text.encode()) for part in shown for leaf in part.leaves)
    if total > TOTAL_BYTES_MAX:
        raise FilteredInvalidError(
            f"{filtered.id}: {total} bytes in components, at most {TOTAL_BYTES_MAX}"
        )


def _read_hashes(item: JsonObject, name: str) -> tuple[bytes, ...]:
    texts = take_list(item, name, length_max=LEAVES_MAX)
    return tuple(_read_hash({name: text}, name) for text in texts)


def _read_hash(item: JsonObject, name: str) -> bytes:
    data = take_bytes(item, name, bytes_max=HASH_BYTES)
    # One hash has one text, as everything else that is stored and compared.
    if len(data) != HASH_BYTES or _text(data) != item[name]:
        raise invalid_request(f"field {name!r} must be canonical base64 of {HASH_BYTES} bytes")
    return data


def _texts(hashes: Sequence[bytes]) -> list[JsonValue]:
    return [_text(digest) for digest in hashes]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
