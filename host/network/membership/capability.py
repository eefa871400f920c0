"""`membership`: a flow's view of its group."""

import msgspec

from host.domain.call_time import check_call_time
from host.domain.capability_error import CapabilityError
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.group_parameters import group_parameters_json
from host.domain.ids import HoldingIdentity
from host.domain.json import JsonObject, JsonValue
from host.domain.membership import MemberInfo
from host.domain.paging import LIMIT_DEFAULT
from host.domain.x500 import MemberX500Name
from host.ports.capability import CallContext
from host.ports.directory import Members
from host.ports.requests import (
    check_fields,
    invalid_request,
    take_int,
    take_text,
    take_text_or_null,
)
from sandbox.host_api import size

_NAME_CHARACTERS_MAX = size("membership.lookup", "name")
_LIMIT_MAX = size("membership.lookup", "limit")
_RESULTS_BYTES_MAX = size("membership.lookup", "results")
_PORTION = 50
"""Members in memory at once besides those of the page; the largest have 256 KiB each."""
_FIELDS = {
    "me": ("by",),
    "name": ("by", "name"),
    "key": ("by", "key"),
    "all": ("by", "after", "limit"),
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
            return self._page(viewer, request)
        if by == "group-parameters":
            return group_parameters_json(self._members.parameters(viewer).parameters)
        if by == "key":
            return _json(self._members.lookup_key(viewer, take_text(request, "key")))
        name = viewer.x500_name if by == "me" else MemberX500Name.parse(take_text(request, "name"))
        return _json(self._members.lookup(viewer, name))

    def _page(self, viewer: HoldingIdentity, request: JsonObject) -> JsonValue:
        """Active members by name, read in portions until the page is full."""
        after = take_text_or_null(request, "after", characters_max=_NAME_CHARACTERS_MAX) or ""
        limit = LIMIT_DEFAULT
        if "limit" in request:
            limit = take_int(request, "limit", minimum=1, maximum=_LIMIT_MAX)
        results: list[JsonValue] = []
        size = 0
        while True:
            found = self._members.active(viewer, after=after, limit=_PORTION)
            for member in found:
                check_call_time()
                value = member.to_json()
                size += len(msgspec.json.encode(value))
                if len(results) == limit or (results and size > _RESULTS_BYTES_MAX):
                    return {"results": results, "more": True}
                results.append(value)
            if len(found) < _PORTION:
                return {"results": results, "more": False}
            after = str(found[-1].name)


def _json(member: MemberInfo | None) -> JsonValue:
    return None if member is None else member.to_json()
