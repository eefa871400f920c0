"""How many sessions a flow has behind it: each opened by the responder of the one before. Pure.

The count stands in the platform's properties of a flow's context, which no guest can write, and
travels with the first messages of each session. What a client or a timer starts has none behind it.
"""

from collections.abc import Mapping

HOPS = "corda.hops"
"""The context property that holds the count."""
TOO_MANY_HOPS = "flow-hops-too-many"
_DIGITS_MAX = 6


def hops_of(properties: Mapping[str, str]) -> int | None:
    """The count in a flow's properties: 0 where there is none, None where it is no count."""
    text = properties.get(HOPS, "0")
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS_MAX:
        return None
    return int(text)


def next_hop(platform: Mapping[str, str]) -> dict[str, str]:
    """The platform's properties of a session that a flow with those of `platform` opens."""
    return {**platform, HOPS: str((hops_of(platform) or 0) + 1)}


def too_many_hops(most: int) -> str:
    return f"more than {most} sessions would follow from one another"
