"""A provider that is away, lies, redirects, floods or changes its keys; and codes that come back."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from host.domain.clock import SimClock
from host.domain.ids import EpochMs
from host.ports.identity import Attempt, IdentityProviderAwayError, TokenRefusedError
from host.ports.live import Fixed
from host.settings.secret import ConfigSecret, Encrypted
from plugins.oidc import documents
from plugins.oidc.discovery import Discovery
from plugins.oidc.documents import BYTES_MAX, Documents
from plugins.oidc.provider import OidcProvider
from plugins.oidc.settings import OidcSettings, ProviderValues
from plugins.oidc.tokens import Header
from tests.rest.oidc_tokens import (
    AUDIENCE,
    CLIENT,
    NOW,
    OTHER,
    SIGNER,
    claims_of,
    provider,
    token_of,
)

ATTEMPT = Attempt(
    state="state", nonce="nonce", verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)


class Clock(SimClock):
    """The time of day that tokens count, and a steady clock."""

    def __init__(self) -> None:
        super().__init__()
        self.steady = 0

    def now_ms(self) -> EpochMs:
        return EpochMs(NOW * 1000 + self.steady)

    def steady_ms(self) -> int:
        return self.steady


@pytest.fixture(scope="module")
def module_provider(tmp_path_factory: Any) -> Any:
    with provider(tmp_path_factory.mktemp("provider")) as made:
        yield made


@pytest.fixture
def there(module_provider: Any) -> Any:
    module_provider.asked.clear()
    module_provider.forms.clear()
    module_provider.answers.clear()
    module_provider.offer(SIGNER)
    return module_provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(there: Any, clock: Clock, *, secret: str | None = None, **changed: Any) -> OidcProvider:
    values = {
        "oidc_issuer": there.url,
        "oidc_client_id": CLIENT,
        "oidc_audience": AUDIENCE,
        "oidc_public_url": "https://host.example",
        **changed,
    }
    sealed = secret and ConfigSecret(config_secret=Encrypted(encrypted_secret=secret))
    live = Fixed(ProviderValues(client_secret=sealed or None))
    return OidcProvider(
        OidcSettings(**values),
        live,
        lambda each: each.config_secret.encrypted_secret,
        Documents(there.ca_file),
        clock,
    )


def away(oidc: OidcProvider, token: str) -> str:
    with pytest.raises(IdentityProviderAwayError) as refused:
        oidc.of_token(token)
    return refused.value.message


def test_configuration_and_keys_are_read_once_and_again_when_they_are_old(
    there: Any, clock: Clock
) -> None:
    oidc = made(there, clock)
    for _ in range(5):
        assert oidc.of_token(there.token()).login_name == "alice"
    assert there.asked == ["/.well-known/openid-configuration", "/jwks"]
    clock.steady += 3600_000
    assert oidc.of_token(there.token(exp=NOW + 9000)).login_name == "alice"
    assert len(there.asked) == 4


def test_a_new_key_is_found_and_invented_ids_do_not_make_the_host_ask(
    there: Any, clock: Clock
) -> None:
    oidc = made(there, clock)
    oidc.of_token(there.token())
    there.offer(OTHER)
    clock.steady += 30_000
    assert oidc.of_token(there.token(OTHER)).login_name == "alice"
    assert len(there.asked) == 4
    for number in range(20):
        with pytest.raises(TokenRefusedError, match="no such signing key"):
            oidc.of_token(token_of(claims_of(there.url), kid=f"k{number}"))
    assert len(there.asked) == 4
    with pytest.raises(TokenRefusedError):
        oidc.of_token(there.token(SIGNER))


def test_known_keys_serve_while_the_provider_is_away_but_not_for_ever(
    there: Any, clock: Clock
) -> None:
    oidc = made(there, clock)
    long = there.token(exp=NOW + 90_000)
    oidc.of_token(long)
    there.answers.clear()
    clock.steady += 3 * 3600_000
    assert oidc.of_token(long).login_name == "alice"
    clock.steady += 3600_000
    assert "answer 404" in away(oidc, long)
    asked = len(there.asked)
    away(oidc, long)
    assert len(there.asked) == asked, "failures are not repeated at once"
    there.offer(SIGNER)
    clock.steady += 5_000
    assert oidc.of_token(long).login_name == "alice"


BOMB = (200, {"content-encoding": "gzip"}, b"x")


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks"])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((302, {"location": "/elsewhere"}, b""), "answer 302"),
        ((301, {"location": "https://127.0.0.1:1/jwks"}, b""), "answer 301"),
        ((500, {}, b"x"), "answer 500"),
        ((200, {}, b" " * (BYTES_MAX + 1)), f"more than {BYTES_MAX} bytes"),
        ((200, {}, b"<html>"), "no JSON"),
        ((200, {}, b'{"keys":[],"keys":[]}'), "no JSON"),
        (BOMB, "a compressed answer"),
        ((200, {}, b"[" * 100_000), "no JSON"),
    ],
)
def test_answers_that_are_none_are_refused(
    there: Any, clock: Clock, path: str, answer: Any, told: str
) -> None:
    there.answers["/elsewhere"] = there.answers[path]
    there.answers[path] = answer
    assert told in away(made(there, clock), there.token())
    assert "/elsewhere" not in there.asked


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"jwks_uri": "http://127.0.0.1/jwks"}, "no https URL"),
        ({"jwks_uri": "file:///etc/passwd"}, "no https URL"),
        ({"jwks_uri": 1}, "no https URL"),
        ({"token_endpoint": None}, "no https URL"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "no https URL"),
        ({"jwks_uri": "https://127.0.0.1:1/jwks"}, "ConnectError"),
    ],
)
def test_a_configuration_that_lies_is_refused(
    there: Any, clock: Clock, changed: Any, told: str
) -> None:
    there.offer(SIGNER, **changed)
    assert told in away(made(there, clock), there.token())


def test_an_answer_that_never_ends_is_cut(there: Any, clock: Clock, monkeypatch: Any) -> None:
    monkeypatch.setattr(documents, "SECONDS_MAX", -1.0)
    assert "more than" in away(made(there, clock), there.token())


def test_a_server_without_a_trusted_certificate_is_not_asked(there: Any, clock: Clock) -> None:
    oidc = OidcProvider(
        OidcSettings(oidc_issuer=there.url, oidc_client_id=CLIENT, oidc_audience=AUDIENCE),
        Fixed(ProviderValues()),
        lambda _: "",
        Documents(None),
        clock,
    )
    assert "ConnectError" in away(oidc, there.token())
    assert there.asked == []


def test_without_an_audience_no_token_is_taken(there: Any, clock: Clock) -> None:
    with pytest.raises(TokenRefusedError, match="oidc_audience"):
        made(there, clock, oidc_audience=None).of_token(there.token())
    assert there.asked == []


def test_the_browser_is_sent_with_a_challenge_and_never_with_its_verifier(
    there: Any, clock: Clock
) -> None:
    url = made(there, clock, oidc_scopes=("profile",)).authorization_url(ATTEMPT)
    query = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{there.url}/auth?")
    assert query == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": "https://host.example/console/sign-in/callback",
        "scope": "openid profile",
        "state": "state",
        "nonce": "nonce",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }


def id_token(there: Any, **changed: Any) -> dict[str, Any]:
    claims = claims_of(there.url, aud=CLIENT, nonce="nonce", **changed)
    return {"id_token": token_of(claims, typ="JWT"), "access_token": "a", "token_type": "Bearer"}


def test_a_code_is_exchanged_with_its_verifier(there: Any, clock: Clock) -> None:
    there.answers["/token"] = id_token(there)
    found = made(there, clock).of_answer({"code": "c", "state": "state"}, ATTEMPT)
    assert found.login_name == "alice"
    form = {name: value for name, (value,) in parse_qs(there.forms[0]).items()}
    assert form == {
        "grant_type": "authorization_code",
        "code": "c",
        "redirect_uri": "https://host.example/console/sign-in/callback",
        "code_verifier": ATTEMPT.verifier,
        "client_id": CLIENT,
    }
    made(there, clock, secret="s e:cret").of_answer({"code": "c", "state": "state"}, ATTEMPT)
    assert "client_id" not in parse_qs(there.forms[1])


@pytest.mark.parametrize(
    ("answer", "names_issuer", "refused"),
    [
        ({"code": "c", "state": "other"}, False, "state"),
        ({"code": "c"}, False, "state"),
        ({"code": "c", "state": "é"}, False, "state"),
        ({"code": "c", "state": "state", "iss": "https://evil.example"}, False, "issuer"),
        ({"code": "c", "state": "state"}, True, "issuer"),
        ({"error": "access_denied", "state": "state"}, False, "code"),
        ({"code": "c", "error": "x", "state": "state"}, False, "code"),
        ({"state": "state"}, False, "code"),
        ({"code": "c" * 5000, "state": "state"}, False, "code"),
    ],
)
def test_answers_to_others_and_of_others_are_refused_before_the_code_is_used(
    there: Any, clock: Clock, answer: Any, names_issuer: bool, refused: str
) -> None:
    there.offer(SIGNER, authorization_response_iss_parameter_supported=names_issuer)
    with pytest.raises(TokenRefusedError) as error:
        made(there, clock).of_answer(answer, ATTEMPT)
    assert error.value.details["token"] == refused
    assert there.forms == []


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        ((400, {}, b'{"error":"invalid_grant"}'), "code"),
        ((401, {}, b"{}"), "code"),
        ({"nonce": "another"}, "nonce"),
        ({"aud": AUDIENCE}, "audience"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"exp": NOW - 61}, "expired"),
    ],
)
def test_a_code_that_served_before_and_tokens_of_others_sign_nobody_in(
    there: Any, clock: Clock, reply: Any, refused: str
) -> None:
    if isinstance(reply, dict):
        claims = claims_of(there.url, **{"aud": CLIENT, "nonce": "nonce", **reply})
        there.answers["/token"] = {"id_token": token_of(claims, typ="JWT")}
    else:
        there.answers["/token"] = reply
    with pytest.raises(TokenRefusedError) as error:
        made(there, clock).of_answer({"code": "c", "state": "state"}, ATTEMPT)
    assert error.value.details["token"] == refused


@pytest.mark.parametrize(
    "reply", [(500, {}, b""), (302, {"location": "/x"}, b""), {}, {"id_token": 1}]
)
def test_a_provider_that_does_not_exchange_is_away(there: Any, clock: Clock, reply: Any) -> None:
    there.answers["/token"] = (200, {}, json.dumps(reply).encode()) if reply == {} else reply
    with pytest.raises(IdentityProviderAwayError):
        made(there, clock).of_answer({"code": "c", "state": "state"}, ATTEMPT)


class SlowSource:
    """A provider whose configuration takes until it is let go, and which knows one key."""

    def __init__(self, there: Any) -> None:
        self._documents = Documents(there.ca_file)
        self.asked, self.go_on = threading.Event(), threading.Event()

    def get(self, url: str) -> Any:
        self.asked.set()
        assert self.go_on.wait(60)
        return self._documents.get(url)


def test_nobody_waits_for_a_provider_that_another_asks(there: Any, clock: Clock) -> None:
    slow = SlowSource(there)
    discovery = Discovery(there.url, slow, clock, lambda: 60)
    unknown = Header(algorithm="ES256", key_id="nobody's", type="jwt")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(discovery.configuration)
        assert slow.asked.wait(60)
        with pytest.raises(IdentityProviderAwayError, match="not read yet"):
            discovery.configuration()
        slow.go_on.set()
        found = first.result(60)

        slow.go_on.clear()
        slow.asked.clear()
        clock.steady += 61_000
        again = pool.submit(discovery.configuration)
        assert slow.asked.wait(60)
        assert discovery.configuration() is found
        with pytest.raises(IdentityProviderAwayError, match="being read"):
            discovery.keys_for(unknown)
        slow.go_on.set()
        assert again.result(60) is not found
    assert list(discovery.keys_for(unknown)) == []
