"""States of a registration at the MGM. Pure."""

from enum import StrEnum

from host.domain.ids import EpochMs
from host.network.membership.registration import RegistrationStatus as Status
from host.network.membership.times import NetworkTimes

WAITING_MAX = 10
"""Requests of one name that wait while another one is open."""
OPEN_STRANGERS_MAX = 1000
"""Open requests of names that are no members, in one group."""


class MgmInput(StrEnum):
    """What happens to a request."""

    FIRST_OF_NAME = "first-of-name"
    """No earlier request of the name is open."""
    CHECKS_HOLD = "checks-hold"
    VERIFIED_MANUAL = "verified-manual"
    """The member has answered, and a rule demands approval by hand."""
    VERIFIED_AUTO = "verified-auto"
    APPROVED = "approved"
    DECLINED = "declined"


_STEPS = {
    (Status.RECEIVED_BY_MGM, MgmInput.FIRST_OF_NAME): Status.STARTED_PROCESSING_BY_MGM,
    (Status.STARTED_PROCESSING_BY_MGM, MgmInput.CHECKS_HOLD): Status.PENDING_MEMBER_VERIFICATION,
    (
        Status.PENDING_MEMBER_VERIFICATION,
        MgmInput.VERIFIED_MANUAL,
    ): Status.PENDING_MANUAL_APPROVAL,
    (Status.PENDING_MEMBER_VERIFICATION, MgmInput.VERIFIED_AUTO): Status.PENDING_AUTO_APPROVAL,
    (Status.PENDING_MANUAL_APPROVAL, MgmInput.APPROVED): Status.APPROVED,
    (Status.PENDING_AUTO_APPROVAL, MgmInput.APPROVED): Status.APPROVED,
}
OPEN = (
    Status.RECEIVED_BY_MGM,
    Status.STARTED_PROCESSING_BY_MGM,
    Status.PENDING_MEMBER_VERIFICATION,
    Status.PENDING_MANUAL_APPROVAL,
    Status.PENDING_AUTO_APPROVAL,
)
STARTED = OPEN[1:]


def step(status: Status, happened: MgmInput) -> Status | None:
    """The next status; None if nothing changes."""
    if happened is MgmInput.DECLINED:
        return Status.DECLINED if status in OPEN else None
    return _STEPS.get((status, happened))


def is_told(status: Status) -> bool:
    """Whether a member that sends a request of this status again is told the status."""
    return status not in (Status.STARTED_PROCESSING_BY_MGM, Status.PENDING_MEMBER_VERIFICATION)


def due_at(status: Status, now: EpochMs, times: NetworkTimes) -> EpochMs | None:
    """When a request that has just got a status is declined; None for never.

    Approval by hand takes as long as it takes.
    """
    if status not in OPEN or status is Status.PENDING_MANUAL_APPROVAL:
        return None
    is_asked = status is Status.PENDING_MEMBER_VERIFICATION
    return EpochMs(now + (times.verify_ms if is_asked else times.expiry_ms))
