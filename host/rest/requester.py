"""The sender of a request: request id, the client's address, and the user once authenticated.

All three are written to the log and to audit records. The id is the client's own (`X-Request-Id`)
if it is short and plain, else a random one; the answer carries it back.
"""

import secrets
import string
from dataclasses import dataclass

from starlette.types import Scope

REQUEST_ID_HEADER = b"x-request-id"
_ID_CHARACTERS_MAX = 64
_ID_CHARACTERS = frozenset((string.ascii_letters + string.digits + "-_.").encode())
_STATE = "requester"


@dataclass(slots=True, kw_only=True)
class Requester:
    """The sender of a request, and what is known of it so far.

    Attributes:
        request_id: given by the client, or new.
        address: the peer's, or the one that a trusted proxy reports.
        user: a login name.
        route: the path of the operation, with names for its parameters.
        trace: the request's span, in the form of `traceparent`; None without traces.
    """

    request_id: str
    address: str
    user: str | None = None
    route: str | None = None
    trace: str | None = None


def requester_of(scope: Scope) -> Requester:
    """The sender of the request; always the same object for one request."""
    state = scope.setdefault("state", {})
    if _STATE not in state:
        client = scope.get("client")
        state[_STATE] = Requester(
            request_id=_given_id(scope) or secrets.token_hex(8),
            address="unknown" if client is None else str(client[0]),
        )
    requester: Requester = state[_STATE]
    return requester


def _given_id(scope: Scope) -> str | None:
    given = next((value for name, value in scope["headers"] if name == REQUEST_ID_HEADER), b"")
    if 0 < len(given) <= _ID_CHARACTERS_MAX and _ID_CHARACTERS.issuperset(given):
        return str(given.decode())
    return None
