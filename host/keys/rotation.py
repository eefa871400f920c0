"""Rotation of wrapping keys and of the master key: online, in small transactions, safe to repeat.

1. A new key becomes active together with the record of the rotation: new keys are from now on
   wrapped under it.
2. Each `advance` rewraps a few keys and counts them, in one transaction. It renews the claim of
   the process that drives the rotation; if no process does for 30 seconds, `take_over` continues.
3. The transaction that finds no key left removes the old keys and ends the rotation. The file of
   an old master key is destroyed after that; after a crash, at the next start.
"""

import uuid
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from host.database.claims import RELEASED, Claimant, Claims
from host.database.sql import Upsert
from host.domain.ids import EpochMs
from host.keys.errors import RotationInProgressError
from host.keys.master import MasterKeys
from host.keys.tables import MASTER_KEY, ROTATED, ROTATION, SIGNING_KEY, WRAPPING_KEY
from host.keys.wrapping import NONCE_BYTES, unwrap, wrap
from host.keys.wrapping_keys import WrappingKeys
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.keys import MASTER_TENANT, KeyRotation, RotatedKeys, RotationStatus

KEYS_AT_ONCE = 100

_SELECT_ROTATION = select(ROTATION)
_SELECT_UNFINISHED = select(ROTATION.c.tenant).where(
    ROTATION.c.status == RotationStatus.IN_PROGRESS.value
)
_RECORD = Upsert(
    table=ROTATION,
    replace=("request_id", "status", "started_at", "updated_at", "claimed_by", "claimed_until"),
)


class Rotations:
    """The rotations of one key store. Thread-safe."""

    def __init__(
        self,
        database: SqlDatabase,
        masters: MasterKeys,
        wrapping: WrappingKeys,
        *,
        clock: Clock,
        entropy: Entropy,
        keys_at_once: int = KEYS_AT_ONCE,
    ) -> None:
        self._database = database
        self._masters = masters
        self._wrapping = wrapping
        self._entropy = entropy
        self._keys_at_once = keys_at_once
        run = entropy.random_bytes(8).hex()
        self._claims = Claims(
            database,
            ROTATION,
            is_unfinished=ROTATION.c.status == RotationStatus.IN_PROGRESS.value,
            claimant=Claimant(place=f"keys-{run}", run=run),
            clock=clock,
        )

    def start(self, tenant: str) -> KeyRotation:
        """Activate a new wrapping key of `tenant`, or a new master key.

        Raises:
            RotationInProgressError: the previous rotation has not ended.
        """
        if tenant == MASTER_TENANT:
            with self._database.read() as connection:
                generation = self._wrapping.master_generation(connection) + 1
            self._wrapping.make_master(generation)
        return self._wrapping.outside(
            lambda: self._database.transact(lambda connection: self._begin(connection, tenant))
        )

    def advance(self, tenant: str) -> KeyRotation | None:
        """Rewrap some keys; None if there never was a rotation of `tenant`."""
        known, has_ended = self._wrapping.outside(
            lambda: self._database.transact(lambda connection: self._advance(connection, tenant))
        )
        if has_ended:
            self._forget()
        return known

    def get(self, tenant: str) -> KeyRotation | None:
        with self._database.read() as connection:
            return _rotation(connection, tenant)

    def resume(self) -> None:
        """Complete rotations of earlier runs, and destroy the keys that they left."""
        with self._database.read() as connection:
            tenants = connection.execute(_SELECT_UNFINISHED).scalars().all()
        for tenant in tenants:
            self._end(tenant)
        self._forget()

    def take_over(self) -> int:
        """Complete rotations that made no progress for 30 seconds; returns their number."""
        abandoned = self._claims.take()
        for tenant in abandoned:
            self._claims.let_go(tenant)  # each step renews the claim
            self._end(tenant)
        return len(abandoned)

    def _end(self, tenant: str) -> None:
        while (known := self.advance(tenant)) and known.status is RotationStatus.IN_PROGRESS:
            pass

    def _begin(self, connection: Connection, tenant: str) -> KeyRotation:
        known = _rotation(connection, tenant)
        if known is not None and known.status is RotationStatus.IN_PROGRESS:
            raise RotationInProgressError(
                f"Key rotation {known.request_id} of {tenant} is in progress."
            )
        begin = self._begin_master if tenant == MASTER_TENANT else self._begin_tenant
        row = {"tenant": tenant, "request_id": self._uuid(), **self._claims.values()}
        _record(connection, row, begin(connection, tenant), self._now())
        return _known(connection, tenant)

    def _advance(self, connection: Connection, tenant: str) -> tuple[KeyRotation | None, bool]:
        """The rotation of `tenant`, and whether this call has ended it."""
        known = _rotation(connection, tenant)
        if known is None or known.status is RotationStatus.DONE:
            return known, False
        some = self._some_of_master if tenant == MASTER_TENANT else self._some_of_tenant
        is_done = not some(connection, tenant)
        status = RotationStatus.DONE if is_done else RotationStatus.IN_PROGRESS
        connection.execute(
            update(ROTATION)
            .where(ROTATION.c.tenant == tenant)
            .values(
                status=status.value,
                updated_at=self._now(),
                **(RELEASED if is_done else self._claims.values()),
            )
        )
        return _known(connection, tenant), is_done

    def _begin_master(self, connection: Connection, _tenant: str) -> Sequence[RotatedKeys]:
        generation = self._wrapping.master_generation(connection) + 1
        self._wrapping.add_master(connection, generation)
        counted = select(WRAPPING_KEY.c.tenant, func.count()).group_by(WRAPPING_KEY.c.tenant)
        rows = connection.execute(counted.order_by(WRAPPING_KEY.c.tenant)).all()
        return [RotatedKeys(name=name, total=total, rotated=0) for name, total in rows]

    def _begin_tenant(self, connection: Connection, tenant: str) -> Sequence[RotatedKeys]:
        generation = self._wrapping.generation(connection, tenant)
        if generation is None:
            return []
        counted = (
            select(SIGNING_KEY.c.wrapping_generation, func.count())
            .where(SIGNING_KEY.c.tenant == tenant)
            .group_by(SIGNING_KEY.c.wrapping_generation)
        )
        rows = connection.execute(counted).all()
        self._wrapping.add(connection, tenant, generation + 1)
        return [
            RotatedKeys(name=wrapping_key_alias(tenant, old), total=total, rotated=0)
            for old, total in rows
        ]

    def _some_of_master(self, connection: Connection, _tenant: str) -> int:
        """Rewrap some wrapping keys; 0 if all are under the current master key."""
        generation = self._wrapping.master_generation(connection)
        old = WRAPPING_KEY.c.master_generation < generation
        rows = connection.execute(select(WRAPPING_KEY).where(old).limit(self._keys_at_once)).all()
        for row in rows:
            key = self._wrapping.get(connection, row.tenant, row.generation)
            connection.execute(
                update(WRAPPING_KEY)
                .where(
                    WRAPPING_KEY.c.tenant == row.tenant,
                    WRAPPING_KEY.c.generation == row.generation,
                )
                .values(
                    master_generation=generation,
                    wrapped=self._wrapping.wrapped(row.tenant, key, generation),
                )
            )
            _count(connection, MASTER_TENANT, row.tenant)
        if not rows:
            connection.execute(delete(MASTER_KEY).where(MASTER_KEY.c.generation < generation))
        return len(rows)

    def _some_of_tenant(self, connection: Connection, tenant: str) -> int:
        """Rewrap some signing keys; 0 if all are under the current wrapping key."""
        generation = self._wrapping.generation(connection, tenant)
        if generation is None:
            return 0
        old = (SIGNING_KEY.c.tenant == tenant, SIGNING_KEY.c.wrapping_generation < generation)
        rows = connection.execute(select(SIGNING_KEY).where(*old).limit(self._keys_at_once)).all()
        to = self._wrapping.get(connection, tenant, generation)
        for row in rows:
            self._rewrap(connection, row, generation, to)
            _count(connection, tenant, wrapping_key_alias(tenant, row.wrapping_generation))
        if not rows:
            connection.execute(
                delete(WRAPPING_KEY).where(
                    WRAPPING_KEY.c.tenant == tenant, WRAPPING_KEY.c.generation < generation
                )
            )
        return len(rows)

    def _rewrap(
        self, connection: Connection, row: Row[tuple[object, ...]], generation: int, to: bytes
    ) -> None:
        bound_to = signing_key_binding(row.tenant, row.key_id)
        under = self._wrapping.get(connection, row.tenant, row.wrapping_generation)
        secret = unwrap(under, row.wrapped, bound_to=bound_to)
        nonce = self._entropy.random_bytes(NONCE_BYTES)
        connection.execute(
            update(SIGNING_KEY)
            .where(SIGNING_KEY.c.tenant == row.tenant, SIGNING_KEY.c.key_id == row.key_id)
            .values(
                wrapping_generation=generation,
                wrapped=wrap(to, secret, bound_to=bound_to, nonce=nonce),
            )
        )

    def _forget(self) -> None:
        """Destroy master keys that wrap nothing any more, and scrub deleted rows from the disk."""
        with self._database.read() as connection:
            oldest = connection.execute(select(func.min(MASTER_KEY.c.generation))).scalar_one()
        self._masters.destroy_before(oldest)
        self._database.scrub()

    def _uuid(self) -> str:
        return str(uuid.UUID(bytes=self._entropy.random_bytes(16), version=4))

    def _now(self) -> EpochMs:
        return self._wrapping.now()


def wrapping_key_alias(tenant: str, generation: int) -> str:
    """The alias that operators see for a wrapping key."""
    return f"{tenant}-wrapping-{generation}"


def signing_key_binding(tenant: str, key_id: str) -> str:
    """The associated data that a wrapped private key is bound to."""
    return f"signing-key/{tenant}/{key_id}"


def _record(
    connection: Connection,
    row: Mapping[str, object],
    keys: Sequence[RotatedKeys],
    now: EpochMs,
) -> None:
    values = {**row, "started_at": now, "updated_at": now}
    _RECORD.run(connection, {**values, "status": RotationStatus.IN_PROGRESS.value})
    tenant = row["tenant"]
    connection.execute(delete(ROTATED).where(ROTATED.c.tenant == tenant))
    for key in keys:
        counts = {"name": key.name, "total": key.total, "rotated": 0}
        connection.execute(insert(ROTATED), {"tenant": tenant, **counts})


def _count(connection: Connection, tenant: str, name: str) -> None:
    connection.execute(
        update(ROTATED)
        .where(ROTATED.c.tenant == tenant, ROTATED.c.name == name)
        .values(rotated=ROTATED.c.rotated + 1)
    )


def _known(connection: Connection, tenant: str) -> KeyRotation:
    known = _rotation(connection, tenant)
    assert known is not None, tenant  # noqa: S101  # recorded in this transaction
    return known


def _rotation(connection: Connection, tenant: str) -> KeyRotation | None:
    row = connection.execute(_SELECT_ROTATION.where(ROTATION.c.tenant == tenant)).one_or_none()
    if row is None:
        return None
    counts = select(ROTATED).where(ROTATED.c.tenant == tenant).order_by(ROTATED.c.name)
    return KeyRotation(
        request_id=row.request_id,
        tenant=row.tenant,
        status=RotationStatus(row.status),
        started_at=EpochMs(row.started_at),
        updated_at=EpochMs(row.updated_at),
        keys=tuple(
            RotatedKeys(name=count.name, total=count.total, rotated=count.rotated)
            for count in connection.execute(counts)
        ),
    )
