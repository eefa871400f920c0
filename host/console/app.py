"""The console's ASGI application: who may look, headers of every answer, and the table of pages."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from host.access import NotAuthenticatedError, PasswordExpiredError, SignInDelayedError
from host.console.actions import ACTIONS
from host.console.external_sign_in import forget, from_provider, to_provider
from host.console.forms import PICKED_MAX, UPLOAD_BYTES_MAX, Form
from host.console.page_table import PAGES
from host.console.questions import Done, Result
from host.console.static_files import PREFIX, STATIC_FILES
from host.console.view import Page, View, rendered
from host.domain.errors import HostError, NotFoundError, UnavailableError
from host.ports.identity import TokenRefusedError
from host.rest.gate import Gate, Visitor

COOKIE = "__Host-cordbox"
_SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_FOREVER = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
}
_NEXT_CHARACTERS_MAX = 2048
_LOGIN_CHARACTERS_MAX = 255
_FIELDS_MAX = 200

_NO_SIGN_IN = (TokenRefusedError, NotAuthenticatedError, UnavailableError, NotFoundError)
"""Why nobody is signed in by a provider."""

PageOf = Callable[[View], Awaitable[Page]]
ActionOf = Callable[[View, Form], Awaitable[Result]]


def console_routes(gate: Gate) -> Sequence[BaseRoute]:
    """Everything at and below `/console`."""
    console = _Console(gate)
    return [
        Route(f"{PREFIX}/sign-in", console.sign_in_page, methods=["GET"]),
        Route(f"{PREFIX}/sign-in", console.sign_in, methods=["POST"]),
        Route(f"{PREFIX}/sign-in/start", console.to_provider, methods=["GET"]),
        Route(f"{PREFIX}/sign-in/callback", console.from_provider, methods=["GET"]),
        Route(f"{PREFIX}/sign-out", console.sign_out, methods=["POST"]),
        Route(f"{PREFIX}/static/{{digest}}/{{name}}", _file, methods=["GET"]),
        *(
            Route(f"{PREFIX}{path}", console.action(action), methods=["POST"])
            for path, action in ACTIONS.items()
        ),
        *(
            Route(f"{PREFIX}{path}", console.page(page), methods=["GET"])
            for path, page in PAGES.items()
        ),
    ]


async def _file(request: Request) -> Response:
    found = STATIC_FILES.get(request.path_params["name"])
    if found is None or request.url.path != found.path:
        return Response(status_code=404)
    return Response(found.content, media_type=found.media_type, headers=_FOREVER)


class _Console:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def page(self, page: PageOf) -> Callable[[Request], Awaitable[Response]]:
        async def show(request: Request) -> Response:
            visitor = await self._visitor(request)
            if visitor is None:
                return _to_sign_in(request)
            view = View(request, self._gate, visitor, now=self._gate.now_ms())
            made = await page(view)
            return _html(request, made.html, made.status)

        return show

    def action(self, action: ActionOf) -> Callable[[Request], Awaitable[Response]]:
        async def act(request: Request) -> Response:
            visitor = await self._visitor(request)
            if visitor is None:
                return _to_sign_in(request)
            fields = await request.form(max_fields=_FIELDS_MAX, max_files=1)
            form = await _form(fields)
            if not is_same_origin(request) or form.text("token") != visitor.form_token:
                return _refused(request, "The form does not come from a page of this session.")
            view = View(request, self._gate, visitor, now=self._gate.now_ms())
            done = await action(view, form)
            if isinstance(done, Done):
                return _redirect(done.url(visitor.form_token))
            return _html(request, done.html, done.status)

        return act

    async def sign_in_page(self, request: Request) -> Response:
        if await self._visitor(request) is not None:
            return _redirect(_next(request.query_params.get("next", "")))
        return self._sign_in_html(request, request.query_params.get("next", ""))

    async def sign_in(self, request: Request) -> Response:
        if not is_same_origin(request):
            return _refused(request, "The form does not come from this host.")
        fields = await request.form(max_fields=_FIELDS_MAX, max_files=0)
        form = await _form(fields)
        login_name = form.text("login_name")[:_LOGIN_CHARACTERS_MAX]
        following = form.text("next")
        try:
            token = await self._gate.sign_in(request.scope, login_name, form.text("password"))
        except NotAuthenticatedError:
            return self._sign_in_html(request, following, "Login name or password is wrong.", 401)
        except SignInDelayedError as error:
            return self._sign_in_html(request, following, error.public_message, 429)
        except PasswordExpiredError as error:
            return self._sign_in_html(request, following, error.public_message, 403)
        return _signed_in(token, following)

    async def to_provider(self, request: Request) -> Response:
        following = _next(request.query_params.get("next", ""))
        try:
            answer = await to_provider(self._gate, following)
        except _NO_SIGN_IN as error:
            return self._not_signed_in(request, error)
        answer.headers.update(_SECURITY)
        return answer

    async def from_provider(self, request: Request) -> Response:
        try:
            found = await from_provider(self._gate, request)
        except _NO_SIGN_IN as error:
            answer = self._not_signed_in(request, error)
        else:
            if found is None:
                problem = "This browser has not begun that sign-in, or too long ago. Try again."
                answer = self._sign_in_html(request, "", problem, 403)
            else:
                answer = _signed_in(*found)
        forget(answer)
        return answer

    def _not_signed_in(self, request: Request, error: HostError) -> Response:
        status = 503 if isinstance(error, UnavailableError) else 403
        if isinstance(error, NotFoundError):
            status = 404
        return self._sign_in_html(request, "", error.public_message, status)

    async def sign_out(self, request: Request) -> Response:
        visitor = await self._visitor(request)
        if visitor is None:
            return _to_sign_in(request)
        form = await _form(await request.form(max_fields=_FIELDS_MAX, max_files=0))
        if not is_same_origin(request) or form.text("token") != visitor.form_token:
            return _refused(request, "The form does not come from a page of this session.")
        await self._gate.sign_out(visitor, everywhere=form.text("everywhere") == "yes")
        answer = _redirect(f"{PREFIX}/sign-in")
        answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax", path="/")
        return answer

    def _sign_in_html(
        self, request: Request, asked: str, problem: str = "", status: int = 200
    ) -> Response:
        values = {"next": _next(asked), "problem": problem, "provider": self._gate.provider_label}
        html = rendered(request, "sign_in", None, values)
        return Response(html, status, headers=dict(_SECURITY), media_type="text/html")

    async def _visitor(self, request: Request) -> Visitor | None:
        token = request.cookies.get(COOKIE)
        return await self._gate.visitor(request.scope, token) if token else None


def is_same_origin(request: Request) -> bool:
    """Whether a form was sent by a page of this host: browsers say so, clients cannot make them."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    return urlsplit(origin).netloc == request.headers.get("host", "") != ""


async def _form(data: FormData) -> Form:
    """The texts of a form, and the first file."""
    texts = {name: value for name, value in data.items() if isinstance(value, str)}
    file = next((v for v in data.values() if isinstance(v, UploadFile)), None)
    content = None if file is None else await file.read(UPLOAD_BYTES_MAX + 1)
    picked = dict.fromkeys(v for k, v in data.multi_items() if k == "pick" and isinstance(v, str))
    await data.close()
    return Form(
        texts=texts,
        picked=tuple(picked)[:PICKED_MAX],
        file=content,
        file_name="" if file is None else file.filename or "",
    )


def _next(asked: str) -> str:
    """Where to go after sign-in: only to a page of the console."""
    path = asked[:_NEXT_CHARACTERS_MAX]
    is_own = path == PREFIX or path.startswith((f"{PREFIX}/", f"{PREFIX}?"))
    return path if is_own and path.isprintable() and "\\" not in path else PREFIX


def _to_sign_in(request: Request) -> Response:
    """To the sign-in form; a part of a page gets 401, so that the page stays readable."""
    if request.method != "GET" or "part" in request.query_params:
        return Response("The session has ended.", 401, headers=dict(_SECURITY))
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    asked = "" if here == PREFIX else f"?{urlencode({'next': here})}"
    return _redirect(f"{PREFIX}/sign-in{asked}")


def _signed_in(token: str, following: str) -> Response:
    answer = _redirect(_next(following))
    answer.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="lax", path="/")
    return answer


def _refused(request: Request, why: str) -> Response:
    html = rendered(request, "sign_in", None, {"next": PREFIX, "problem": why, "provider": None})
    return Response(html, 403, headers=dict(_SECURITY), media_type="text/html")


def _html(request: Request, html: str, status: int) -> Response:
    """A page; 304 if the client has it, which parts of a page ask each 5 seconds."""
    tag = f'"{hashlib.sha256(html.encode()).hexdigest()[:32]}"'
    headers = {**_SECURITY, "ETag": tag}
    if status == 200 and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(html, status, headers=headers, media_type="text/html")


def _redirect(url: str) -> RedirectResponse:
    return RedirectResponse(url, 303, headers=dict(_SECURITY))
