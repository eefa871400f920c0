"""The quotas of virtual nodes: what each may use, what it used, and what it hit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StrictInt

from host.domain.accounts import Account
from host.domain.json import camel_case
from host.domain.quotas import (
    QUOTA_NAMES,
    Quota,
    QuotaInvalidError,
    check_quota,
    quota_range,
)
from host.domain.refused import shown
from host.domain.vnode import VirtualNode
from host.rest.operation import resource
from host.rest.parameters import NodeHash
from host.rest.services import RestServices, Services
from host.rest.wire import instant, wire

router = resource("Virtual Node")

_NAMES = {camel_case(name): name for name in QUOTA_NAMES}
_RANGES = ", ".join(
    f"{shown} ({least} to {greatest})"
    for shown, name in _NAMES.items()
    for least, greatest in (quota_range(name),)
)


@wire
class QuotaResponse:
    """What a node may use.

    `quota` is in force: the host's defaults, and the node's own values instead of some.
    """

    holding_identity_short_hash: str
    quota: Mapping[str, int]
    defaults: Mapping[str, int]
    overrides: Mapping[str, int]
    granted_capabilities: list[str]


@wire
class SetQuotaRequest:
    """All values that are to differ from the host's defaults; none: the node has the defaults."""

    overrides: Annotated[
        Mapping[str, StrictInt],
        Field(max_length=len(QUOTA_NAMES), description=f"Quotas by name: {_RANGES}."),
    ]


@wire
class QuotaHitResponse:
    count: int
    last_timestamp: datetime


@wire
class AccountResponse:
    """An account of bytes: what it holds, and how much it may hold at most.

    `log` is a rate and has no such limit; it shows what was logged since `since`.
    """

    bytes: int
    bytes_max: int | None = None


@wire
class UsageResponse:
    """What a node's guests used since `since`; counters of other processes follow in seconds.

    `calls` counts host calls by function, replays not; `hits` what was hit, by its code, with the
    account's name behind a colon if that had no room. `accounts` is what the node holds now.
    """

    holding_identity_short_hash: str
    runs: int
    fuel: int
    wall_ms: int
    host_calls: int
    host_call_ms: int
    log_bytes: int
    calls: Mapping[str, int]
    hits: Mapping[str, QuotaHitResponse]
    accounts: Mapping[str, AccountResponse]
    storage_bytes: int
    flows_open: int
    since: datetime | None = None


@router.get("/virtualnode/{holdingidentityshorthash}/quota")
def get_quota(holdingidentityshorthash: NodeHash, services: Services) -> QuotaResponse:
    """Give the quota of a virtual node."""
    return _quota(services.virtual_node(holdingidentityshorthash), services)


@router.put("/virtualnode/{holdingidentityshorthash}/quota")
def put_quota(
    holdingidentityshorthash: NodeHash, request: SetQuotaRequest, services: Services
) -> QuotaResponse:
    """Set all values of a virtual node's quota that differ from the host's defaults.

    Runs that begin a second later are bound by them.
    """
    node = services.virtual_node(holdingidentityshorthash)
    unknown = sorted(set(request.overrides) - set(_NAMES))
    if unknown:
        raise QuotaInvalidError(f"quota {shown(unknown[0])} is none of {', '.join(_NAMES)}")
    for name, value in request.overrides.items():
        check_quota(_NAMES[name], value, shown_as=name)
    services.quotas.set_overrides(
        node.holding.short_hash, {_NAMES[n]: v for n, v in request.overrides.items()}
    )
    return _quota(node, services)


@router.get("/virtualnode/{holdingidentityshorthash}/usage")
def get_usage(holdingidentityshorthash: NodeHash, services: Services) -> UsageResponse:
    """Tell what a virtual node used, and which quotas it hit."""
    node = services.virtual_node(holdingidentityshorthash).holding.short_hash
    used, quota = services.quotas.usage(node), services.quotas.quota(node)
    held = {**services.held_bytes(node), Account.LOG: used.log_bytes}
    return UsageResponse(
        holding_identity_short_hash=node,
        runs=used.runs,
        fuel=used.fuel,
        wall_ms=used.wall_ms,
        host_calls=used.host_calls,
        host_call_ms=used.host_call_ms,
        log_bytes=used.log_bytes,
        calls=used.calls,
        hits={
            code: QuotaHitResponse(count=hit.count, last_timestamp=instant(hit.last_at))
            for code, hit in used.hits.items()
        },
        accounts={
            account.value: AccountResponse(
                bytes=held.get(account, 0), bytes_max=quota.account_max(account)
            )
            for account in Account
        },
        storage_bytes=held.get(Account.VAULT, 0),
        flows_open=services.flows.open_count(node),
        since=None if used.since is None else instant(used.since),
    )


def _quota(node: VirtualNode, services: RestServices) -> QuotaResponse:
    short_hash, defaults = node.holding.short_hash, services.quotas.defaults
    overrides = services.quotas.overrides(short_hash)
    return QuotaResponse(
        holding_identity_short_hash=short_hash,
        granted_capabilities=list(node.granted_capabilities),
        quota=_shown(defaults.with_overrides(overrides)),
        defaults=_shown(defaults),
        overrides={camel_case(name): value for name, value in overrides.items()},
    )


def _shown(quota: Quota) -> Mapping[str, int]:
    return {shown: getattr(quota, name) for shown, name in _NAMES.items()}
