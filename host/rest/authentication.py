"""HTTP Basic authentication and the permission check of every operation."""

from base64 import b64decode
from collections.abc import Iterable

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from host.domain.errors import ForbiddenError
from host.rbac import Action, NotAuthenticatedError, User, Users

_HEADER_CHARACTERS_MAX = 4096
_GUESSES_AT_ONCE = 2


def guess_limiter() -> CapacityLimiter:
    """How many credentials may be checked at once, apart from the threads of other work.

    Checking is slow on purpose: strangers who guess must wait for each other, not take all threads.
    """
    return CapacityLimiter(_GUESSES_AT_ONCE)


async def authenticated(request: Request, users: Users, limiter: CapacityLimiter) -> User:
    """The user whose credentials the request carries.

    Args:
        request: the request.
        users: who there is.
        limiter: what `guess_limiter` made for this server.

    Raises:
        NotAuthenticatedError: none, malformed or wrong credentials.
    """
    login_name, password = basic_credentials(request.headers.get("authorization"))
    user = users.remembered(login_name, password)
    if user is not None:
        return user
    return await to_thread.run_sync(users.authenticate, login_name, password, limiter=limiter)


def authorized(user: User, actions: Iterable[Action]) -> None:
    """Check that `user` may do all of `actions`.

    Raises:
        ForbiddenError: no permission allows one of them, or one denies it.
    """
    for action in actions:
        if not user.may(action):
            raise ForbiddenError("User not authorized.", action=action.canonical)


def basic_credentials(header: str | None) -> tuple[str, str]:
    """Login name and password of an Authorization header (RFC 7617, UTF-8).

    Raises:
        NotAuthenticatedError: no Basic credentials, or malformed ones.
    """
    if header is None or len(header) > _HEADER_CHARACTERS_MAX:
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
