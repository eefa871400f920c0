"""What a page has at hand: who looks, the gate, and its template."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from starlette.requests import Request

from host.console import charts, words
from host.console.navigation import SECTIONS
from host.console.static_files import PATHS
from host.console.undo import opened
from host.domain import wording
from host.domain.ids import EpochMs
from host.domain.json import JsonObject, JsonValue
from host.rest.gate import Answer, Gate, Query, Visitor
from host.tools.html_pages import environment

PACKAGE = "host.console"
ROWS = 50
"""Rows of a list on one page."""
THEME_COOKIE = "cordbox-theme"
_THEMES = frozenset({"light", "dark"})
_ONCE = frozenset({"part", "done", "undo"})
"""Of the query what belongs to one look, and not to the view."""
_RELEASE = version("cordbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A rendered page."""

    html: str
    status: int = 200


class View:
    """One request of a page. A page asks the gate by `get` and `all`, then renders."""

    def __init__(self, request: Request, gate: Gate, visitor: Visitor, *, now: EpochMs) -> None:
        self.request = request
        self.visitor = visitor
        self.now = now
        self._gate = gate

    async def get(self, *path: str, **query: str | int | bool | None) -> Answer:
        """Call a reading operation; its path in parts."""
        return await self.call("GET", path, query=query)

    async def all(self, *paths: tuple[Sequence[str], Query]) -> Sequence[Answer]:
        """Call several reading operations at once; answers in their order."""
        return await asyncio.gather(*(self.call("GET", p, query=q) for p, q in paths))

    async def call(
        self,
        method: str,
        path: Sequence[str],
        *,
        query: Query | None = None,
        body: JsonValue = None,
        raw: tuple[bytes, str] | None = None,
    ) -> Answer:
        """Call any operation."""
        return await self._gate.call(
            self.request.scope, self.visitor, method, path, query=query, body=body, raw=raw
        )

    def may(self, method: str, template: str, **parameters: str) -> bool:
        """Whether the user may call an operation, so that its button is shown."""
        return self._gate.may(self.visitor, method, template, **parameters)

    def query(self, name: str, *, most: int = 2048) -> str:
        """A value of the page's own query, cut."""
        return self.request.query_params.get(name, "")[:most]

    def path(self, name: str) -> str:
        """A parameter of the page's own path."""
        return str(self.request.path_params[name])

    @property
    def here(self) -> str:
        """The page's path."""
        return str(self.request.url.path)

    def with_query(self, **changes: str | None) -> str:
        """The page's URL with other values of its query; None drops one."""
        kept = {k: v for k, v in self.request.query_params.items() if k not in _ONCE}
        kept |= {k: v or "" for k, v in changes.items()}
        url = self.request.url.remove_query_params(list(self.request.query_params.keys()))
        left = {k: v for k, v in kept.items() if v}
        return url.path + (f"?{url.include_query_params(**left).query}" if left else "")

    def render(self, name: str, /, *, http_status: int = 200, **values: Any) -> Page:
        """The page, or of it the part that the request asks for."""
        html = rendered(self.request, name, self.visitor, self._common(values))
        return Page(html=html, status=http_status)

    def _common(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "view": self,
            "now": self.now,
            "form_token": self.visitor.form_token,
            "login_name": self.visitor.user.login_name,
            **values,
        }


def rendered(
    request: Request, name: str, visitor: Visitor | None, values: Mapping[str, Any]
) -> str:
    """A template's text; only a block of it if the query names a `part`."""
    theme = request.cookies.get(THEME_COOKIE, "")
    template = environment(PACKAGE).get_template(f"templates/{name}.html.jinja")
    context = {
        "w": words,
        "n": wording,
        "charts": charts,
        "sections": SECTIONS,
        "release": _RELEASE,
        "theme": theme if theme in _THEMES else "",
        "host_name": request.url.hostname or "",
        "statics": PATHS,
        "is_signed_in": visitor is not None,
        "flash": request.query_params.get("done", "")[:200],
        "undo": None
        if visitor is None
        else opened(visitor.form_token, request.query_params.get("undo", "")),
        **values,
    }
    part = request.query_params.get("part")
    if part is not None and part in template.blocks:
        return "".join(template.blocks[part](template.new_context(context)))
    return template.render(context)


def items(answer: Answer, member: str) -> Sequence[JsonObject]:
    """The objects of a list that an operation answered; none if it was refused."""
    found = answer.json if answer.is_ok else None
    return members(found, member) if isinstance(found, Mapping) else _objects(found)


def members(found: JsonObject, name: str) -> Sequence[JsonObject]:
    """The objects of a member that is a list."""
    return _objects(found.get(name))


def _objects(listed: JsonValue) -> Sequence[JsonObject]:
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return ()
    return [each for each in listed if isinstance(each, Mapping)]


def one(answer: Answer) -> JsonObject | None:
    """The object that an operation answered; None if it was refused."""
    found = answer.json if answer.is_ok else None
    return found if isinstance(found, Mapping) else None


def text(found: JsonObject | None, name: str) -> str:
    """A member that is a text; empty if there is none."""
    value = None if found is None else found.get(name)
    return value if isinstance(value, str) else ""
