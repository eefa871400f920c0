"""Versions of a member list: the MGM signs one head for each, chained to the one before. Pure."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from host.domain.ids import EpochMs
from host.domain.json import canonical_json
from host.network.values.errors import MembershipMessageInvalidError
from host.network.values.signed import Purpose, signed_text, with_lengths

_BYTES_MAX = 2048
_LEAF, _NODE = b"\0", b"\1"


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One version of a member list.

    Attributes:
        group_id: of the network.
        version: counted from 1.
        previous: SHA-256 of the head before, in hexadecimal digits; empty for version 1.
        root: of all members at this version (`root_of`), in hexadecimal digits.
        members: how many there are.
        parameters: hash of the group parameters, `SHA-256:HEX`.
        at: when it was made, by the MGM's clock.
    """

    group_id: str
    version: int
    previous: str
    root: str
    members: int
    parameters: str
    at: EpochMs


class SignedHead(Struct, frozen=True, kw_only=True, array_like=True):
    """A head's bytes, and the MGM's signature of `head_text`."""

    content: bytes
    signature: bytes

    @property
    def hash(self) -> bytes:
        """SHA-256 of the bytes, which the next head names and peers compare."""
        return hashlib.sha256(self.content).digest()

    @property
    def head(self) -> Head:
        """The head.

        Raises:
            MembershipMessageInvalidError: it is malformed.
        """
        return read_head(self.content)


_decoder = msgspec.json.Decoder(Head)


def encode_head(head: Head) -> bytes:
    return canonical_json(msgspec.to_builtins(head))


def read_head(content: bytes) -> Head:
    """Read the bytes of a head.

    Raises:
        MembershipMessageInvalidError: they are malformed, or not canonical.
    """
    if len(content) > _BYTES_MAX:
        raise MembershipMessageInvalidError(
            f"a head has {len(content)} bytes, at most {_BYTES_MAX}"
        )
    try:
        head = _decoder.decode(content)
        is_canonical = encode_head(head) == content
    except (ValueError, RecursionError) as exc:
        raise MembershipMessageInvalidError(f"a head is malformed: {exc}") from exc
    if not is_canonical or head.version < 1:
        raise MembershipMessageInvalidError("a head is not in canonical form, or has no version")
    return head


def head_text(realm: str, content: bytes) -> bytes:
    """What the MGM signs of a head."""
    return signed_text(Purpose.GROUP_HEAD, realm, content)


def root_of(digests: Mapping[str, bytes]) -> bytes:
    """The Merkle root of all members, by name: leaves are names and digests with their lengths."""
    return merkle_root([with_lengths(name.encode(), digests[name]) for name in sorted(digests)])


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of RFC 6962, section 2.1, with SHA-256."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = [hashlib.sha256(_LEAF + leaf).digest() for leaf in leaves]
    # Level by level: a last node without a neighbour moves up as it is, which gives the same tree.
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [hashlib.sha256(_NODE + a + b).digest() for a, b in pairs] + odd
    return level[0]
