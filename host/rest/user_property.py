"""What version 5.3 adds to the RBAC User resource: properties of users, and their deletion."""

from typing import Annotated

from fastapi import Body

from host.rest.operation import resource
from host.rest.parameters import LoginName, PropertyKey
from host.rest.services import Services
from host.rest.user import PropertyResponseType, UserResponseType, user_response
from host.rest.wire import wire

router = resource("RBAC User")


@wire
class UserProperties:
    """Texts by name, kept with a user."""

    property: dict[str, str]


@router.get("/user/findbyproperty/{propertykey}/{propertyvalue}")
def get_users_by_property(
    propertykey: PropertyKey, propertyvalue: str, services: Services
) -> list[UserResponseType]:
    """Give the users with a value of a property, at most 1,000."""
    return [user_response(user) for user in services.users.having(propertykey, propertyvalue)]


@router.delete("/user/{loginname}")
def delete_user(loginname: LoginName, services: Services) -> UserResponseType:
    """Delete a user; credentials are refused from now on."""
    return user_response(services.users.delete(loginname))


@router.get("/user/{loginname}/property")
def get_properties(loginname: LoginName, services: Services) -> list[PropertyResponseType]:
    """List the properties of a user."""
    return user_response(services.users.get(loginname)).properties


@router.post("/user/{loginname}/property")
def post_properties(
    loginname: LoginName, request: Annotated[UserProperties, Body()], services: Services
) -> UserResponseType:
    """Add properties to a user, or replace their values."""
    return user_response(services.users.set_properties(loginname, request.property))


@router.delete("/user/{loginname}/property/{propertykey}")
def delete_property(
    loginname: LoginName, propertykey: PropertyKey, services: Services
) -> UserResponseType:
    """Remove a property of a user."""
    return user_response(services.users.remove_property(loginname, propertykey))
