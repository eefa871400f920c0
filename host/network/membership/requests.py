"""Registration requests, as they are stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host.domain.ids import EpochMs, ShortHash
from host.network.membership.registration import RegistrationStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRequest:
    """A registration request. `reason` tells why it is INVALID; `serial` is the member's."""

    registration_id: str
    holding_short_hash: ShortHash
    status: RegistrationStatus
    reason: str | None
    context: Mapping[str, str]
    serial: int | None
    sent_at: EpochMs
    updated_at: EpochMs


def request_of(row: Any) -> RegistrationRequest:
    """The request that a row holds."""
    return RegistrationRequest(
        registration_id=row.registration_id,
        holding_short_hash=ShortHash(row.short_hash),
        status=RegistrationStatus(row.status),
        reason=row.reason,
        context=json.loads(row.context),
        serial=row.serial,
        sent_at=EpochMs(row.sent_at),
        updated_at=EpochMs(row.updated_at),
    )
