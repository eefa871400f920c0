"""Dead letters: records that the flow engine could not process, for operators."""

import re
from collections.abc import Sequence
from datetime import datetime

from fastapi import Request, Response

from host.domain.ids import EpochMs
from host.domain.paging import Cursor, CursorInvalidError
from host.flow.records.dead_letters import DeadLetter
from host.ports.bus import RecordPlace
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, Place, as_json, listed
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("Flow Management")

_PLACE = re.compile(r"([0-9]{1,9})-([0-9]{1,18})")


@wire
class DeadLetterInfo:
    """One record. `kind` is what it was to do, `unreadable` when nobody can tell."""

    key: str
    kind: str
    value_bytes: int
    given_up_timestamp: datetime


@wire
class DeadLetters:
    dead_letters: list[DeadLetterInfo]


_LETTER_JSON = as_json(DeadLetterInfo)


@router.get("/deadletter", response_model=DeadLetters, responses={200: {"headers": NEXT_HEADERS}})
def get_dead_letters(services: Services, request: Request, asked: Asked) -> Response:
    """List the latest records that the flow engine could not process, newest first.

    The key is a flow's id, a session's id, or the request id and node of a start. What a record
    holds stays on the host.
    """

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[DeadLetter]:
        return services.flows.dead_letters(limit, None if cursor is None else _place(cursor))

    page = asked.of("dead-letters", fetch, lambda letter: _last(letter.place))
    return listed(request, page, _rendered, member="deadLetters")


def _rendered(letter: DeadLetter) -> bytes:
    return _LETTER_JSON(
        DeadLetterInfo(
            key=letter.key,
            kind=letter.kind,
            value_bytes=letter.size,
            given_up_timestamp=instant(letter.given_up_at),
        )
    )


def _last(place: RecordPlace) -> Place:
    return place.written_at, f"{place.partition}-{place.offset}"


def _place(cursor: Cursor) -> RecordPlace:
    written_at, text = cursor.last
    found = _PLACE.fullmatch(text)
    if found is None:
        raise CursorInvalidError("the cursor is damaged")
    return RecordPlace(
        written_at=EpochMs(written_at), partition=int(found[1]), offset=int(found[2])
    )
