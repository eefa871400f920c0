"""Members, notaries and group parameters as values."""

from dataclasses import dataclass
from enum import StrEnum

from host.domain.ids import EpochMs
from host.domain.json import JsonObject
from host.domain.x500 import MemberX500Name


class MemberStatus(StrEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberInfo:
    """A member as its group sees it. `ledger_keys` are PEM SubjectPublicKeyInfo texts."""

    name: MemberX500Name
    group_id: str
    status: MemberStatus
    ledger_keys: tuple[str, ...]
    platform_version: int
    serial: int
    member_context: tuple[tuple[str, str], ...]
    mgm_context: tuple[tuple[str, str], ...]

    def to_json(self) -> JsonObject:
        """The JSON that guests see (docs/reference/host-api.md, membership)."""
        return {
            "name": str(self.name),
            "status": self.status.value,
            "ledgerKeys": list(self.ledger_keys),
            "platformVersion": self.platform_version,
            "serial": self.serial,
            "memberContext": dict(self.member_context),
            "mgmContext": dict(self.mgm_context),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NotaryInfo:
    name: MemberX500Name
    protocol: str
    protocol_versions: tuple[int, ...]
    public_key: str
    backchain_required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupParameters:
    """Parameters that all members of a group share; `epoch` grows with each change."""

    group_id: str
    epoch: int
    modified_at: EpochMs
    minimum_platform_version: int
    notaries: tuple[NotaryInfo, ...]
    custom: tuple[tuple[str, str], ...] = ()
