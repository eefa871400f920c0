"""Tokens of a provider: those of others, of other kinds and of other times are refused by name."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey

from host.ports.identity import TokenRefusedError
from host.settings import SettingsInvalidError
from plugins.oidc.settings import OidcSettings
from plugins.oidc.tokens import (
    TOKEN_CHARACTERS_MAX,
    check_access,
    check_id,
    expiry_of,
    groups_of,
    header_of,
    name_of,
    signing_keys,
    verified,
)
from tests.rest.oidc_tokens import (
    AUDIENCE,
    CLIENT,
    NOW,
    OTHER,
    RSA,
    SIGNER,
    claims_of,
    hmac_token,
    keys_document,
    token_of,
)

ISSUER = "https://issuer.example"
ALLOWED = ("RS256", "ES256", "EdDSA")
KEYS = signing_keys(keys_document(SIGNER, RSA))


def judged(token: str, *, issuer: str = ISSUER, audience: str = AUDIENCE, now: int = NOW) -> str:
    """The word of the refusal, or the user's name."""
    try:
        header = header_of(token, ALLOWED)
        claims = verified(token, header, KEYS.of(header.key_id, header.algorithm))
        check_access(header, claims, issuer=issuer, audience=audience)
        expiry_of(claims, now, 60)
        return name_of(claims, "sub")
    except TokenRefusedError as refused:
        return f"! {refused.details['token']}"


def unsigned(header: Any, claims: Any, signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_a_token_for_this_host_names_its_user() -> None:
    assert judged(token_of(claims_of(ISSUER))) == "alice"
    assert judged(token_of(claims_of(ISSUER), RSA, "RS256")) == "alice"
    assert judged(token_of(claims_of(ISSUER, aud=["other", AUDIENCE]), typ="JWT")) == "alice"
    assert judged(token_of(claims_of(ISSUER), kid=None)) == "alice"


RSA_PEM = RSA.as_pem(private=False)
RSA_DER = RSA.as_der(private=False)
PUBLIC = json.dumps(RSA.as_dict(private=False)).encode()
FLIPPED = token_of(claims_of(ISSUER))
FLIPPED = FLIPPED[:-4] + ("AAAA" if FLIPPED[-4:] != "AAAA" else "BBBB")
MOVED = ".".join(
    (
        token_of(claims_of(ISSUER)).split(".")[0],
        token_of(claims_of(ISSUER, sub="admin")).split(".")[1],
        token_of(claims_of(ISSUER)).split(".")[2],
    )
)


@pytest.mark.parametrize(
    ("token", "refused"),
    [
        (unsigned({"alg": "none", "typ": "at+jwt"}, claims_of(ISSUER)), "algorithm"),
        (unsigned({"alg": "None"}, claims_of(ISSUER)), "algorithm"),
        (unsigned({"alg": ["ES256"]}, claims_of(ISSUER)), "algorithm"),
        (unsigned({}, claims_of(ISSUER)), "algorithm"),
        (hmac_token(claims_of(ISSUER), RSA_PEM), "algorithm"),
        (hmac_token(claims_of(ISSUER), RSA_DER), "algorithm"),
        (hmac_token(claims_of(ISSUER), PUBLIC), "algorithm"),
        (token_of(claims_of(ISSUER), RSA, "PS256"), "algorithm"),
        (unsigned({"alg": "ES256", "kid": "rsa"}, claims_of(ISSUER), b"x" * 64), "key"),
        (unsigned({"alg": "RS256", "kid": "one"}, claims_of(ISSUER), b"x" * 256), "key"),
        (token_of(claims_of(ISSUER), OTHER), "key"),
        (token_of(claims_of(ISSUER), OTHER, kid="one"), "signature"),
        (
            token_of(claims_of(ISSUER), OTHER, kid="one", jwk=OTHER.as_dict(private=False)),
            "signature",
        ),
        (unsigned({"alg": "ES256", "kid": "one"}, claims_of(ISSUER)), "signature"),
        (unsigned({"alg": "ES256", "kid": "one"}, claims_of(ISSUER), b"\0" * 64), "signature"),
        (FLIPPED, "signature"),
        (MOVED, "signature"),
        (token_of(claims_of("https://evil.example")), "issuer"),
        (token_of(claims_of(ISSUER + "/")), "issuer"),
        (token_of(claims_of(ISSUER, iss=None)), "issuer"),
        (token_of(claims_of(ISSUER, iss=[ISSUER])), "issuer"),
        (token_of(claims_of(ISSUER, aud="other")), "audience"),
        (token_of(claims_of(ISSUER, aud=CLIENT)), "audience"),
        (token_of(claims_of(ISSUER, aud=None)), "audience"),
        (token_of(claims_of(ISSUER, aud={AUDIENCE: 1})), "audience"),
        (token_of(claims_of(ISSUER), typ="logout+jwt"), "type"),
        (token_of(claims_of(ISSUER), typ="secevent+jwt"), "type"),
        (token_of(claims_of(ISSUER, exp=NOW - 60)), "expired"),
        (token_of(claims_of(ISSUER, exp=None)), "claims"),
        (token_of(claims_of(ISSUER, exp="never")), "claims"),
        (token_of(claims_of(ISSUER, exp=True)), "claims"),
        (token_of(claims_of(ISSUER, nbf=NOW + 61)), "early"),
        (token_of(claims_of(ISSUER, iat=NOW + 61)), "early"),
        (token_of(claims_of(ISSUER, sub=None)), "claims"),
        (token_of(claims_of(ISSUER, sub=7)), "claims"),
        (unsigned({"alg": "ES256", "kid": "one", "crit": ["exp"]}, {}), "malformed"),
        (unsigned({"alg": "ES256", "kid": "one", "b64": False}, {}), "malformed"),
        (unsigned({"alg": "ES256", "kid": {"a": 1}}, {}), "malformed"),
        (unsigned([], {}), "malformed"),
        (unsigned("x", {}), "malformed"),
        ("", "malformed"),
        ("a.b", "malformed"),
        ("a.b.c.d.e", "malformed"),
        ("é.b.c", "malformed"),
        ("....", "malformed"),
        (token_of(claims_of(ISSUER, more="x" * TOKEN_CHARACTERS_MAX)), "malformed"),
        (unsigned({"alg": "ES256", "kid": "x" * 5000}, {}), "malformed"),
        ("eyJhbGciOiJFUzI1NiIsImFsZyI6Im5vbmUifQ.e30.AA", "malformed"),
    ],
)
def test_a_token_that_is_not_for_this_host_is_refused(token: str, refused: str) -> None:
    assert judged(token) == f"! {refused}"


def test_clocks_may_differ_by_the_skew_and_no_more() -> None:
    late = token_of(claims_of(ISSUER, exp=NOW))
    early = token_of(claims_of(ISSUER, nbf=NOW, iat=NOW))
    assert judged(late, now=NOW + 59) == "alice"
    assert judged(late, now=NOW + 60) == "! expired"
    assert judged(early, now=NOW - 60) == "alice"
    assert judged(early, now=NOW - 61) == "! early"


@given(st.text(max_size=60), st.integers(0, 2))
def test_no_bytes_in_place_of_a_part_raise_anything_else(text: str, place: int) -> None:
    parts = token_of(claims_of(ISSUER)).split(".")
    parts[place] = text
    assert judged(".".join(parts)).startswith("! ")


ID = {"aud": CLIENT, "nonce": "n"}


@pytest.mark.parametrize(
    ("changed", "kind", "refused"),
    [
        ({}, "JWT", None),
        ({"aud": [CLIENT, "other"], "azp": CLIENT}, "JWT", None),
        ({"aud": [CLIENT, "other"]}, "JWT", "audience"),
        ({"azp": "other"}, "JWT", "audience"),
        ({"aud": AUDIENCE}, "JWT", "audience"),
        ({"nonce": "of another"}, "JWT", "nonce"),
        ({"nonce": None}, "JWT", "nonce"),
        ({"iat": None}, "JWT", "claims"),
        ({"iss": "https://evil.example"}, "JWT", "issuer"),
        ({}, "at+jwt", "type"),
    ],
)
def test_an_id_token_is_of_this_client_and_attempt(
    changed: Any, kind: str, refused: str | None
) -> None:
    token = token_of(claims_of(ISSUER, **{**ID, **changed}), typ=kind)
    header = header_of(token, ALLOWED)
    claims = verified(token, header, KEYS.of(header.key_id, header.algorithm))
    found = None
    try:
        check_id(header, claims, issuer=ISSUER, client_id=CLIENT, nonce="n")
    except TokenRefusedError as error:
        found = error.details["token"]
    assert found == refused


def test_names_and_groups_come_from_the_claims_of_the_settings() -> None:
    claims = {"email": "a@b.example", "email_verified": True, "g": ["ops", "x", 1], "h": "dev"}
    assert name_of(claims, "email") == "a@b.example"
    for unverified in ({}, {"email_verified": False}, {"email_verified": "true"}):
        with pytest.raises(TokenRefusedError):
            name_of({"email": "a@b.example", **unverified}, "email")
    mapped = {"ops": "Operators", "dev": "Developers"}
    assert groups_of(claims, "g", mapped) == ("Operators",)
    assert groups_of(claims, "h", mapped) == ("Developers",)
    assert groups_of(claims, None, mapped) == groups_of({"g": {"ops": 1}}, "g", mapped) == ()


def test_keys_that_must_not_verify_are_left_out() -> None:
    short = {**RSA.as_dict(private=False), "n": str(RSA.as_dict(private=False)["n"])[:171]}
    document = {
        "keys": [
            SIGNER.as_dict(private=True),
            OctKey.generate_key(256).as_dict(private=True),
            {**RSA.as_dict(private=False), "use": "enc"},
            short,
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            {"kty": "EC"},
            "x",
            ECKey.generate_key("P-521").as_dict(private=False),
        ]
    }
    assert [len(signing_keys(document).of(None, each)) for each in ("ES256", "RS256", "ES384")] == [
        0,
        0,
        0,
    ]
    for other in (None, [], {"keys": {}}, {"keys": None}):
        with pytest.raises(ValueError, match="JWK set"):
            signing_keys(other)


def test_a_key_that_names_its_algorithm_signs_by_no_other() -> None:
    only = {**RSA.as_dict(private=False), "alg": "PS256"}
    keys = signing_keys({"keys": [only]})
    assert (len(keys.of("rsa", "PS256")), len(keys.of("rsa", "RS256"))) == (1, 0)


def test_groups_need_their_claim() -> None:
    with pytest.raises(SettingsInvalidError, match="together"):
        OidcSettings(oidc_issuer=ISSUER, oidc_client_id="c", oidc_groups=("a=b",))
