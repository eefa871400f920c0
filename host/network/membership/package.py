"""Packages: what leads a member's list from one version to another, checked before it counts. Pure.

A package travels as zstd in parts of at most 512 KiB.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import zstandard

from host.domain.errors import InvalidInputError
from host.domain.group_parameters import SignedGroupParameters, signed_bytes
from host.domain.ids import EpochMs
from host.network.values import contexts
from host.network.values.head import SignedHead, head_text, root_of
from host.network.values.member import SignedMember, member_text, mgm_text
from host.network.values.messages import PART_BYTES_MAX, Package, PackagePart
from host.ports.public_keys import PublicKeys

PACKAGE_BYTES_MAX = 64 * 1024 * 1024
PARTS_MAX = PACKAGE_BYTES_MAX // PART_BYTES_MAX
_decoder = msgspec.msgpack.Decoder(Package)
_encoder = msgspec.msgpack.Encoder()


class PackageRefusedError(InvalidInputError):
    """A package of member information is malformed, or not signed as it must be."""

    code = "membership-package-refused"


class GroupForkError(PackageRefusedError):
    """The MGM has signed two lists for one version."""

    code = "group-fork"


class PackageGapError(PackageRefusedError):
    """A package begins after the version that is here."""

    code = "membership-package-gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Whose signatures a group's lists carry.

    Attributes:
        realm: of the group, 64 hexadecimal digits.
        group_id: of the group.
        mgm_key: PEM.
        spec: of the MGM's signatures.
    """

    realm: str
    group_id: str
    mgm_key: str
    spec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """A list at one version: digests by name. Version 0 is the empty list."""

    version: int = 0
    head_hash: bytes = b""
    members: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A package whose checks hold.

    Attributes:
        state: the list after it.
        heads, entries: those after the version that was here; entries as version, name, digest.
        members: by digest.
        parameters: with valid signatures.
    """

    state: ListState
    heads: Sequence[SignedHead]
    entries: Sequence[tuple[int, str, bytes]]
    members: Mapping[bytes, SignedMember]
    parameters: Sequence[SignedGroupParameters]


def to_parts(package: Package, package_id: str) -> Sequence[PackagePart]:
    """The parts of a package."""
    data = zstandard.ZstdCompressor().compress(_encoder.encode(package))
    pieces = [data[at : at + PART_BYTES_MAX] for at in range(0, len(data), PART_BYTES_MAX)]
    return [
        PackagePart(package_id=package_id, index=index, count=len(pieces), data=piece)
        for index, piece in enumerate(pieces)
    ]


def from_parts(parts: Sequence[PackagePart]) -> Package:
    """The package of all its parts, in order.

    Raises:
        PackageRefusedError: it is too large, or malformed.
    """
    data = b"".join(part.data for part in parts)
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= PACKAGE_BYTES_MAX:
            raise PackageRefusedError(
                f"a package of {size} bytes is refused, at most {PACKAGE_BYTES_MAX}"
            )
        return _decoder.decode(zstandard.ZstdDecompressor().decompress(data))
    except (zstandard.ZstdError, ValueError, RecursionError) as exc:
        raise PackageRefusedError(f"a package cannot be read: {exc}") from exc


def check_member(found: SignedMember, signer: Signer, public_keys: PublicKeys) -> str:
    """Check both signatures and the names of a member's information; returns the name.

    Raises:
        PackageRefusedError: one is wrong.
    """
    try:
        info, member = found.info(), found.member
        name = str(info.name)
        (first, *_) = contexts.keys_of(member, contexts.SESSION_KEYS)
        text = mgm_text(signer.realm, found.member_context, found.mgm_context)
        is_signed = public_keys.verify(signer.mgm_key, text, found.mgm_signature, signer.spec)
        own = member_text(signer.realm, found.member_context)
        spec = first.spec or public_keys.default_spec(first.public_key)
        is_own = public_keys.verify(first.public_key, own, found.member_signature, spec)
    except (InvalidInputError, ValueError) as exc:
        raise PackageRefusedError(f"information of a member cannot be used: {exc}") from exc
    if member[contexts.NAME] != name or info.group_id != signer.group_id:
        raise PackageRefusedError(
            f"information of {name} is not in canonical form, or of another group"
        )
    if not is_signed or not is_own:
        who = "member" if is_signed else "MGM"
        raise PackageRefusedError(f"information of {name} is not signed by the {who}")
    return name


def open_package(
    package: Package,
    have: ListState,
    signer: Signer,
    public_keys: PublicKeys,
    *,
    known: Mapping[bytes, str],
) -> Opened | None:
    """Check a package against the list that is here.

    Args:
        package: what came.
        have: the list here.
        signer: who must have signed it.
        public_keys: checks signatures.
        known: names by the digests of information that was checked before.

    Returns:
        What is new; None if nothing is: a lower version is never applied.

    Raises:
        GroupForkError: two heads of one version.
        PackageGapError: versions are missing between; ask for them.
        PackageRefusedError: anything else is wrong.
    """
    heads = _check_heads(package, signer, public_keys)
    _check_chain(package, heads, have)
    new = [head for head in heads if head.head.version > have.version]
    if not new:
        return None
    last = new[-1].head
    members = {each.digest: each for each in package.members}
    names = {
        digest: check_member(each, signer, public_keys)
        for digest, each in members.items()
        if digest not in known
    }
    listed, entries = dict(have.members), list[tuple[int, str, bytes]]()
    for entry in package.entries:
        if not have.version < entry.version <= last.version:
            continue
        if (names.get(entry.digest) or known.get(entry.digest)) != entry.name:
            raise PackageRefusedError(
                f"version {entry.version} names information of {entry.name[:128]} that is missing"
            )
        listed[entry.name] = entry.digest
        entries.append((entry.version, entry.name, entry.digest))
    if root_of(listed).hex() != last.root or len(listed) != last.members:
        raise PackageRefusedError(
            f"the members of version {last.version} are not those of its root"
        )
    return Opened(
        state=ListState(version=last.version, head_hash=new[-1].hash, members=listed),
        heads=new,
        entries=entries,
        members={digest: members[digest] for digest in names},
        parameters=_check_parameters(package, last.parameters, signer, public_keys),
    )


def _check_heads(package: Package, signer: Signer, public_keys: PublicKeys) -> Sequence[SignedHead]:
    if not package.heads:
        raise PackageRefusedError("a package has no head")
    for each in package.heads:
        text = head_text(signer.realm, each.content)
        if not public_keys.verify(signer.mgm_key, text, each.signature, signer.spec):
            raise PackageRefusedError("a head is not signed by the MGM")
        if each.head.group_id != signer.group_id:
            raise PackageRefusedError("a head is of another group")
    return package.heads


def _check_chain(package: Package, heads: Sequence[SignedHead], have: ListState) -> None:
    """Check that heads follow each other, and the one that is here."""
    for head in heads:
        if head.head.version == have.version and head.hash != have.head_hash:
            raise GroupForkError(
                f"version {have.version}: the MGM has signed {have.head_hash.hex()} and"
                f" {head.hash.hex()}"
            )
    first = heads[0].head.version
    is_whole = package.from_version == 0
    if first > have.version + 1 and not (is_whole and have.version == 0):
        raise PackageGapError(
            f"a package begins at version {first}, version {have.version} is here"
        )
    before, expected = (have.head_hash, have.version + 1) if have.version else (None, first)
    for head in heads:
        if head.head.version <= have.version:
            continue
        if head.head.version != expected:
            raise PackageRefusedError(
                f"a package has version {head.head.version}, expected {expected}"
            )
        if before is not None and head.head.previous != before.hex():
            message = f"version {head.head.version} does not follow the version before"
            raise (GroupForkError if before == have.head_hash else PackageRefusedError)(message)
        before, expected = head.hash, expected + 1


def _check_parameters(
    package: Package, wanted: str, signer: Signer, public_keys: PublicKeys
) -> Sequence[SignedGroupParameters]:
    found = list[SignedGroupParameters]()
    for each in package.parameters:
        signed = SignedGroupParameters(
            content=each.content,
            signature=each.signature,
            signer_key=public_keys.canonical(signer.mgm_key),
            spec=signer.spec,
            at=EpochMs(each.at),
        )
        if signed.parameters.group_id != signer.group_id or not public_keys.verify(
            signer.mgm_key, signed_bytes(each.content), each.signature, signer.spec
        ):
            raise PackageRefusedError(
                "group parameters are of another group, or not signed by the MGM"
            )
        found.append(signed)
    if all(each.hash != wanted for each in found):
        raise PackageRefusedError(f"group parameters {wanted} are missing")
    return found
