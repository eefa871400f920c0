"""Sign-in by an identity provider: to it and back (OAuth 2.0 authorisation code with PKCE).

The browser keeps one random secret for ten minutes, in a cookie that nothing but this host gets;
state, nonce and PKCE verifier are its digests. So any host of the cluster may take the answer, and
an answer without the cookie of the same browser is worth nothing.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from host.ports.identity import Attempt
from host.rest.gate import Gate

COOKIE = "__Host-cordbox-sign-in"
SECONDS_MAX = 600
_SECRET_CHARACTERS = 64
_COOKIE_CHARACTERS_MAX = 4000
_ANSWER_CHARACTERS_MAX = 8192


def attempt_of(secret: str, following: str) -> Attempt:
    """What is sent for a browser's secret; the page to go to is part of it."""
    return Attempt(
        state=_digest("state", secret, following),
        nonce=_digest("nonce", secret, following),
        verifier=_digest("verifier", secret, following),
    )


async def to_provider(gate: Gate, following: str) -> Response:
    """Send the browser to the provider, with a new secret.

    Raises:
        IdentityProviderAwayError: it does not answer.
    """
    secret = gate.new_secret()
    url = await gate.external_url(attempt_of(secret, following))
    answer = RedirectResponse(url, 303)
    answer.set_cookie(
        COOKIE,
        f"{secret}.{urlsafe_b64encode(following.encode()).decode()}",
        max_age=SECONDS_MAX,
        secure=True,
        httponly=True,
        # The provider sends the browser back from another site.
        samesite="lax",
        path="/",
    )
    return answer


async def from_provider(gate: Gate, request: Request) -> tuple[str, str] | None:
    """The session's token and the page to go to; None if the answer is not of this browser.

    Raises:
        TokenRefusedError, ExternalUserRefusedError, IdentityProviderAwayError: no sign-in.
    """
    kept = _kept(request.cookies.get(COOKIE, ""))
    answer = dict(request.query_params)
    if kept is None or sum(map(len, (*answer, *answer.values()))) > _ANSWER_CHARACTERS_MAX:
        return None
    attempt = attempt_of(*kept)
    if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
        return None
    return await gate.external_sign_in(request.scope, answer, attempt), kept[1]


def forget(answer: Response) -> None:
    """Delete the browser's secret: it is used once."""
    answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax", path="/")


def _kept(cookie: str) -> tuple[str, str] | None:
    secret, dot, following = cookie[:_COOKIE_CHARACTERS_MAX].partition(".")
    if not dot or len(secret) != _SECRET_CHARACTERS:
        return None
    try:
        return secret, urlsafe_b64decode(following.encode()).decode()
    except ValueError:
        return None


def _digest(purpose: str, secret: str, following: str) -> str:
    digest = hashlib.sha256(f"{purpose}\0{secret}\0{following}".encode()).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")
