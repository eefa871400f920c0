"""Corda's section of users' passwords, with the keys that apply here. Pure.

Defaults and limits are Corda's.
"""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from host.settings.section import CordaKey

_DAYS_MAX = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class CordaRbac:
    """Section `corda.rbac`: passwords of the users of REST."""

    user_password_change_expiry: Annotated[
        int,
        CordaKey("password.userPasswordChangeExpiry"),
        Meta(
            ge=30,
            le=_DAYS_MAX,
            description="Days after which a user has to change a password that the user has set.",
        ),
    ] = 90
    admin_password_change_expiry: Annotated[
        int,
        CordaKey("password.adminPasswordChangeExpiry"),
        Meta(
            ge=1,
            le=_DAYS_MAX,
            description="Days after which a user has to change a password that another user, such"
            " as an administrator, has set.",
        ),
    ] = 7
    password_expiry_warning_window: Annotated[
        int,
        CordaKey("password.passwordExpiryWarningWindow"),
        Meta(
            ge=1,
            le=_DAYS_MAX,
            description="Days before the end of a password in which answers to its user have the"
            " header `Warning`.",
        ),
    ] = 30
    length_limit: Annotated[
        int,
        CordaKey("password.lengthLimit"),
        Meta(ge=10, le=1000, description="Characters of a new password at most."),
    ] = 255
