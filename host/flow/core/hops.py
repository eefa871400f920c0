"""Limits on flows that start other flows: length of session chains, and total number. Pure.

Both are stored in the platform's properties of a flow's context, which guests cannot write, and are
sent with the first messages of each session. A client-started flow has 0 hops and may have
`descendants_max` descendants. It gives a share of these to each of its sessions, and each responder
does the same with its share: so every tree of flows is finite.
"""

from collections.abc import Mapping

HOPS = "corda.hops"
"""Context property: the number of sessions in the chain that led to the flow."""
DESCENDANTS = "corda.descendants"
"""Context property: how many descendants the flow may have."""
ORIGIN = "corda.originFlowId"
"""Context property: the client-started flow from which the flow descends."""
TOO_MANY_HOPS = "flow-hops-too-many"
TOO_MANY_DESCENDANTS = "flow-descendants-too-many"
_EVENNESS = 4
"""The first session of a flow gets 1 / (this + 1) of the flow's share; the 100th 1 / 2,678."""
_DIGITS_MAX = 7


def hops_of(properties: Mapping[str, str]) -> int | None:
    """The number of hops of a flow: 0 if it is not set, None if it is not a number."""
    return _number(properties.get(HOPS, "0"))


def descendants_of(properties: Mapping[str, str], most: int) -> int | None:
    """The allowed descendants, at most `most`; `most` if not set, None if it is not a number."""
    number = _number(properties.get(DESCENDANTS, str(most)))
    return None if number is None else min(number, most)


def next_hop(platform: Mapping[str, str], following: int) -> dict[str, str]:
    """The platform's properties for a session that a flow with the properties `platform` opens.

    Args:
        platform: of the flow.
        following: how many descendants the session's responder may have.
    """
    hops = str((hops_of(platform) or 0) + 1)
    return {**platform, HOPS: hops, DESCENDANTS: str(following)}


def share_of(descendants: int, number: int) -> int:
    """How many flows may descend from a flow's session, its responder included.

    The shares of all the sessions that a flow may ever open are together at most `descendants`:
    each is `descendants` times `e / ((n + e - 1) * (n + e))`, and these parts add up to 1.

    Args:
        descendants: allowed descendants of the flow.
        number: of the session, from 1.
    """
    return descendants * _EVENNESS // ((number + _EVENNESS - 1) * (number + _EVENNESS))


def killed_key(node: str, origin: str) -> str:
    """Key of the state that marks the descendants of flow `origin` on `node` to be ended."""
    return f"killed/{node}/{origin}"


def too_many_hops(most: int) -> str:
    return f"more than {most} sessions would follow from one another"


def too_many_descendants(most: int) -> str:
    return f"more flows would follow from one that a client started than there may: {most}"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else None
