"""How far flows may lead to flows: sessions that follow from one another, and flows in all. Pure.

Both stand in the platform's properties of a flow's context, which no guest can write, and travel
with the first messages of each session. What a client starts has no session behind it, and may
lead to `descendants_max` flows. It hands a share of these to each of its sessions, and so does
each responder with its own: however flows branch, their tree is finite.
"""

from collections.abc import Mapping

HOPS = "corda.hops"
"""The context property that holds how many sessions a flow has behind it."""
DESCENDANTS = "corda.descendants"
"""That which holds how many flows may follow from it."""
ORIGIN = "corda.originFlowId"
"""That which holds the flow that a client started, of all that follows from it."""
TOO_MANY_HOPS = "flow-hops-too-many"
TOO_MANY_DESCENDANTS = "flow-descendants-too-many"
_EVENNESS = 4
"""The first session of a flow gets one in this plus 1 of what there is; the 100th one in 2,678."""
_DIGITS_MAX = 7


def hops_of(properties: Mapping[str, str]) -> int | None:
    """The sessions behind a flow: 0 where nothing is said, None where it is no number."""
    return _number(properties.get(HOPS, "0"))


def descendants_of(properties: Mapping[str, str], most: int) -> int | None:
    """The flows that may follow, at most `most`, and that where nothing is said; or None."""
    number = _number(properties.get(DESCENDANTS, str(most)))
    return None if number is None else min(number, most)


def next_hop(platform: Mapping[str, str], following: int) -> dict[str, str]:
    """The platform's properties of a session that a flow with those of `platform` opens.

    Args:
        platform: of the flow.
        following: how many flows may follow from the session's responder.
    """
    hops = str((hops_of(platform) or 0) + 1)
    return {**platform, HOPS: hops, DESCENDANTS: str(following)}


def share_of(descendants: int, number: int) -> int:
    """How many flows a flow's session may lead to, its responder included.

    The shares of all the sessions that a flow may ever open are together at most `descendants`:
    each is `descendants` times `e / ((n + e - 1) * (n + e))`, and these parts add up to 1.

    Args:
        descendants: flows that may follow from the flow.
        number: of the session, from 1.
    """
    return descendants * _EVENNESS // ((number + _EVENNESS - 1) * (number + _EVENNESS))


def killed_key(node: str, origin: str) -> str:
    """Of the state that says: what follows from flow `origin` of `node` ends there, too."""
    return f"killed/{node}/{origin}"


def too_many_hops(most: int) -> str:
    return f"more than {most} sessions would follow from one another"


def too_many_descendants(most: int) -> str:
    return f"more flows would follow from one that a client started than there may: {most}"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else None
