"""Rotation of wrapping keys: what wraps all keys, and what wraps a node's."""

from datetime import datetime
from http import HTTPStatus

import structlog
from fastapi import BackgroundTasks

from host.domain.errors import HostError, NotFoundError
from host.ports.keys import MASTER_TENANT, KeyStore, RotationStatus
from host.rest.key import tenant_of
from host.rest.operation import resource
from host.rest.parameters import RotatedTenant
from host.rest.services import RestServices, Services
from host.rest.wire import instant, wire

router = resource("Key Rotation")
_log = structlog.get_logger("cordbox.rest")


@wire
class KeyRotationResponse:
    request_id: str
    tenant_id: str


@wire
class RotatedKeysStatus:
    total: int
    rotated_keys: int


@wire
class RotatedKeysOf:
    """Keys of a tenant, or under a wrapping key (`first`), and how far they are (`second`)."""

    first: str
    second: RotatedKeysStatus


@wire
class KeyRotationStatusResponse:
    tenant_id: str
    status: RotationStatus
    rotation_initiated_timestamp: datetime
    last_updated_timestamp: datetime
    rotated_key_status: list[RotatedKeysOf]


@router.get("/wrappingkey/rotation/{tenantid}")
def get_rotation(tenantid: RotatedTenant, services: Services) -> KeyRotationStatusResponse:
    """Tell how far the latest rotation of a tenant's wrapping key, or of `master`, is."""
    found = services.keys.rotation(_rotated(services, tenantid))
    if found is None:
        raise NotFoundError(
            f"No key rotation of {tenantid} has been requested.",
            kind="key rotation",
            named=tenantid,
        )
    return KeyRotationStatusResponse(
        tenant_id=found.tenant,
        status=found.status,
        rotation_initiated_timestamp=instant(found.started_at),
        last_updated_timestamp=instant(found.updated_at),
        rotated_key_status=[
            RotatedKeysOf(
                first=key.name,
                second=RotatedKeysStatus(total=key.total, rotated_keys=key.rotated),
            )
            for key in found.keys
        ],
    )


@router.post("/wrappingkey/rotation/{tenantid}", status_code=HTTPStatus.ACCEPTED)
def post_rotation(
    tenantid: RotatedTenant, services: Services, background: BackgroundTasks
) -> KeyRotationResponse:
    """Rotate the wrapping key of a tenant, or with `master` the host's master key."""
    started = services.keys.start_rotation(_rotated(services, tenantid))
    background.add_task(_rotate, services.keys, started.tenant)
    return KeyRotationResponse(request_id=started.request_id, tenant_id=started.tenant)


def _rotate(keys: KeyStore, tenant: str) -> None:
    """Rewrap until all keys are done; an interrupted rotation is completed at the next start."""
    try:
        while (found := keys.rotate_some(tenant)) and found.status is RotationStatus.IN_PROGRESS:
            pass
    except HostError as exc:
        _log.error("key-rotation-interrupted", tenant=tenant, code=exc.code, reason=exc.message)


def _rotated(services: RestServices, tenant: str) -> str:
    return tenant if tenant == MASTER_TENANT else tenant_of(services, tenant)
