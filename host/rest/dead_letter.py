"""Dead letters: records that the flow engine has given up, for operators."""

from datetime import datetime
from typing import Annotated

from fastapi import Query

from host.flow.dead_letters import LIMIT_MAX
from host.rest.operation import resource
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("Flow Management")

_LIMIT = 100


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


@router.get("/deadletter")
def get_dead_letters(
    services: Services, limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = _LIMIT
) -> DeadLetters:
    """List the latest records that the flow engine has given up, newest first.

    The key is a flow's id, a session's id, or the request id and node of a start. What a record
    holds stays on the host.
    """
    found = services.flows.dead_letters(limit)
    return DeadLetters(
        dead_letters=[
            DeadLetterInfo(
                key=letter.key,
                kind=letter.kind,
                value_bytes=letter.size,
                given_up_timestamp=instant(letter.given_up_at),
            )
            for letter in found
        ]
    )
