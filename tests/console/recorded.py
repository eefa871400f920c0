"""The console over recorded answers of REST: its pages are the same on each machine, at each time.

`answers.json` holds what a real host has answered to each page of the pictures: `make console-pictures`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from host.access import User
from host.console.app import COOKIE, console_routes
from host.rest.gate import Answer, Visitor
from tests.support.hosts import listening

FILE = Path(__file__).with_name("answers.json")
Query = Mapping[str, str | int | bool | None]
Ask = Callable[[Sequence[str], Query], Answer]
"""What a reading operation answers: its path in parts, and its query."""


class RecordedGate:
    """A gate whose visitor may do everything, and whose time stands still."""

    provider_label = None

    def __init__(self, now: int, ask: Ask) -> None:
        user = User(
            login_name="admin",
            id="1",
            full_name="Admin",
            enabled=True,
            granted=(),
            roles=(),
            properties=(),
            password_expiry=None,
            version=1,
            updated_at=now,
        )
        self._visitor = Visitor(user=user, token="recorded")
        self._now, self._ask = now, ask

    def now_ms(self) -> int:
        return self._now

    async def visitor(self, _scope: Scope, _token: str) -> Visitor:
        return self._visitor

    def may(self, *_: object, **__: object) -> bool:
        return True

    async def call(
        self, _scope: Scope, _visitor: Visitor, method: str, path: Sequence[str], **more: Any
    ) -> Answer:
        assert method == "GET", method
        given = {k: v for k, v in (more.get("query") or {}).items() if v is not None}
        return self._ask(path, given)


def console_over(now: int, ask: Ask) -> Callable[[Scope, Receive, Send], Any]:
    """The console's ASGI application, for a visitor who has signed in."""
    app = Starlette(routes=console_routes(RecordedGate(now, ask)))

    async def signed_in(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["headers"] = [*scope["headers"], (b"cookie", f"{COOKIE}=recorded".encode())]
        await app(scope, receive, send)

    return signed_in


@contextmanager
def recorded_console() -> Iterator[str]:
    """The address of a console that shows what was recorded."""
    kept = json.loads(FILE.read_text())
    answers = {each["asked"]: each for each in kept["answers"]}

    def ask(path: Sequence[str], query: Query) -> Answer:
        found = answers[key_of(path, query)]
        return Answer(status=found["status"], body=found["body"].encode(), next=found["next"])

    with listening(console_over(kept["now"], ask)) as base:
        yield base.replace("127.0.0.1", "localhost")


def recorded_now() -> int:
    """The time of the recording, in ms since 1970."""
    return int(json.loads(FILE.read_text())["now"])


def recorded_pages() -> Mapping[str, str]:
    """The path below `/console` of each page that was recorded, by its name."""
    found: Mapping[str, str] = json.loads(FILE.read_text())["pages"]
    return found


def key_of(path: Sequence[str], query: Query) -> str:
    """What was asked, as one text."""
    return json.dumps([list(path), dict(sorted(query.items()))])
