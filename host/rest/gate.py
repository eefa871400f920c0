"""The gate: calls operations of REST within the process, for a user who signed in with a browser.

Each call is a request to the newest version of the API: it is authorised, limited, recorded in the
administrative log and refused like one that comes by HTTP. The user stands in the ASGI scope, which
no client can write.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from anyio import to_thread
from starlette.types import ASGIApp, Message, Scope

from host.access import NotAuthenticatedError, PasswordExpiredError, User, Users, http_action
from host.access.errors import ExternalUserRefusedError
from host.access.sessions import BrowserSessions
from host.domain.errors import NotFoundError
from host.domain.ids import EpochMs, ShortHash
from host.domain.json import JsonValue
from host.ports.clock import Clock
from host.ports.identity import Attempt
from host.rest.authentication import SIGNED_IN
from host.rest.external_sign_in import ExternalSignIn
from host.rest.node_turns import outside_turn
from host.rest.requester import requester_of
from host.rest.sign_in import SignIn
from host.rest.versions import API_BASES, VERSIONS

BASE = f"/api/{VERSIONS[-1]}"
ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""Longest answer that is taken; no page needs more."""
_NEXT = b"cordbox-next"
Query = Mapping[str, str | int | bool | None]


class AnswerTooLongError(Exception):
    """An operation's answer is longer than any page can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who looks. `form_token` proves that a form came from a page of this session."""

    user: User
    token: str

    @property
    def form_token(self) -> str:
        return hashlib.sha256(f"form {self.token}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an operation answered. `next` is the cursor of the next page of a list."""

    status: int
    body: bytes
    next: str | None = None

    @property
    def is_ok(self) -> bool:
        return self.status < 400

    @property
    def json(self) -> JsonValue:
        """The body; None if it is empty or no JSON."""
        try:
            value: JsonValue = json.loads(self.body)
        except ValueError:
            return None
        return value

    @property
    def code(self) -> str:
        """The stable code of a refusal."""
        return self._detail("code") or f"http-{self.status}"

    @property
    def reason(self) -> str:
        """Why it was refused."""
        found = self.json
        title = found.get("title") if isinstance(found, Mapping) else None
        return self._detail("reason") or (title if isinstance(title, str) else "")

    def _detail(self, name: str) -> str:
        found = self.json
        details = found.get("details") if isinstance(found, Mapping) else None
        value = details.get(name) if isinstance(details, Mapping) else None
        return value if isinstance(value, str) else ""


class Gate:
    """Signs people in, and calls operations for them. Used by one event loop."""

    def __init__(
        self, *, users: Users, sign_in: SignIn, sessions: BrowserSessions, clock: Clock
    ) -> None:
        self._users = users
        self._sign_in = sign_in
        self._sessions = sessions
        self._clock = clock
        self._external = sign_in.external
        self._api: ASGIApp | None = None

    def open(self, api: ASGIApp) -> None:
        """Set the application that is called, which is made after its routes."""
        self._api = api

    def now_ms(self) -> EpochMs:
        """The host's time."""
        return self._clock.now_ms()

    async def sign_in(self, scope: Scope, login_name: str, password: str) -> str:
        """Begin a session; returns its token.

        Raises:
            NotAuthenticatedError: the credential is wrong.
            SignInDelayedError: too soon after wrong ones.
            PasswordExpiredError: the password has to be changed first.
        """
        checked = self._sign_in.user(self._users, login_name, password, requester_of(scope))
        user = await outside_turn(scope, checked)
        if user.has_expired(self._clock.now_ms()):
            raise PasswordExpiredError("The password has expired; set another one over REST.")
        requester_of(scope).user = user.login_name
        return await to_thread.run_sync(self._sessions.begin, user)

    @property
    def provider_label(self) -> str | None:
        """How people call the identity provider by which they may sign in; None without one."""
        return None if self._external is None else self._external.label_for_browsers

    def new_secret(self) -> str:
        """A secret for a browser on its way to the identity provider."""
        return self._sessions.new_token()

    async def external_url(self, attempt: Attempt) -> str:
        """Where a browser goes to sign in by the identity provider.

        Raises:
            NotFoundError: the host has none for browsers.
            IdentityProviderAwayError: it does not answer.
        """
        return await self._for_browsers().url(attempt)

    async def external_sign_in(
        self, scope: Scope, answer: Mapping[str, str], attempt: Attempt
    ) -> str:
        """Begin a session of the user whom the identity provider names; returns its token.

        Raises:
            NotFoundError: the host has none for browsers.
            TokenRefusedError, ExternalUserRefusedError, IdentityProviderAwayError: no sign-in.
        """
        requester = requester_of(scope)
        signed_in = self._for_browsers().answered(answer, attempt, requester)
        user, groups = await outside_turn(scope, signed_in)
        requester.user = user.login_name
        return await to_thread.run_sync(self._sessions.begin, user, groups)

    def _for_browsers(self) -> ExternalSignIn:
        if self._external is None or self._external.label_for_browsers is None:
            raise NotFoundError(
                "no identity provider signs people in here", kind="identity provider", named=""
            )
        return self._external

    async def sign_out(self, visitor: Visitor, *, everywhere: bool) -> None:
        """End a session, or all sessions of its user."""
        if everywhere:
            await to_thread.run_sync(self._sessions.end_all, visitor.user.login_name)
        else:
            await to_thread.run_sync(self._sessions.end, visitor.token)

    async def visitor(self, scope: Scope, token: str) -> Visitor | None:
        """Who has the session of a token; None if it has ended."""
        found = await to_thread.run_sync(self._visitor, token)
        if found is not None:
            requester_of(scope).user = found.user.login_name
        return found

    def _visitor(self, token: str) -> Visitor | None:
        session = self._sessions.find(token)
        if session is None:
            return None
        try:
            if session.groups is not None and self._external is not None:
                user = self._external.user_of(session.login_name, session.groups)
            else:
                user = self._users.get(session.login_name)
        except (NotFoundError, ExternalUserRefusedError):
            return None
        if user.sso and session.groups is None:
            return None
        expired = user.has_expired(self._clock.now_ms())
        if user.version != session.user_version or not user.enabled or expired:
            return None
        return Visitor(user=user, token=token)

    def may(self, visitor: Visitor, method: str, template: str, **parameters: str) -> bool:
        """Whether a call would be authorised, for pages to leave out what is not.

        Args:
            visitor: who would call.
            method: of the operation.
            template: its path, with names for parameters.
            parameters: their canonical values.
        """
        node = next((ShortHash(v) for k, v in parameters.items() if k == "node"), None)
        action = http_action(
            method, template, parameters, bases=(BASE,), twins=API_BASES, node=node
        )
        return visitor.user.may(action)

    async def call(
        self,
        scope: Scope,
        visitor: Visitor,
        method: str,
        path: Sequence[str],
        *,
        query: Query | None = None,
        body: JsonValue = None,
        raw: tuple[bytes, str] | None = None,
    ) -> Answer:
        """Call an operation.

        Args:
            scope: of the request to which the call belongs.
            visitor: the user.
            method: of the operation.
            path: its parts, not quoted.
            query: values; those that are None are left out.
            body: as JSON; None for no body.
            raw: instead of it, a body of another content type.

        Raises:
            NotAuthenticatedError: the gate is not open yet.
            AnswerTooLongError: the answer is longer than `ANSWER_BYTES_MAX`.
        """
        if self._api is None:
            raise NotAuthenticatedError("The host is starting.")
        content, kind = raw or (b"" if body is None else json.dumps(body).encode(), _JSON)
        inner = _inner_scope(
            scope,
            method,
            path,
            query=_query_text(query or {}),
            length=len(content),
            kind=kind,
        )
        inner[SIGNED_IN] = visitor.user
        taken = _Taken(content)
        await self._api(inner, taken.receive, taken.send)
        return taken.answer()


_JSON = "application/json"


class _Taken:
    """The two ends of a call in the process."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content
        self._status = 500
        self._next: str | None = None
        self._body = bytearray()

    async def receive(self) -> Message:
        content, self._content = self._content, None
        if content is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = dict(message.get("headers", ()))
            found = headers.get(_NEXT)
            self._next = None if found is None else found.decode("latin-1")
            return
        self._body += message.get("body", b"")
        if len(self._body) > ANSWER_BYTES_MAX:
            raise AnswerTooLongError

    def answer(self) -> Answer:
        return Answer(status=self._status, body=bytes(self._body), next=self._next)


def _inner_scope(
    scope: Scope, method: str, path: Sequence[str], *, query: str, length: int, kind: str
) -> Scope:
    whole = "/".join((BASE, *path))
    return {
        "type": "http",
        "asgi": scope.get("asgi", {"version": "3.0"}),
        "http_version": "1.1",
        "method": method,
        "scheme": scope.get("scheme", "https"),
        "path": whole,
        "raw_path": "/".join((BASE, *(quote(part, safe="") for part in path))).encode(),
        "root_path": BASE,
        "query_string": query.encode(),
        "headers": [
            (b"host", dict(scope["headers"]).get(b"host", b"localhost")),
            (b"content-type", kind.encode()),
            (b"content-length", str(length).encode()),
            (b"accept", b"application/json"),
        ],
        "client": scope.get("client"),
        "server": scope.get("server"),
        # The same requester and turn; what the call adds does not reach the page's request.
        "state": dict(scope.setdefault("state", {})),
    }


def _query_text(query: Query) -> str:
    given = {key: value for key, value in query.items() if value is not None}
    return urlencode({k: str(v).lower() if isinstance(v, bool) else v for k, v in given.items()})
