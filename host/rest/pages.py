"""Lists in pages: `limit` and `after` of a request, and streamed answers.

A page that is not the last has two headers: `Link: <?…&after=…>; rel="next"`, and `Cordbox-Next`,
which holds only the cursor for `after`.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from anyio import to_thread
from fastapi import Depends, Query, Request
from pydantic import TypeAdapter
from starlette.responses import Response, StreamingResponse

from host.domain.ids import EpochMs
from host.domain.paging import CURSOR_CHARACTERS_MAX, LIMIT_DEFAULT, LIMIT_MAX, Cursor, parse_cursor
from host.rest.services import RestServices

NEXT_HEADER = "Cordbox-Next"
NEXT_HEADERS: Mapping[str, Any] = {
    "Link": {
        "description": 'The next page, `rel="next"`; absent on the last.',
        "schema": {"type": "string"},
    },
    NEXT_HEADER: {
        "description": "The cursor of the next page, for `after`; absent on the last.",
        "schema": {"type": "string"},
    },
}
"""Documents the headers of every list."""
_CHUNK_BYTES = 64 * 1024

T = TypeVar("T")
Place = tuple[int, str]
"""The position of an item in its list: a number, such as the time of its start, then its key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some items of a list, and the cursor of the next page."""

    items: Sequence[T]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAsked:
    """The page that a request asks for."""

    limit: int
    after: str | None
    now: EpochMs

    def of(
        self,
        order: str,
        fetch: Callable[[Cursor | None, int], Sequence[T]],
        place: Callable[[T], Place],
    ) -> Page[T]:
        """The page of a list.

        Args:
            order: the list's name in cursors.
            fetch: reads items after a cursor, up to a number.
            place: the position of an item.

        Raises:
            CursorInvalidError: the cursor is of another list, or damaged.
        """
        cursor = None if self.after is None else parse_cursor(self.after, order)
        found = fetch(cursor, self.limit + 1)
        items = found[: self.limit]
        if len(found) == len(items):
            return Page(items=items, next=None)
        snapshot = self.now if cursor is None else cursor.snapshot
        following = Cursor(order=order, last=place(items[-1]), snapshot=snapshot)
        return Page(items=items, next=following.encoded())

    def of_all(
        self,
        order: str,
        items: Iterable[T],
        place: Callable[[T], Place],
        *,
        newest_first: bool = True,
    ) -> Page[T]:
        """The page of a list that is in memory."""

        def fetch(cursor: Cursor | None, limit: int) -> Sequence[T]:
            ordered = sorted(items, key=place, reverse=newest_first)
            if cursor is None:
                return ordered[:limit]
            last = cursor.last
            behind = (i for i in ordered if (place(i) < last if newest_first else place(i) > last))
            return list(islice(behind, limit))

        return self.of(order, fetch, place)


async def _page_asked(
    request: Request,
    limit: Annotated[
        int, Query(ge=1, le=LIMIT_MAX, description="Items of one page.")
    ] = LIMIT_DEFAULT,
    after: Annotated[
        str | None,
        Query(
            max_length=CURSOR_CHARACTERS_MAX,
            description=f"The `{NEXT_HEADER}` header of the page before.",
        ),
    ] = None,
) -> PageAsked:
    services: RestServices = request.app.state.services
    return PageAsked(limit=limit, after=after, now=services.clock.now_ms())


Asked = Annotated[PageAsked, Depends(_page_asked)]
"""Parameter of a handler: which page of its list is asked for."""


def next_headers(request: Request, following: str | None) -> dict[str, str]:
    """The headers of a page; none on the last."""
    if following is None:
        return {}
    return {"Link": next_link(request, "after", following), NEXT_HEADER: following}


def next_link(request: Request, key: str, value: str) -> str:
    """A `Link` header to the same list, with another value of one query key."""
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [pair for pair in query if pair[0] != key]
    return f'<?{urlencode([*kept, (key, value)])}>; rel="next"'


def listed(
    request: Request,
    page: Page[T],
    render: Callable[[T], bytes],
    *,
    member: str | None = None,
    count: int | None = None,
) -> Response:
    """A page as streamed JSON: only one item at a time is in memory.

    Args:
        request: its query is repeated for the next page.
        page: the page to write.
        render: one item as JSON text; empty if the item was deleted meanwhile.
        member: the object's member that holds the list; None for a bare list.
        count: the object's member `count`: of the items of all pages; None for no such member.
    """
    head, tail = (b"[", b"]")
    if member is not None:
        head, tail = b"{" + msgspec.json.encode(member) + b":[", b"]}"
    if count is not None:
        tail = b'],"count":%d}' % count
    headers = next_headers(request, page.next)
    return streamed(chain((head,), _separated(map(render, page.items)), (tail,)), headers)


def streamed(
    parts: Iterable[bytes],
    headers: Mapping[str, str] | None = None,
    *,
    media_type: str = "application/json",
) -> Response:
    """A streamed answer; a short one is sent whole: each part of a stream is made on a thread.

    The first part is made at once, so that its errors get a proper status.
    """
    pieces = _pieces(parts)
    first = next(pieces, b"")
    if len(first) < _CHUNK_BYTES:
        return Response(first, media_type=media_type, headers=dict(headers or {}))
    return StreamingResponse(
        _chunks(first, pieces), media_type=media_type, headers=dict(headers or {})
    )


def as_json(shape: type[T]) -> Callable[[T], bytes]:
    """Renders values of a `wire` class."""
    adapter = TypeAdapter(shape)
    return lambda value: adapter.dump_json(value, by_alias=True)


def _separated(items: Iterable[bytes]) -> Iterator[bytes]:
    between = b""
    for item in items:
        if item:
            yield between
            yield item
            between = b","


def _pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at least `_CHUNK_BYTES`, but for the last one."""
    held = bytearray()
    for part in parts:
        if not held and len(part) >= _CHUNK_BYTES:
            yield part
            continue
        held += part
        if len(held) >= _CHUNK_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _chunks(first: bytes, following: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces, large ones in chunks: the transport would hold a copy of a whole one."""
    piece: bytes | None = first
    while piece is not None:
        if len(piece) < 2 * _CHUNK_BYTES:
            yield piece
        else:
            for start in range(0, len(piece), _CHUNK_BYTES):
                yield piece[start : start + _CHUNK_BYTES]
        piece = await to_thread.run_sync(next, following, None)
