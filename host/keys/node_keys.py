"""The keys of a node as items of its file: in clear there, since the file is encrypted."""

from collections.abc import Iterable, Iterator

import msgspec

from host.domain.ids import EpochMs, HoldingIdentity
from host.ports.keys import KeyCategory, KeyMaterial, KeyStore
from host.ports.node_contents import NodeItemInvalidError


class _Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    category: KeyCategory
    alias: str
    scheme: str
    public_key: str
    created_at: EpochMs
    private_key: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Key)


class NodeKeys:
    """`NodeContents` of keys."""

    name = "keys"
    version = 1

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        for key in self._keys.export_keys(holding.short_hash):
            yield _encoder.encode(
                _Key(
                    key.category,
                    key.alias,
                    key.scheme,
                    key.public_key,
                    key.created_at,
                    key.private_key,
                )
            )

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        del version  # there is one
        node = holding.short_hash
        found = [_read(item) for item in items]
        self._keys.import_keys(node, found)
        for category in sorted({key.category for key in found}):
            self._keys.assign_hsm(node, category)

    def erase(self, holding: HoldingIdentity) -> None:
        self._keys.erase(holding.short_hash)


def _read(item: bytes) -> KeyMaterial:
    try:
        key = _decoder.decode(item)
    except (ValueError, RecursionError) as exc:
        raise NodeItemInvalidError("an item of keys is malformed") from exc
    return KeyMaterial(
        category=key.category,
        alias=key.alias,
        scheme=key.scheme,
        public_key=key.public_key,
        created_at=key.created_at,
        private_key=key.private_key,
    )
