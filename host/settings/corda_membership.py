"""Corda's section of dynamic networks, with the keys that apply here. Pure.

Defaults and limits are Corda's. `frequencyOfExpirationPoll` is missing, because nothing polls, and
`TTLs.updateToPendingAutoApproval`, because that status is not told: the next one follows at once.
"""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from host.settings.section import CordaKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CordaMembership:
    """Section `corda.membership`: registration with dynamic networks, and their member lists."""

    sync_minutes: Annotated[
        int,
        CordaKey("maxDurationBetweenSyncRequestsMinutes"),
        Meta(
            ge=10,
            le=2880,
            description="Minutes between two requests of a member for its list, at most; up to a"
            " tenth less, so that members do not ask at once.",
        ),
    ] = 480
    expiration_time_frame: Annotated[
        int,
        CordaKey("expirationTimeFrame"),
        Meta(
            ge=1,
            le=2880,
            description="Minutes after which an MGM declines a registration whose status did not"
            " change. One that waits for an operator does not expire.",
        ),
    ] = 180
    members_package_update: Annotated[
        int,
        CordaKey("TTLs.membersPackageUpdate"),
        Meta(
            ge=1,
            le=2880,
            description="Minutes after which an MGM sends a member list again that a member has"
            " not acknowledged, then the newest.",
        ),
    ] = 10
    verify_member_request: Annotated[
        int,
        CordaKey("TTLs.verifyMemberRequest"),
        Meta(
            ge=1,
            le=2880,
            description="Minutes in which a registering member answers the MGM over a session.",
        ),
    ] = 20
    decline_registration: Annotated[
        int,
        CordaKey("TTLs.declineRegistration"),
        Meta(
            ge=1,
            le=2880,
            description="Minutes in which an MGM tells a member that its registration was declined;"
            " later the member learns it by sending its request again.",
        ),
    ] = 8
    wait_for_mgm_session: Annotated[
        int,
        CordaKey("TTLs.waitForMgmSession"),
        Meta(
            ge=10,
            le=2880,
            description="Minutes in which a registration is sent; after them it has failed.",
        ),
    ] = 30
