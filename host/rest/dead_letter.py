"""Dead letters: records that the flow engine could not process, for operators."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request, Response

from host.domain.ids import EpochMs
from host.domain.paging import Cursor, CursorInvalidError
from host.flow.records.dead_letters import CONTENT_BYTES_MAX, DeadLetter, Examined
from host.ports.bus import RecordPlace
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, Place, as_json, listed
from host.rest.parameters import LetterId
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("Flow Management")

_PLACE = re.compile(r"([0-9]{1,9})-([0-9]{1,18})")


@wire
class DeadLetterInfo:
    """One record. `kind` is what it was to do, `unreadable` when nobody can tell.

    `id` names it until it is retried, discarded or restored. `given_up_timestamp` of a discarded
    one is when that was done.
    """

    id: str
    key: str
    kind: str
    value_bytes: int
    given_up_timestamp: datetime
    holding_identity_short_hash: str | None
    is_discarded: bool


@wire
class DeadLetters:
    dead_letters: list[DeadLetterInfo]


@wire
class DeadLetterFacts:
    """A dead letter, its flow, and whether it can be retried; `why_final` says why not."""

    letter: DeadLetterInfo
    flow_id: str | None
    is_retryable: bool
    why_final: str


@wire
class DeadLetterContent:
    """What a record holds, as text: bytes that are none are replaced; `is_cut`: there is more."""

    id: str
    content: str
    is_cut: bool


_LETTER_JSON = as_json(DeadLetterInfo)


@router.get("/deadletter", response_model=DeadLetters, responses={200: {"headers": NEXT_HEADERS}})
def get_dead_letters(
    *,
    services: Services,
    request: Request,
    asked: Asked,
    discarded: Annotated[
        bool, Query(description="List those that were discarded within the last 7 days instead.")
    ] = False,
) -> Response:
    """List the latest records that the flow engine could not process, newest first.

    The key is a flow's id, a session's id, or the request id and node of a start. What a record
    holds stays on the host.
    """

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[DeadLetter]:
        before = None if cursor is None else _place(cursor)
        return services.flows.dead_letters.page(limit, before, discarded=discarded)

    order = "discarded dead-letters" if discarded else "dead-letters"
    page = asked.of(order, fetch, lambda letter: _last(letter.place))
    return listed(request, page, _rendered, member="deadLetters")


@router.get("/deadletter/{letterid}")
def get_dead_letter(letterid: LetterId, services: Services) -> DeadLetterFacts:
    """Show a dead letter, and whether it can be retried: only while its flow is open."""
    return _facts(services.flows.dead_letters.examine(letterid))


@router.post("/deadletter/{letterid}/content")
def post_dead_letter_content(letterid: LetterId, services: Services) -> DeadLetterContent:
    """Show what a record holds, which may be business data; the administrative log records it."""
    found = services.flows.dead_letters.examine(letterid)
    return DeadLetterContent(
        id=found.letter.id,
        content=found.value[:CONTENT_BYTES_MAX].decode("utf-8", "replace"),
        is_cut=len(found.value) > CONTENT_BYTES_MAX,
    )


@router.post("/deadletter/{letterid}/retry", status_code=204, response_class=Response)
def post_dead_letter_retry(letterid: LetterId, services: Services) -> None:
    """Put a record at the end of its key's queue; refused when its flow is not open."""
    nodes = services.virtual_nodes
    services.flows.dead_letters.retry(letterid, lambda node: nodes.get(node) is not None)


@router.post("/deadletter/{letterid}/discard", status_code=204, response_class=Response)
def post_dead_letter_discard(letterid: LetterId, services: Services) -> None:
    """Discard a record: it is kept for 7 days, counts to its node, and can be restored."""
    services.flows.dead_letters.discard(letterid)


@router.post("/deadletter/{letterid}/restore", status_code=204, response_class=Response)
def post_dead_letter_restore(letterid: LetterId, services: Services) -> None:
    """Take a discarded record back among the dead letters."""
    services.flows.dead_letters.restore(letterid)


def _facts(found: Examined) -> DeadLetterFacts:
    why = "it is discarded" if found.letter.is_discarded else found.why_final
    return DeadLetterFacts(
        letter=_info(found.letter),
        flow_id=found.flow_id,
        is_retryable=not why,
        why_final=why,
    )


def _rendered(letter: DeadLetter) -> bytes:
    return _LETTER_JSON(_info(letter))


def _info(letter: DeadLetter) -> DeadLetterInfo:
    return DeadLetterInfo(
        id=letter.id,
        key=letter.key,
        kind=letter.kind,
        value_bytes=letter.size,
        given_up_timestamp=instant(letter.given_up_at),
        holding_identity_short_hash=letter.node,
        is_discarded=letter.is_discarded,
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
