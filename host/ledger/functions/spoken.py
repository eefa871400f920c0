"""Whether the counterparties of a protocol speak a version that this host speaks."""

from collections.abc import Sequence

from host.domain.capability_error import CapabilityError
from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.ledger.core.protocol_versions import SPOKEN_SINCE, highest_spoken
from host.ports.directory import Members


class CounterpartyTooOldError(CapabilityError):
    """A counterparty's host speaks no version of the platform's protocols that this one speaks."""

    def __init__(self, name: str, platform_version: int) -> None:
        super().__init__(
            "protocol-version-unknown",
            f"{name} runs platform version {platform_version}, which speaks no version of this"
            f" protocol: expected at least {min(SPOKEN_SINCE.values())}",
        )


def check_spoken(members: Members, viewer: HoldingIdentity, names: Sequence[str]) -> None:
    """Refuse counterparties by what the member list says of them, before anything is sent.

    A name that the list does not have is left to its session, which tells more.

    Raises:
        CounterpartyTooOldError: one speaks no known version.
    """
    for name in names:
        member = members.lookup(viewer, MemberX500Name.parse(name))
        if member is not None and highest_spoken([member.platform_version]) is None:
            raise CounterpartyTooOldError(name, member.platform_version)
