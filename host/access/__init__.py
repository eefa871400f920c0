"""Users, credentials and permissions of the REST interface."""

from host.access.actions import Action, http_action, start_flow_action
from host.access.errors import NotAuthenticatedError, PasswordExpiredError, SignInDelayedError
from host.access.groups import Groups
from host.access.passwords import PasswordRules
from host.access.permissions import Effect, Permission, is_allowed
from host.access.roles import Roles
from host.access.tables import RBAC_SCHEMA
from host.access.users import User, Users, canonical_login_name

__all__ = [
    "RBAC_SCHEMA",
    "Action",
    "Effect",
    "Groups",
    "NotAuthenticatedError",
    "PasswordExpiredError",
    "PasswordRules",
    "Permission",
    "Roles",
    "SignInDelayedError",
    "User",
    "Users",
    "canonical_login_name",
    "http_action",
    "is_allowed",
    "start_flow_action",
]
