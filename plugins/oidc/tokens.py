"""What a signed token of the provider has to be, and its claims. Pure.

Sources: RFC 7515, 7519, 8725, 9068; OpenID Connect Core 1.0, 3.1.3.7.
"""

from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from cpi.strict_json import JsonRefusedError, parse_json
from host.ports.identity import TokenRefusedError

TOKEN_CHARACTERS_MAX = 16 * 1024
_HEADER_BYTES_MAX = 4096
_ID_TYPES = frozenset({"jwt"})
_ACCESS_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_RSA_BITS_MIN = 2048
_KINDS: Mapping[str, tuple[type[Any], str | None]] = {
    "RS": (RSAKey, None),
    "PS": (RSAKey, None),
    "ES256": (ECKey, "P-256"),
    "ES384": (ECKey, "P-384"),
    "EdDSA": (OKPKey, "Ed25519"),
}
"""Kind and curve of the keys of an algorithm, by its name or its first letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """The provider's public keys that may sign tokens."""

    keys: tuple[tuple[str | None, str | None, Key], ...]
    """Id, the only algorithm if one is named, key."""

    def of(self, key_id: str | None, algorithm: str) -> Sequence[Key]:
        """The keys that a token with this header may be signed by."""
        kind, curve = _KINDS.get(algorithm) or _KINDS[algorithm[:2]]
        return [
            key
            for known, only, key in self.keys
            if known == key_id or key_id is None
            if only in {None, algorithm}
            if isinstance(key, kind) and (curve is None or _curve(key) == curve)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The parts of a token's header that decide how it is verified."""

    algorithm: str
    key_id: str | None
    type: str


def header_of(token: str, algorithms: Collection[str]) -> Header:
    """The header of a compact JWS, before anything is verified.

    Raises:
        TokenRefusedError: no JWS, another algorithm, or a header that demands more.
    """
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise refused("malformed", f"it has more than {TOKEN_CHARACTERS_MAX} characters")
    if token.count(".") != 2 or not token.isascii():
        raise refused("malformed", "it is no signed token of three parts")
    try:
        found = parse_json(_decoded(token.partition(".")[0]), bytes_max=_HEADER_BYTES_MAX)
    except (ValueError, JsonRefusedError):
        raise refused("malformed", "its header is no JSON") from None
    if not isinstance(found, dict):
        raise refused("malformed", "its header is no object")
    algorithm, key_id, kind = found.get("alg"), found.get("kid"), found.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise refused("algorithm", "its algorithm is not among `oidc_algorithms`")
    if not isinstance(kind, str) or not (key_id is None or isinstance(key_id, str)):
        raise refused("malformed", "kid or typ of its header is no text")
    if {"crit", "b64", "zip"} & found.keys():
        raise refused("malformed", "its header demands what is not supported")
    return Header(algorithm=algorithm, key_id=key_id, type=kind.lower())


def verified(token: str, header: Header, keys: Sequence[Key]) -> Mapping[str, Any]:
    """The claims of a token that one key signed.

    Raises:
        TokenRefusedError: no single key is known that may have signed it, or it did not.
    """
    if len(keys) != 1:
        raise refused("key", "the provider has no such signing key, or several without an id")
    try:
        whole = jws.deserialize_compact(token, keys[0], algorithms=[header.algorithm])
        claims = parse_json(whole.payload, bytes_max=TOKEN_CHARACTERS_MAX)
    except (JoseError, JsonRefusedError, ValueError, TypeError):
        raise refused("signature", "it was not signed by the provider") from None
    if not isinstance(claims, dict):
        raise refused("malformed", "its claims are no object")
    return claims


def check_access(header: Header, claims: Mapping[str, Any], *, issuer: str, audience: str) -> None:
    """Check what a bearer token of REST says of itself.

    Raises:
        TokenRefusedError: it is of another kind, issuer or audience.
    """
    _check_type(header, _ACCESS_TYPES)
    _check_issuer(claims, issuer)
    if audience not in _audiences(claims):
        raise refused("audience", "it is for somebody else")


def check_id(
    header: Header, claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str
) -> None:
    """Check what an ID token says of itself.

    Raises:
        TokenRefusedError: it is of another kind, issuer, client or attempt.
    """
    _check_type(header, _ID_TYPES)
    _check_issuer(claims, issuer)
    audiences = _audiences(claims)
    azp = claims.get("azp", client_id)
    if (
        client_id not in audiences
        or azp != client_id
        or (len(audiences) > 1 and "azp" not in claims)
    ):
        raise refused("audience", "it is for another client")
    if claims.get("nonce") != nonce:
        raise refused("nonce", "it was made for another sign-in")
    if "iat" not in claims:
        raise refused("claims", "iat is missing")


def expiry_of(claims: Mapping[str, Any], now: int, skew: int) -> int:
    """When a token ends that counts now, in seconds since 1970.

    Args:
        claims: of the token.
        now: seconds since 1970.
        skew: seconds by which clocks may differ.

    Raises:
        TokenRefusedError: it has ended, does not count yet, or does not say when it ends.
    """
    expires = _seconds(claims, "exp")
    if expires is None:
        raise refused("claims", "exp is missing")
    if now >= expires + skew:
        raise refused("expired", "it has expired")
    for name in ("nbf", "iat"):
        at = _seconds(claims, name)
        if at is not None and now < at - skew:
            raise refused("early", f"it does not count yet ({name})")
    return expires


def name_of(claims: Mapping[str, Any], claim: str) -> str:
    """The login name in a claim.

    Raises:
        TokenRefusedError: the claim is missing, or an e-mail address that nobody has verified.
    """
    name = claims.get(claim)
    if not isinstance(name, str) or not name:
        raise refused("claims", f"the claim {claim} with the user's name is missing")
    if claim == "email" and claims.get("email_verified") is not True:
        raise refused("claims", "the e-mail address is not verified")
    return name


def groups_of(
    claims: Mapping[str, Any], claim: str | None, mapped: Mapping[str, str]
) -> tuple[str, ...]:
    """The cluster's groups that a user's groups at the provider stand for, sorted."""
    given = None if claim is None else claims.get(claim)
    names = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    texts = {each for each in names if isinstance(each, str)}
    return tuple(sorted({mapped[each] for each in texts if each in mapped}))


def signing_keys(document: object) -> SigningKeys:
    """The usable keys of a JWK set; others, such as symmetric and private ones, are left out.

    Raises:
        ValueError: it is no JWK set.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JWK set")  # noqa: TRY004  # of a document, not of an argument
    found = []
    for each in listed[:_KEYS_MAX]:
        key = _key(each) if isinstance(each, dict) else None
        if key is not None:
            found.append((each.get("kid"), each.get("alg"), key))
    return SigningKeys(keys=tuple(found))


_KEYS_MAX = 100


def refused(what: str, why: str) -> TokenRefusedError:
    """A refusal; `what` is a word for programs."""
    return TokenRefusedError(f"The token is refused: {why}.", token=what)


def _key(document: Mapping[str, Any]) -> Key | None:
    kinds: Mapping[str, type[Any]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = kinds.get(str(document.get("kty")))
    if kind is None or "d" in document or document.get("use", "sig") != "sig":
        return None
    try:
        if kind is RSAKey and len(_decoded(str(document.get("n")))) * 8 < _RSA_BITS_MIN:
            return None
        key: Key = kind.import_key(dict(document))
        key.public_key  # noqa: B018  # read lazily
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def _curve(key: Key) -> str | None:
    return key.curve_name if isinstance(key, ECKey | OKPKey) else None


def _check_type(header: Header, types: Collection[str]) -> None:
    if header.type not in types:
        raise refused("type", "it is a token of another kind")


def _check_issuer(claims: Mapping[str, Any], issuer: str) -> None:
    if claims.get("iss") != issuer:
        raise refused("issuer", "it is of another issuer")


def _audiences(claims: Mapping[str, Any]) -> Sequence[str]:
    found = claims.get("aud")
    listed = found if isinstance(found, list) else [found]
    return [each for each in listed if isinstance(each, str)]


def _seconds(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused("claims", f"{name} is no number")
    return int(value)


def _decoded(part: str) -> bytes:

    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
