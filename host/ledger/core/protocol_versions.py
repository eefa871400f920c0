"""Which version of the platform's protocols two hosts speak, by the member list. Pure.

A member's platform version, which its MGM has checked, tells what its host speaks before a message
is sent to it. A receiver still reads the version of each message: a host may be older than what its
member's entry says.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

SPOKEN_SINCE: Mapping[int, int] = MappingProxyType({1: 50_200})
"""Versions of the protocols -> the lowest platform version that speaks each."""


def highest_spoken(
    platform_versions: Iterable[int], since: Mapping[int, int] = SPOKEN_SINCE
) -> int | None:
    """The highest version that all of these speak; None if there is none.

    Args:
        platform_versions: of the counterparties. Newer ones than this release's speak all of it.
        since: as `SPOKEN_SINCE`, of this release.
    """
    oldest = min(platform_versions, default=max(since.values()))
    return max((version for version, least in since.items() if least <= oldest), default=None)
