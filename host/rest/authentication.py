"""HTTP Basic authentication, bearer tokens, and the permission check of every operation."""

from base64 import b64decode
from collections.abc import Iterable, Sequence

from starlette.requests import Request

from host.access import Action, NotAuthenticatedError, User, Users
from host.domain.errors import ForbiddenError
from host.rest.node_turns import outside_turn
from host.rest.requester import requester_of
from host.rest.sign_in import SignIn

_HEADER_CHARACTERS_MAX = 4096
SIGNED_IN = "cordbox.signed-in"
"""Key of the user in the ASGI scope of a call within the process (`host.rest.gate`)."""


async def authenticated(request: Request, users: Users, sign_in: SignIn) -> User:
    """The user whose credentials the request carries, or who signed in with a browser.

    Raises:
        NotAuthenticatedError: missing, malformed or wrong credentials.
        TokenRefusedError, IdentityProviderAwayError: a bearer token cannot be accepted.
        SignInDelayedError: too soon after earlier wrong credentials.
    """
    known: User | None = request.scope.get(SIGNED_IN)
    if known is not None:
        return known
    headers, who = request.headers.getlist("authorization"), requester_of(request.scope)
    if sign_in.takes_tokens and len(headers) == 1:
        scheme, _, token = headers[0].partition(" ")
        if scheme.lower() == "bearer":
            return await outside_turn(request.scope, sign_in.bearer(token.strip(), who))
    login_name, password = basic_credentials(headers)
    return await outside_turn(request.scope, sign_in.user(users, login_name, password, who))


def authorized(user: User, actions: Iterable[Action]) -> None:
    """Check that `user` may do all of `actions`.

    Raises:
        ForbiddenError: one of them is allowed by no permission, or denied by one.
    """
    for action in actions:
        if not user.may(action):
            raise ForbiddenError("User not authorized.", action=action.canonical)


def basic_credentials(headers: Sequence[str]) -> tuple[str, str]:
    """Login name and password of the Authorization header (RFC 7617, UTF-8).

    Raises:
        NotAuthenticatedError: no Basic credentials, or malformed ones, or more than one: a proxy in
            front of this host may have checked another one.
    """
    if len(headers) > 1:
        raise NotAuthenticatedError("User credentials are given more than once.")
    header = headers[0] if headers else ""
    if not header or len(header) > _HEADER_CHARACTERS_MAX:
        raise NotAuthenticatedError("User credentials are missing.")
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise NotAuthenticatedError("User credentials must be Basic credentials.")
    try:
        login_name, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError as error:
        raise NotAuthenticatedError("User credentials are malformed.") from error
    if not colon or not login_name or not password:
        raise NotAuthenticatedError("User credentials are malformed.")
    return login_name, password
