"""The virtual node that runs an audited package: its grants, its quota, and its usage."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from host.domain.errors import HostError
from host.domain.json import camel_case
from host.domain.quotas import QUOTA_NAMES, USAGE_COUNTERS, Quota, QuotaInvalidError
from host.domain.wording import count, size, some
from host.guests.limits import limits_of_quota
from sandbox.limits import Limits


class NodeAnswerError(HostError):
    """A host's answer about a virtual node has an unknown shape."""

    code = "node-answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A virtual node as reported by its host; mappings as in REST answers.

    Attributes:
        quota: the effective values by name; `overrides` are the node's own.
        usage: counters since `usageSince`.
        calls: host calls by function.
        hits: how often each quota was hit, by its code.
    """

    short_hash: str
    x500_name: str
    group_id: str
    cpi_name: str
    is_active: bool
    granted_capabilities: tuple[str, ...]
    quota: Mapping[str, int]
    overrides: Mapping[str, int]
    usage: Mapping[str, int]
    usage_since: str | None
    calls: Mapping[str, int]
    hits: Mapping[str, int]


def node_facts(node: Any, *, quota: Any, usage: Any) -> NodeFacts:
    """The facts from the REST answers.

    Raises:
        NodeAnswerError: an answer has another shape.
    """
    try:
        holding, cpi = node["holdingIdentity"], node["cpiIdentifier"]
        return NodeFacts(
            short_hash=str(holding["shortHash"]),
            x500_name=str(holding["x500Name"]),
            group_id=str(holding["groupId"]),
            cpi_name=f"{cpi['cpiName']} {cpi['cpiVersion']}",
            is_active=node["flowOperationalStatus"] == "ACTIVE",
            granted_capabilities=tuple(str(name) for name in quota["grantedCapabilities"]),
            quota=_numbers(quota["quota"]),
            overrides=_numbers(quota["overrides"]),
            usage={name: int(usage[name]) for name in USAGE_COUNTERS},
            usage_since=None if usage["since"] is None else str(usage["since"]),
            calls=_numbers(usage["calls"]),
            hits={str(code): int(hit["count"]) for code, hit in usage["hits"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NodeAnswerError(f"the host's answer about a virtual node: {error!r}") from error


def limits_in_force(node: NodeFacts) -> Limits:
    """The limits of the node's runs, before those of its CPKs are applied.

    Raises:
        NodeAnswerError: the host reports quotas that this release does not support.
    """
    names = {camel_case(name): name for name in QUOTA_NAMES}
    try:
        quota = Quota().with_overrides({names[n]: v for n, v in node.quota.items() if n in names})
    except QuotaInvalidError as error:
        raise NodeAnswerError(f"the host's answer about a virtual node: {error}") from error
    return limits_of_quota(quota)


def node_rows(node: NodeFacts) -> Iterator[tuple[str, str]]:
    """The report about the node, as terms with plain texts."""
    yield "Node", f"{node.x500_name} ({node.short_hash})"
    yield "State", "active" if node.is_active else "in maintenance"
    yield "Granted", ", ".join(node.granted_capabilities) or "nothing beyond log and flow"
    for name, value in node.quota.items():
        own = " (set for this node)" if name in node.overrides else ""
        yield f"Quota {name}", f"{_with_unit(name, value)}{own}"
    since = f" since {node.usage_since}" if node.usage_since else ""
    for name, value in node.usage.items():
        yield f"Used {name}", f"{_with_unit(name, value)}{since if name == 'runs' else ''}"
    for function, calls in node.calls.items():
        yield f"Calls of {function}", count(calls)
    for code, hits in node.hits.items():
        yield f"Hit {code}", some(hits, "time")


def _with_unit(name: str, value: int) -> str:
    """A quota or what was used of it, by the unit in its name."""
    if "Bytes" in name:
        return size(value)
    return f"{count(value)} ms" if re.search(r"Ms(Max|Per|$)", name) else count(value)


def _numbers(values: Any) -> Mapping[str, int]:
    return {str(name): int(value) for name, value in values.items()}
