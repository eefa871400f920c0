"""States of a registration at the member. Pure.

Source: design of application networks, and Corda's registration statuses, which only ever rise.
"""

from enum import StrEnum

from host.domain.ids import EpochMs
from host.network.membership.registration import RegistrationStatus as Status
from host.network.membership.times import NetworkTimes

RANKS = {
    Status.NEW: 0,
    Status.SENT_TO_MGM: 1,
    Status.RECEIVED_BY_MGM: 2,
    Status.STARTED_PROCESSING_BY_MGM: 3,
    Status.PENDING_MEMBER_VERIFICATION: 4,
    Status.PENDING_MANUAL_APPROVAL: 5,
    Status.PENDING_AUTO_APPROVAL: 6,
    Status.APPROVED: 7,
    Status.DECLINED: 7,
    Status.INVALID: 7,
    Status.FAILED: 7,
}
"""Updates of the MGM may overtake each other: one of a rank that is no higher changes nothing."""
_ENDED = 7
_FROM_MGM = (
    Status.RECEIVED_BY_MGM,
    Status.PENDING_MANUAL_APPROVAL,
    Status.PENDING_AUTO_APPROVAL,
    Status.APPROVED,
    Status.DECLINED,
)


class MemberInput(StrEnum):
    """What happens to a request besides an update of its status by the MGM."""

    REFUSED = "refused"
    """A check of this cluster failed."""
    DELIVERED = "delivered"
    """The MGM's gateway has taken it."""
    UNSENT = "unsent"
    """It could not be sent in time."""
    VERIFICATION_ASKED = "verification-asked"


_STEPS = {
    (Status.NEW, MemberInput.REFUSED): Status.INVALID,
    (Status.NEW, MemberInput.DELIVERED): Status.SENT_TO_MGM,
    (Status.NEW, MemberInput.UNSENT): Status.FAILED,
    # The answer of the gateway may be lost, the request not.
    (Status.NEW, MemberInput.VERIFICATION_ASKED): Status.PENDING_MEMBER_VERIFICATION,
    (Status.SENT_TO_MGM, MemberInput.VERIFICATION_ASKED): Status.PENDING_MEMBER_VERIFICATION,
    (Status.RECEIVED_BY_MGM, MemberInput.VERIFICATION_ASKED): Status.PENDING_MEMBER_VERIFICATION,
}


def is_open(status: Status) -> bool:
    return RANKS[status] < _ENDED


def step(status: Status, happened: MemberInput) -> Status | None:
    """The next status; None if nothing changes."""
    return _STEPS.get((status, happened))


def updated(status: Status, told: str) -> Status | None:
    """The next status when the MGM has told one; None if nothing changes."""
    wanted = next((each for each in _FROM_MGM if each.value == told), None)
    if wanted is None or not is_open(status) or RANKS[wanted] <= RANKS[status]:
        return None
    return wanted


def due_at(status: Status, now: EpochMs, times: NetworkTimes) -> EpochMs | None:
    """When a request that has just got a status is given up (NEW), or sent again; None for never.

    Neither the answer of a gateway nor a message that expired says that the MGM has a request, or
    that the member knows its decision: an open one is sent again, and the MGM answers with its
    status. Approval by hand takes as long as it takes: then it is asked for as rarely as lists.
    """
    if not is_open(status):
        return None
    if status is Status.NEW:
        return EpochMs(now + times.send_ms)
    is_manual = status is Status.PENDING_MANUAL_APPROVAL
    return EpochMs(now + (times.sync_ms if is_manual else times.verify_ms))


def answers_verification(status: Status | None) -> bool:
    """Whether the member says that a request of this status is its own."""
    return status is not None and is_open(status)
