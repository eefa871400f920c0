"""JAR signing: manifest sections, signature files and blocks, in the order that Corda needs.

Equal inputs give equal bytes where the scheme allows it (`cpi.crypto.signature_schemes`) and no
timestamp is requested: a signature itself contains no time.

Source: JAR File Specification, "Signed JAR File".
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from cpi.archive.reading import Archive, PackedEntry, read_archive
from cpi.archive.writing import PackedAlready, is_compressible, never_packed, write_archive
from cpi.crypto.cms import encode_signed_data
from cpi.crypto.keys import SigningKey
from cpi.crypto.signature_schemes import scheme_of
from cpi.crypto.trust import check_issued, check_may_sign
from cpi.errors import Code, KeystoreError, ManifestError, SignatureError
from cpi.jar.manifest import encode_manifest, encode_section, parse_manifest
from cpi.jar.signatures import Role, read_manifest, role_of, verify_jar
from cpi.limits import DEFAULT_LIMITS

_MANIFEST = "META-INF/MANIFEST.MF"
_NAME_MAX = 8

Stamp = Callable[[bytes], bytes]
"""Gives an RFC 3161 token (DER) for a signature value; see `cpi.jar.timestamp_requests`."""


def sign_entries(
    main: Mapping[str, str],
    entries: Mapping[str, bytes],
    keys: Sequence[SigningKey],
    *,
    signature_name: str | None = None,
    stamp: Stamp | None = None,
    portable: bool = False,
    packed_already: PackedAlready = never_packed,
) -> bytes:
    """A signed archive of `entries`.

    Args:
        main: main attributes after `Manifest-Version`, in order.
        entries: contents by name; no manifest or signature files.
        keys: every key signs everything; at least one.
        signature_name: base name of the signature files, for one key only.
        stamp: timestamps each signature.
        portable: produce bytes that do not depend on the installed zlib; see `write_archive`.
        packed_already: gives packed forms of entries; see `write_archive`.

    Raises:
        CpiError: an entry, attribute or key cannot be used.
    """
    for name in entries:
        if role_of(name) is not Role.CONTENT:
            raise ManifestError(
                Code.SIGNATURE_RESERVED_NAME, f"entry {name} has a name reserved for signatures"
            )
    sections = [(name, {"SHA-256-Digest": _digest(entries[name])}) for name in sorted(entries)]
    main = {"Manifest-Version": "1.0", **main}
    manifest = encode_manifest(main, sections)
    files = _signature_files(manifest, _names(keys, signature_name, ()), stamp)
    return _assemble(manifest, files, entries, portable=portable, packed_already=packed_already)


def resign(
    data: bytes,
    keys: Sequence[SigningKey],
    *,
    keep_signatures: bool,
    signature_name: str | None = None,
    stamp: Stamp | None = None,
) -> bytes:
    """Replace the signatures of one archive, or add to them. Nested archives stay unchanged.

    A package that was changed after it was signed is refused, even if its signatures are to be
    replaced: a new signature would hide the change.

    Raises:
        SignatureError: an existing signature is invalid, or one to keep already has the name.
        CpiError: the archive or the key cannot be used.
    """
    archive = read_archive(data)
    manifest = read_manifest(archive, DEFAULT_LIMITS)
    entries = {e.name: archive.read(e.name) for e in archive.entries if not e.is_directory}
    content = {name: entries[name] for name in entries if role_of(name) is Role.CONTENT}
    signed = any(role_of(name) is Role.BLOCK for name in entries)
    if signed:
        verify_jar(archive, manifest, DEFAULT_LIMITS)
    if not (keep_signatures and signed):
        main = {k: v for k, v in manifest.main.attributes.items() if k != "Manifest-Version"}
        return sign_entries(
            main,
            content,
            keys,
            signature_name=signature_name,
            stamp=stamp,
            portable=True,
            packed_already=partial(_as_it_lies, archive),
        )
    kept = [(name, entries[name]) for name in _signature_entries(archive)]
    taken = [name.rpartition("/")[2].rpartition(".")[0].upper() for name, _ in kept]
    files = _signature_files(manifest.raw, _names(keys, signature_name, taken), stamp)
    packed = partial(_as_it_lies, archive)
    return _assemble(manifest.raw, [*kept, *files], content, portable=True, packed_already=packed)


def _as_it_lies(archive: Archive, name: str) -> PackedEntry | None:
    """An entry's packed form, so that signing again does not compress it again."""
    keeps = name in archive and role_of(name) is Role.CONTENT and is_compressible(name)
    return archive.packed(name) if keeps else None


def signature_base_name(alias: str) -> str:
    """The signature files' base name for an alias: at most 8 of A-Z, 0-9, `_` and `-`.

    Unlike Corda's tool, which turns digits into `_`, `key1` and `key2` give two names.
    """
    return re.sub(r"[^A-Z0-9_-]", "_", alias.upper()[:_NAME_MAX]) or "SIGNER"


def _names(
    keys: Sequence[SigningKey], wanted: str | None, taken: Iterable[str]
) -> list[tuple[str, SigningKey]]:
    """A base name for each key; a second key with the same name gets a digit appended."""
    if not keys:
        raise SignatureError(Code.NOT_SIGNED, "at least one signing key is needed")
    used, names = set(taken), []
    for key in keys:
        name = signature_base_name(wanted or key.alias)
        if name in used and wanted is None:
            name = next(n for i in range(2, 99) if (n := f"{name[:6]}{i}") not in used)
        if name in used:
            raise SignatureError(
                Code.SIGNER_NAME_TAKEN, f"the archive has a signature named {name} already"
            )
        used.add(name)
        names.append((name, key))
    return names


def _signature_files(
    manifest: bytes, keys: Sequence[tuple[str, SigningKey]], stamp: Stamp | None
) -> list[tuple[str, bytes]]:
    parsed = parse_manifest(manifest)
    statement = encode_section(
        {
            "Signature-Version": "1.0",
            "SHA-256-Digest-Manifest": _digest(manifest),
            "SHA-256-Digest-Manifest-Main-Attributes": _digest(parsed.main.raw),
            "Created-By": "Cordbox",
        }
    )
    statement += b"".join(
        encode_section({"Name": name, "SHA-256-Digest": _digest(section.raw)})
        for name, section in parsed.entries.items()
    )
    files = []
    for name, key in keys:
        extension, block = _block(key, statement, stamp)
        files += [(f"META-INF/{name}.SF", statement), (f"META-INF/{name}.{extension}", block)]
    return files


def _assemble(
    manifest: bytes,
    files: Sequence[tuple[str, bytes]],
    entries: Mapping[str, bytes],
    *,
    portable: bool = False,
    packed_already: PackedAlready = never_packed,
) -> bytes:
    """Manifest, signature files, the rest of META-INF, everything else sorted by name."""
    rest = sorted(entries, key=lambda name: (not name.startswith("META-INF/"), name))
    content = [(_MANIFEST, manifest), *files, *((name, entries[name]) for name in rest)]
    return write_archive(content, portable=portable, packed_already=packed_already)


def _signature_entries(archive: Archive) -> list[str]:
    names = [e.name for e in archive.entries]
    return [n for n in names if role_of(n) in (Role.SIGNATURE_FILE, Role.BLOCK)]


def _block(key: SigningKey, statement: bytes, stamp: Stamp | None) -> tuple[str, bytes]:
    """The signature block over a signature file, and its file extension."""
    leaf = key.certificate_chain[0]
    check_may_sign(leaf)
    if key.private_key.public_key() != leaf.public_key():
        raise KeystoreError(
            Code.KEYSTORE_INVALID, f"certificate of {key.alias!r} is for another key"
        )
    check_issued(key.certificate_chain)
    scheme = scheme_of(key.private_key, leaf)
    signature = scheme.sign(statement)
    return scheme.extension, encode_signed_data(
        certificates=key.certificate_chain,
        digest=scheme.digest,
        algorithm=scheme.algorithm,
        signature=signature,
        timestamp_token=stamp(signature) if stamp else None,
    )


def _digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
