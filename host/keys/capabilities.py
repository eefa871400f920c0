"""`signing` and `crypto`: the capabilities for keys, signatures and digests in flows.

A flow signs with its own node's keys only: the tenant is the caller's holding identity, which the
host sets, never a field of the request.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping

from host.domain.capability_error import CapabilityError
from host.domain.errors import HostError, InvalidInputError, NotFoundError
from host.domain.json import JsonObject, JsonValue
from host.keys.schemes import SchemePublicKeys
from host.ports.capability import CallContext
from host.ports.keys import FLOW_CATEGORIES, KeyStore
from host.ports.requests import (
    check_fields,
    invalid_request,
    take_bytes,
    take_text,
    take_texts,
)
from sandbox.host_api import size

_SIGNED_BYTES_MAX = size("signing.sign", "bytes")
_RESERVED = b" " * 64 + b"cordbox/v1/"
"""Texts that begin so are signed by the host alone, as a member or as an MGM."""
_KEYS_MAX = size("signing.find-keys", "keys")
_HASHED_BYTES_MAX = size("crypto.digest", "bytes")
_VERIFIED_BYTES_MAX = size("crypto.verify", "bytes")
_SIGNATURE_BYTES_MAX = size("crypto.verify", "signature")


def _sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


DIGESTS: Mapping[str, Callable[[bytes], bytes]] = {
    "SHA-256": lambda data: hashlib.sha256(data).digest(),
    "SHA-256D": _sha256d,
    "SHA-384": lambda data: hashlib.sha384(data).digest(),
    "SHA-512": lambda data: hashlib.sha512(data).digest(),
}


class SigningCapability:
    """The WIT interface `signing`."""

    name = "signing"

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._public_keys = SchemePublicKeys()

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        tenant = context.holding.short_hash
        try:
            if function == "sign":
                return self._sign(tenant, request)
            if function == "find-keys":
                return self._find_keys(tenant, request)
        except (InvalidInputError, NotFoundError) as exc:
            raise _as_capability_error(exc) from exc
        raise invalid_request(f"interface signing has no function {function!r}")

    def _sign(self, tenant: str, request: JsonObject) -> JsonValue:
        check_fields(request, ("bytes", "key", "spec"))
        key = take_text(request, "key")
        data = take_bytes(request, "bytes", bytes_max=_SIGNED_BYTES_MAX)
        spec = take_text(request, "spec")
        if data.startswith(_RESERVED):
            raise CapabilityError(
                "signing-reserved",
                "bytes that begin with 64 spaces and 'cordbox/v1/' are signed by the host alone",
            )
        signature = self._keys.sign(tenant, key, data, spec, FLOW_CATEGORIES)
        return {
            "by": self._public_keys.key_id(key),
            "bytes": base64.b64encode(signature).decode(),
        }

    def _find_keys(self, tenant: str, request: JsonObject) -> JsonValue:
        check_fields(request, ("keys",))
        keys = take_texts(request, "keys", length_max=_KEYS_MAX)
        mine = set(self._keys.find_mine(tenant, keys, FLOW_CATEGORIES))
        return [key if key in mine else None for key in keys]


class CryptoCapability:
    """The WIT interface `crypto`: pure functions."""

    name = "crypto"

    def __init__(self) -> None:
        self._public_keys = SchemePublicKeys()

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        del context
        if function == "digest":
            return self._digest(request)
        if function == "verify":
            return self._verify(request)
        raise invalid_request(f"interface crypto has no function {function!r}")

    def _digest(self, request: JsonObject) -> JsonValue:
        check_fields(request, ("algorithm", "bytes"))
        algorithm = take_text(request, "algorithm", characters_max=64)
        digest = DIGESTS.get(algorithm)
        if digest is None:
            raise CapabilityError(
                "digest-algorithm-unknown",
                f"digest algorithm {algorithm!r} is unknown; known are {', '.join(DIGESTS)}",
            )
        data = take_bytes(request, "bytes", bytes_max=_HASHED_BYTES_MAX)
        return f"{algorithm}:{digest(data).hex().upper()}"

    def _verify(self, request: JsonObject) -> JsonValue:
        check_fields(request, ("bytes", "signature", "key", "spec"))
        try:
            return self._public_keys.verify(
                take_text(request, "key"),
                take_bytes(request, "bytes", bytes_max=_VERIFIED_BYTES_MAX),
                take_bytes(request, "signature", bytes_max=_SIGNATURE_BYTES_MAX),
                take_text(request, "spec"),
            )
        except InvalidInputError as exc:
            raise _as_capability_error(exc) from exc


def _as_capability_error(refusal: HostError) -> CapabilityError:
    return CapabilityError(refusal.code, refusal.message)
