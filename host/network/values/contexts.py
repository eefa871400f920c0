"""Contexts of members: sorted names and texts, with Corda's names, as bytes that are signed. Pure.

A context is the canonical JSON (RFC 8785) of an object of texts. Source of the names:
corda-runtime-os `MemberInfoExtension.kt`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from host.domain.json import canonical_json
from host.network.values.errors import ContextInvalidError

Context = Mapping[str, str]

ENTRIES_MAX = 200
BYTES_MAX = 64 * 1024
CUSTOM_MAX = 100
CUSTOM_KEY_CHARACTERS_MAX = 128
CUSTOM_VALUE_CHARACTERS_MAX = 800

NAME = "corda.name"
GROUP_ID = "corda.groupId"
STATUS = "corda.status"
SERIAL = "corda.serial"
CREATED = "corda.creationTime"
MODIFIED = "corda.modifiedTime"
IS_MGM = "corda.mgm"
ECDH_KEY = "corda.ecdh.key"
PLATFORM_VERSION = "corda.platformVersion"
SOFTWARE_VERSION = "corda.softwareVersion"
CPI_NAME = "corda.cpi.name"
CPI_VERSION = "corda.cpi.version"
CPI_SIGNERS = "corda.cpi.signer.summary.hash"
REGISTRATION_ID = "corda.registration.id"
TLS_SUBJECT = "corda.tls.certificate.subject"
AUTH_TOKEN = "corda.auth.token"  # noqa: S105  # the name of an entry
ROLES = "corda.roles"
SESSION_KEYS = "corda.session.keys"
LEDGER_KEYS = "corda.ledger.keys"
NOTARY_KEYS = "corda.notary.keys"
ENDPOINTS = "corda.endpoints"
NOTARY_SERVICE = "corda.notary.service.name"
NOTARY_PROTOCOL = "corda.notary.service.flow.protocol.name"
NOTARY_PROTOCOL_VERSIONS = "corda.notary.service.flow.protocol.version"
NOTARY_BACKCHAIN = "corda.notary.service.backchain.required"
LOCATION_EPOCH = "cordbox.location.epoch"
LOCATION_ID = "cordbox.location.id"
PLACE = (LOCATION_EPOCH, LOCATION_ID)
"""Where a member is, if it has moved: its node's cluster adds it to what an operator gives."""
CUSTOM = "ext."

_NUL = rb"\u0000"
"""As canonical JSON writes it, and perhaps something else."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,3}")
_decoder = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextKey:
    """A key of a context: PEM, `SHA-256:HEX` of its DER encoding, and the spec of its signatures.

    `spec` is empty where the context does not say it.
    """

    public_key: str
    digest: str
    spec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextEndpoint:
    """Where a member's gateway is."""

    url: str
    protocol_version: str


def encode_context(context: Context) -> bytes:
    """The bytes of a context.

    Raises:
        ContextInvalidError: it is beyond the limits.
    """
    content = canonical_json(dict(context))
    _check(context, content)
    return content


def read_context(content: bytes) -> Context:
    """Read the bytes of a context.

    Raises:
        ContextInvalidError: they are malformed, not canonical, or beyond the limits.
    """
    if len(content) > BYTES_MAX:
        raise ContextInvalidError(f"a context has {len(content)} bytes, at most {BYTES_MAX}")
    try:
        context = _decoder.decode(content)
        is_canonical = canonical_json(context) == content
    except (ValueError, RecursionError) as exc:
        raise ContextInvalidError(f"a context is malformed: {exc}") from exc
    if not is_canonical:
        raise ContextInvalidError("a context is not in canonical form")
    _check(context, content)
    return context


def place_of(context: Context) -> Context:
    """The entries that tell at which place a member is, if it has moved."""
    return {key: context[key] for key in PLACE if key in context}


def numbered(context: Context, prefix: str, suffix: str = "") -> Sequence[str]:
    """The values of `PREFIX.N` or `PREFIX.N.SUFFIX`, by N."""
    before, after = f"{prefix}.", f".{suffix}" if suffix else ""
    found = (
        (key[len(before) : len(key) - len(after)], value)
        for key, value in context.items()
        if key.startswith(before) and key.endswith(after)
    )
    return [v for _, v in sorted((int(n), value) for n, value in found if _NUMBER.fullmatch(n))]


def keys_of(context: Context, prefix: str) -> Sequence[ContextKey]:
    """The keys of one use, the first one preferred."""
    return [
        ContextKey(
            public_key=pem,
            digest=context.get(f"{prefix}.{n}.hash", ""),
            spec=context.get(f"{prefix}.{n}.signature.spec", ""),
        )
        for n, pem in enumerate(numbered(context, prefix, "pem"))
    ]


def all_keys(context: Context) -> Sequence[ContextKey]:
    """The keys of every use."""
    return [
        key
        for prefix in (SESSION_KEYS, LEDGER_KEYS, NOTARY_KEYS)
        for key in keys_of(context, prefix)
    ]


def key_entries(prefix: str, keys: Sequence[ContextKey]) -> Context:
    """The entries of keys of one use."""
    entries = {}
    for n, key in enumerate(keys):
        entries[f"{prefix}.{n}.pem"] = key.public_key
        entries[f"{prefix}.{n}.hash"] = key.digest
        if key.spec:
            entries[f"{prefix}.{n}.signature.spec"] = key.spec
    return entries


def endpoints_of(context: Context) -> Sequence[ContextEndpoint]:
    """The endpoints, the first one preferred."""
    urls = numbered(context, ENDPOINTS, "connectionURL")
    versions = numbered(context, ENDPOINTS, "protocolVersion")
    return [
        ContextEndpoint(url=url, protocol_version=version)
        for url, version in zip(urls, versions, strict=False)
    ]


def is_notary(context: Context) -> bool:
    """Whether a context has the notary role."""
    return "notary" in numbered(context, ROLES)


def serial_of(context: Context) -> int | None:
    """The serial that a context names; None without a valid one."""
    text = context.get(SERIAL, "")
    return int(text) if re.fullmatch(r"0|[1-9][0-9]{0,8}", text) else None


def _check(context: Context, content: bytes) -> None:
    if len(content) > BYTES_MAX:
        raise ContextInvalidError(f"a context has {len(content)} bytes, at most {BYTES_MAX}")
    if len(context) > ENTRIES_MAX:
        raise ContextInvalidError(f"a context has {len(context)} entries, at most {ENTRIES_MAX}")
    texts = (text for entry in context.items() for text in entry)
    if _NUL in content and any("\0" in text for text in texts):
        raise ContextInvalidError("a context has the character U+0000, which cannot be stored")
    custom = [key for key in context if key.startswith(CUSTOM)]
    if len(custom) > CUSTOM_MAX:
        raise ContextInvalidError(
            f"a context has {len(custom)} entries {CUSTOM}*, at most {CUSTOM_MAX}"
        )
    for key in custom:
        if len(key) > CUSTOM_KEY_CHARACTERS_MAX or len(context[key]) > CUSTOM_VALUE_CHARACTERS_MAX:
            raise ContextInvalidError(
                f"{key[:CUSTOM_KEY_CHARACTERS_MAX]} is too long: a key has at most "
                f"{CUSTOM_KEY_CHARACTERS_MAX} characters, its value {CUSTOM_VALUE_CHARACTERS_MAX}"
            )
