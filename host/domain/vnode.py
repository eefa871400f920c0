"""Virtual nodes as values."""

from dataclasses import dataclass
from enum import StrEnum

from host.domain.ids import Checksum, EpochMs, HoldingIdentity


class OperationalStatus(StrEnum):
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class AsyncStatus(StrEnum):
    """Status of an asynchronous operation (Corda's AsyncOperationStatus)."""

    ACCEPTED = "ACCEPTED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualNode:
    """A holding identity that runs one CPI with granted capabilities and its own storage."""

    holding: HoldingIdentity
    cpi_checksum: Checksum
    granted_capabilities: tuple[str, ...]
    flow_p2p_status: OperationalStatus = OperationalStatus.ACTIVE
    flow_start_status: OperationalStatus = OperationalStatus.ACTIVE
    flow_status: OperationalStatus = OperationalStatus.ACTIVE
    vault_db_status: OperationalStatus = OperationalStatus.ACTIVE
    created_at: EpochMs
