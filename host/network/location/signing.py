"""Whose key signs a node's file, and whether a signature is of a key that came with it."""

from collections.abc import Iterable, Sequence

from host.adapters.files.container import ContainerInvalidError, Manifest, Section
from host.domain.errors import ConflictError
from host.domain.ids import HoldingIdentity
from host.network.location.node_file import signed_bytes
from host.ports.keys import KeyCategory, KeyInfo, KeyStore
from host.ports.public_keys import PublicKeys

_ORDER = (KeyCategory.SESSION_INIT, KeyCategory.LEDGER, KeyCategory.NOTARY)


class NodeCannotLeaveError(ConflictError):
    """The virtual node cannot leave this cluster as it is."""

    code = "virtual-node-cannot-leave"


def signing_key(keys: KeyStore, holding: HoldingIdentity) -> KeyInfo:
    """The key of a node that signs its file: of its sessions, or else of its ledger.

    Raises:
        NodeCannotLeaveError: it has none.
    """
    found = keys.list(holding.short_hash)
    for category in _ORDER:
        for key in found:
            if key.category is category:
                return key
    raise NodeCannotLeaveError(
        f"virtual node {holding.short_hash} has no key that could sign its file: register it first"
    )


def signature(
    keys: KeyStore,
    public_keys: PublicKeys,
    holding: HoldingIdentity,
    facts: dict[str, str | int],
    sections: Sequence[Section],
) -> bytes:
    """The content of the last section."""
    key = str(facts["signedBy"])
    data = signed_bytes(facts, sections)
    return keys.sign(holding.short_hash, key, data, public_keys.default_spec(key))


def check_signature(
    manifest: Manifest, signed: bytes, owned: Iterable[str], public_keys: PublicKeys
) -> None:
    """Check that a key of the file's own node has signed it.

    Args:
        manifest: of the file.
        signed: content of its last section.
        owned: PEM of the keys in the file.
        public_keys: checks signatures.

    Raises:
        ContainerInvalidError: none has.
    """
    key, spec = (str(manifest.facts.get(name, "")) for name in ("signedBy", "signatureSpec"))
    data = signed_bytes(manifest.facts, manifest.sections)
    if key not in set(owned) or not public_keys.verify(key, data, signed, spec):
        raise ContainerInvalidError("the file is not signed by a key of its node")
