"""Members, groups and registration."""

from host.network.membership.capability import MembershipCapability
from host.network.membership.directory import MemberDirectory
from host.network.membership.registration import RegistrationStatus
from host.network.membership.registrations import Registrations
from host.network.membership.requests import RegistrationRequest
from host.network.membership.service import MembershipService
from host.network.membership.tables import SCHEMA

__all__ = [
    "SCHEMA",
    "MemberDirectory",
    "MembershipCapability",
    "MembershipService",
    "RegistrationRequest",
    "RegistrationStatus",
    "Registrations",
]
