"""Routes of messages to a member: a node of this cluster, a link, on hold, or refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from host.domain.ids import HoldingIdentity, ShortHash


class RouteCode(StrEnum):
    """The reason why nothing can be sent to a member."""

    UNKNOWN = "counterparty-unknown"
    INACTIVE = "counterparty-inactive"
    SUSPENDED = "counterparty-suspended"


@dataclass(frozen=True, slots=True)
class Here:
    """The member's virtual node is on this cluster, paused or not."""

    node: ShortHash


@dataclass(frozen=True, slots=True)
class Link:
    """The member is on another cluster; `pair` names source and target to the link manager."""

    pair: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The member's node leaves this cluster: its messages wait until it is back, or elsewhere."""

    pair: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing can be sent to the member. `code` is a `RouteCode`, or one of another adapter."""

    code: str
    message: str


Route: TypeAlias = Here | Link | Hold | Refused


class Routes(Protocol):
    """Finds members that are visible to the sending member. Thread-safe."""

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        """The route from `source` to `target`; an unknown target is `counterparty-unknown`."""
        ...

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        """Why `target`, on this cluster, refuses messages of `source`; None if it accepts them."""
        ...
