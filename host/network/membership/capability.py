"""`membership`: a flow's view of its group."""

from host.domain.call_time import check_call_time
from host.domain.capability_error import CapabilityError
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.group_parameters import group_parameters_json
from host.domain.json import JsonObject, JsonValue
from host.domain.membership import MemberInfo
from host.domain.x500 import MemberX500Name
from host.ports.capability import CallContext
from host.ports.directory import Members
from host.ports.requests import check_fields, invalid_request, take_text

_FIELDS = {
    "me": ("by",),
    "name": ("by", "name"),
    "key": ("by", "key"),
    "all": ("by",),
    "group-parameters": ("by",),
}


class MembershipCapability:
    """The WIT interface `membership`. Reads only."""

    name = "membership"

    def __init__(self, members: Members) -> None:
        self._members = members

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        if function != "lookup":
            raise invalid_request(f"interface membership has no function {function!r}")
        by = take_text(request, "by", characters_max=32)
        if by not in _FIELDS:
            raise invalid_request(f"field 'by' is {by!r}; known are {', '.join(_FIELDS)}")
        check_fields(request, _FIELDS[by])
        try:
            return self._lookup(context, by, request)
        except (InvalidInputError, NotFoundError) as exc:
            raise CapabilityError(exc.code, exc.message) from exc

    def _lookup(self, context: CallContext, by: str, request: JsonObject) -> JsonValue:
        viewer = context.holding
        if by == "all":
            return [_listed(member) for member in self._members.active(viewer)]
        if by == "group-parameters":
            return group_parameters_json(self._members.parameters(viewer).parameters)
        if by == "key":
            return _json(self._members.lookup_key(viewer, take_text(request, "key")))
        name = viewer.x500_name if by == "me" else MemberX500Name.parse(take_text(request, "name"))
        return _json(self._members.lookup(viewer, name))


def _listed(member: MemberInfo) -> JsonValue:
    check_call_time()
    return member.to_json()


def _json(member: MemberInfo | None) -> JsonValue:
    return None if member is None else member.to_json()
