"""The file of a node, `CBXNODE1`: what its manifest tells, its signature, and items in sections.

Pure but for the streams that it is given. A section is a row of items, each with its length (u32,
big-endian). The last section is the signature, by a key of the node, of all others and the facts:
encryption to a public key does not tell who encrypted.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

from host.adapters.files.container import ContainerInvalidError, Manifest, Section
from host.domain.ids import HoldingIdentity
from host.domain.json import JsonValue, canonical_json
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.ports.node_contents import ITEM_BYTES_MAX, NodeItemInvalidError

MAGIC = b"CBXNODE1"
KIND = "node"
FORMAT = 1
SIGNATURE = "signature"
TOGETHER = "groupExportId"
_LENGTH = struct.Struct(">I")
_PREFIX = b" " * 64 + b"cordbox/v1/export\0"
_SIGNATURE_BYTES_MAX = 64 * 1024
MANIFEST_BYTES_MAX = 256 * 1024
_CHARACTERS_MAX = {"x500Name": 4096, "groupId": 64, "exportId": 36, "signedBy": 16 * 1024}
_EPOCH_MAX = 2**31 - 2
"""What the registers hold: the next one is claimed."""
_AT_MAX = 2**53


def write_items(stream: BinaryIO, items: Iterable[bytes]) -> Section:
    """Write items; returns the section, without its name."""
    digest, size = hashlib.sha256(), 0
    for item in items:
        for part in (_LENGTH.pack(len(item)), item):
            stream.write(part)
            digest.update(part)
            size += len(part)
    return Section(name="", bytes=size, digest=digest.hexdigest())


def read_items(stream: BinaryIO) -> Iterator[bytes]:
    """The items of a section.

    Raises:
        NodeItemInvalidError: one is cut, or too long.
    """
    while head := stream.read(_LENGTH.size):
        size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else ITEM_BYTES_MAX + 1
        if size > ITEM_BYTES_MAX:
            raise NodeItemInvalidError(f"an item has {size} bytes, at most {ITEM_BYTES_MAX}")
        item = stream.read(size)
        if len(item) != size:
            raise NodeItemInvalidError(f"an item ends after {len(item)} of {size} bytes")
        yield item


def facts_of(
    holding: HoldingIdentity,
    *,
    export_id: str,
    at: int,
    epoch: int,
    key: str,
    spec: str,
    versions: Mapping[str, int],
    together: str | None = None,
) -> dict[str, str | int]:
    """The facts of a manifest.

    Args:
        holding: of the node.
        export_id: of the export.
        at: when the node was paused.
        epoch: its location epoch at its source.
        key: PEM of the key that signs.
        spec: of the signature.
        versions: of the items, by section.
        together: of a static group, what its members' exports have in common.
    """
    return {
        "kind": KIND,
        "format": FORMAT,
        "exportId": export_id,
        "at": at,
        "epoch": epoch,
        "x500Name": str(holding.x500_name),
        "groupId": holding.group_id,
        "shortHash": holding.short_hash,
        "signedBy": key,
        "signatureSpec": spec,
        **({} if together is None else {TOGETHER: together}),
        **{f"version.{name}": version for name, version in versions.items()},
    }


def signed_bytes(facts: Mapping[str, str | int], sections: Sequence[Section]) -> bytes:
    """What the node's key signs: the facts, and name, size and digest of the other sections."""
    named: list[JsonValue] = [
        [each.name, each.bytes, each.digest] for each in sections if each.name != SIGNATURE
    ]
    return _PREFIX + canonical_json({"facts": dict(facts), "sections": named})


def holding_of(manifest: Manifest, known: Mapping[str, int]) -> HoldingIdentity:
    """The node of a file, after the form of its manifest was checked.

    Args:
        manifest: of the file.
        known: versions of the items that can be read, by section.

    Raises:
        ContainerInvalidError: it is no file of a node, or one that cannot be read.
    """
    facts = manifest.facts
    if facts.get("kind") != KIND or facts.get("format") != FORMAT:
        raise ContainerInvalidError(
            f"expected a node of format {FORMAT}, found {str(facts.get('kind'))[:64]!r} of format"
            f" {str(facts.get('format'))[:64]!r}"
        )
    texts = {name: str(facts.get(name, "")) for name in _CHARACTERS_MAX}
    numbers_are_right = all(
        isinstance(n := facts.get(name), int) and 0 <= n <= most
        for name, most in (("epoch", _EPOCH_MAX), ("at", _AT_MAX))
    )
    texts_are_right = all(0 < len(text) <= _CHARACTERS_MAX[name] for name, text in texts.items())
    if not numbers_are_right or not texts_are_right or "\0" in "".join(texts.values()):
        raise ContainerInvalidError("the manifest lacks a fact of its node, or one is too long")
    _check_sections(manifest, known)
    try:
        name = MemberX500Name.parse(texts["x500Name"])
    except InvalidX500NameError as exc:
        raise ContainerInvalidError(f"the manifest's name: {exc.message}") from exc
    holding = HoldingIdentity(x500_name=name, group_id=texts["groupId"])
    if holding.short_hash != facts.get("shortHash"):
        raise ContainerInvalidError("the manifest's short hash is not that of its node")
    return holding


def _check_sections(manifest: Manifest, known: Mapping[str, int]) -> None:
    names = [each.name for each in manifest.sections]
    if not names or names[-1] != SIGNATURE or manifest.sections[-1].bytes > _SIGNATURE_BYTES_MAX:
        raise ContainerInvalidError("the file has no signature at its end")
    order = [name for name in known if name in names]
    if names[:-1] != order:
        raise ContainerInvalidError(
            f"the sections are {', '.join(names)[:256]}, expected some of {', '.join(known)}, in"
            " this order"
        )
    for name in order:
        version = manifest.facts.get(f"version.{name}")
        if not isinstance(version, int) or not 1 <= version <= known[name]:
            raise ContainerInvalidError(
                f"section {name} has version {str(version)[:32]}, this release knows up to"
                f" {known[name]}"
            )
