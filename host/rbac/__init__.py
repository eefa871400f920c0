"""Who may call what: users, credentials and permissions of the REST interface."""

from host.rbac.errors import NotAuthenticatedError
from host.rbac.permissions import Effect, Permission, is_allowed
from host.rbac.users import RBAC_SCHEMA, User, Users

__all__ = [
    "RBAC_SCHEMA",
    "Effect",
    "NotAuthenticatedError",
    "Permission",
    "User",
    "Users",
    "is_allowed",
]
