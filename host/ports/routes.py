"""Where messages to a member go: to a node of this cluster, to a link, nowhere yet, or nowhere."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from host.domain.ids import EpochMs, HoldingIdentity, ShortHash


class RouteCode(StrEnum):
    """Why nothing can be sent to a member."""

    UNKNOWN = "counterparty-unknown"
    INACTIVE = "counterparty-inactive"


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
    """The member's node is moving, or asked for a pause: messages wait with the link manager."""

    pair: str
    until: EpochMs


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing can be sent to the member. `code` is a `RouteCode`, or one of another adapter."""

    code: str
    message: str


Route: TypeAlias = Here | Link | Hold | Refused


class Routes(Protocol):
    """Finds members, as the member that sends sees them. Thread-safe."""

    def route(self, source: HoldingIdentity, target: HoldingIdentity) -> Route:
        """Where messages of `source` to `target` go; unknown is `counterparty-unknown`."""
        ...

    def accepts(self, source: HoldingIdentity, target: HoldingIdentity) -> Refused | None:
        """Why `target`, which is here, takes no messages of `source`; None when it does."""
        ...
