"""Members, groups and registration."""

from host.membership.capability import MembershipCapability
from host.membership.directory import MemberDirectory
from host.membership.registration import RegistrationStatus
from host.membership.service import MembershipService, RegistrationRequest
from host.membership.tables import SCHEMA

__all__ = [
    "SCHEMA",
    "MemberDirectory",
    "MembershipCapability",
    "MembershipService",
    "RegistrationRequest",
    "RegistrationStatus",
]
