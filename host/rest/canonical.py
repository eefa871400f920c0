"""The canonical form of a request: it is authorised and handled in the same spelling.

Every operation declares its parameters by types that accept several spellings of one value (a short
hash in lower case, `1` for `true`) and give one. The handler's request contains the canonical
values, and so does the action that permissions are matched against.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args, get_origin
from urllib.parse import parse_qsl, urlencode

from fastapi import Request
from fastapi._compat import ModelField
from fastapi.dependencies.models import Dependant

from host.access import Action, http_action
from host.domain.ascii_case import ascii_lower
from host.domain.errors import HostError, InvalidInputError
from host.domain.ids import ShortHash
from host.domain.json_strings import NUL
from host.domain.refused import shown
from host.rest.versions import API_BASES

QUERY_PAIRS_MAX = 256
"""Maximum number of keys in one query; lists of key ids are the longest ones."""
_NODES = ("holdingidentityshorthash", "holdingidentityid", "virtualnodeshortid", "tenantid")
"""Parameters of paths that name a virtual node; a tenant may also be none."""
SAME_AS = "x-same-as"
"""OpenAPI extension of a route: the operation of Corda's interface that it is an alias of."""


class QueryKeyUnknownError(InvalidInputError):
    """The operation has no such query key; ignoring it could change what the request means."""

    code = "query-key-unknown"


class QueryKeyRepeatedError(InvalidInputError):
    """A query key that takes one value is repeated, so the value is ambiguous."""

    code = "query-key-repeated"


class ParameterNulError(InvalidInputError):
    """A part of the path or a query value holds U+0000, which the databases cannot store."""

    code = "parameter-nul"


class QueryTooLongError(InvalidInputError):
    """A query has more keys than any operation uses."""

    code = "query-too-long"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalCall:
    """Path parameters and query of a request, canonical if they could be parsed.

    Attributes:
        path: values of the path's parameters by name.
        query: keys and values in the order in which they were sent.
    """

    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]

    def applied_to(self, request: Request) -> Request:
        """`request` in the form for its handler."""
        scope = {
            **request.scope,
            "path_params": dict(self.path),
            "query_string": urlencode(self.query).encode(),
        }
        return Request(scope, request.receive)


class RouteParameters:
    """The parameters of a route in its path and query."""

    def __init__(self, dependant: Dependant) -> None:
        self._path: dict[str, ModelField] = {}
        self._query: dict[str, ModelField] = {}
        for part in _flat(dependant):
            self._path |= {field.alias: field for field in part.path_params}
            self._query |= {field.alias: field for field in part.query_params}

    def canonical(self, request: Request) -> CanonicalCall:
        """The canonical form of a request to this route.

        Values that cannot be parsed stay as they are: the handler refuses them after authorisation.
        Query keys are case-insensitive, as in Corda.

        Raises:
            QueryTooLongError: there are too many keys; checked first.
        """
        sent = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if len(sent) > QUERY_PAIRS_MAX:
            raise QueryTooLongError(
                f"The query has {len(sent)} keys, at most {QUERY_PAIRS_MAX} are taken."
            )
        pairs = [(ascii_lower(key), value) for key, value in sent]
        path = request.path_params.items()
        return CanonicalCall(
            path={name: _canonical(self._path.get(name), value) for name, value in path},
            query=[(key, _canonical(self._query.get(key), value)) for key, value in pairs],
        )

    def check(self, call: CanonicalCall) -> None:
        """Refuse unknown and repeated query keys.

        Raises:
            QueryKeyUnknownError, QueryKeyRepeatedError: the first such key.
        """
        for name, value in (*call.path.items(), *call.query):
            if NUL in value:
                raise ParameterNulError(
                    f"Parameter {shown(name)} holds U+0000, which cannot be stored.",
                    key=shown(name),
                )
        seen = set()
        for key, _ in call.query:
            field = self._query.get(key)
            if field is None:
                known = ", ".join(sorted(self._query)) or "none"
                raise QueryKeyUnknownError(
                    f"The operation has no query key {shown(key)}; it has: {known}.", key=shown(key)
                )
            if key in seen and not _is_list(field.field_info.annotation):
                raise QueryKeyRepeatedError(f"Query key {key} stands there twice.", key=key)
            seen.add(key)


def actions(
    request: Request, template: str, call: CanonicalCall, same_as: str | None
) -> Sequence[Action]:
    """The actions that a caller must be allowed to perform for this call.

    Args:
        request: its method, and the base under which it was routed.
        template: its path below the base.
        call: the parameters.
        same_as: `METHOD:<template>` of the operation that this one is an alias of.
    """
    base = request.scope["root_path"]
    node = next((ShortHash(call.path[name]) for name in _NODES if name in call.path), None)
    own = http_action(
        request.method,
        template,
        call.path,
        query=call.query,
        bases=(base,),
        twins=API_BASES if base in API_BASES else (),
        node=node,
    )
    if same_as is None:
        return (own,)
    other_method, _, other_template = same_as.partition(":")
    other = http_action(other_method, other_template, call.path, bases=API_BASES, node=node)
    return (own, other)


def _flat(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for part in dependant.dependencies:
        yield from _flat(part)


def _canonical(field: ModelField | None, value: str) -> str:
    if field is None:
        return value
    is_list = _is_list(field.field_info.annotation)
    try:
        read, problems = field.validate([value] if is_list else value, {}, loc=())
    except HostError:
        return value
    if problems:
        return value
    return _text(read[0] if is_list else read)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_is_list(part) for part in get_args(annotation))
