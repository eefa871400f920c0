"""Actions: what a caller requests, in every spelling that a permission may contain. Pure.

An action is built from the routed request, never from the text that was sent: the path is the
operation's template with parameters in their canonical form, and the query has its keys in
alphabetical order. The author of a permission may expect another spelling, so a DENY is matched
against more spellings than an ALLOW: a DENY that matches too much refuses a legitimate request, but
one that matches too little lets a forbidden request through.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from host.domain.ids import ShortHash

Pairs = Sequence[tuple[str, str]]
"""Keys and values of a query, decoded."""

_LITERAL_IN_PATH = "-._~!$&'()*+,;=:@"
_LITERAL_IN_QUERY = "-._~!$'()*,;:@/?"
"""Characters that are not encoded (RFC 3986); all others are percent-encoded UTF-8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action that a caller requests.

    Attributes:
        allowed_as: an ALLOW counts if it matches one of these as a whole.
        denied_as: a DENY counts if it matches one of these as a whole.
        node: short hash of the virtual node that it is done to or on; None without one.
    """

    allowed_as: tuple[str, ...]
    denied_as: frozenset[str]
    node: ShortHash | None = None

    @property
    def canonical(self) -> str:
        """The spelling shown in refusals."""
        return self.allowed_as[0]


def http_action(
    method: str,
    template: str,
    parameters: Mapping[str, str],
    *,
    query: Pairs = (),
    bases: Sequence[str],
    twins: Iterable[str] = (),
    node: ShortHash | None = None,
) -> Action:
    """The action of an HTTP operation: `METHOD:<base><path>?<query>`.

    Args:
        method: HTTP method of the operation.
        template: its path below the base, with `{name}` for each parameter.
        parameters: canonical values by name, decoded.
        query: canonical values, decoded.
        bases: the path that the operation is served under; several if an ALLOW for any of them
            suffices.
        twins: further bases of the same operation, such as other versions of the interface.
        node: the virtual node that the path names.
    """
    ordered = sorted(query, key=lambda pair: pair[0])
    encoded = template.format_map({k: quote(v, _LITERAL_IN_PATH) for k, v in parameters.items()})
    whole = _query(ordered)
    paths = (encoded, template.format_map(parameters))
    tails = {"", whole, _query(query), _plain(ordered)}
    for pair in ordered:
        tails |= {_query((pair,)), _plain((pair,))}
    return Action(
        allowed_as=tuple(f"{method}:{base}{encoded}{whole}" for base in bases),
        denied_as=frozenset(
            f"{method}:{base}{path}{tail}"
            for base in {*bases, *twins}
            for path in paths
            for tail in tails
        ),
        node=node,
    )


def start_flow_action(flow_class: str, node: ShortHash | None = None) -> Action:
    """The action of starting a flow on a virtual node: `StartFlow:<flow class>`."""
    action = f"StartFlow:{flow_class}"
    return Action(allowed_as=(action,), denied_as=frozenset({action}), node=node)


def _query(pairs: Pairs) -> str:
    text = "&".join(
        f"{quote(key, _LITERAL_IN_QUERY)}={quote(value, _LITERAL_IN_QUERY)}" for key, value in pairs
    )
    return f"?{text}" if text else ""


def _plain(pairs: Pairs) -> str:
    """The query without percent-encoding."""
    text = "&".join(f"{key}={value}" for key, value in pairs)
    return f"?{text}" if text else ""
