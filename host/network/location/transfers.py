"""Exports and imports as rows: progress, outcome, and which process works on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from host.database.claims import RELEASED, Claimant, Claims
from host.domain.errors import ConflictError, NotFoundError
from host.domain.ids import EpochMs, ShortHash
from host.domain.vnode import AsyncStatus
from host.network.location.tables import TRANSFER
from host.ports.clock import Clock
from host.ports.database import SqlDatabase

EXPORT, IMPORT = "export", "import"
WAITING = "waiting"
"""Stage of an import whose file has not come yet."""
WAITING_MAX = 64
_FORGOTTEN_MS = 86_400_000
"""After this time without a part an import that waits for its file has ended."""
_UNFINISHED = (AsyncStatus.ACCEPTED.value, AsyncStatus.IN_PROGRESS.value)
_IS_UNFINISHED = TRANSFER.c.status.in_(_UNFINISHED)
IS_WAITING = _IS_UNFINISHED & (TRANSFER.c.stage == WAITING)


class ImportsWaitingError(ConflictError):
    """As many imports as possible wait for their files."""

    code = "node-imports-waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """An export or import. `short_hash` is empty until an import's file was read."""

    request_id: str
    kind: str
    short_hash: str
    status: AsyncStatus
    stage: str
    bytes_done: int
    bytes_total: int
    error: str | None
    updated_at: EpochMs
    recipient: str | None
    identity: str | None

    @property
    def is_over(self) -> bool:
        return self.status.value not in _UNFINISHED


class Transfers:
    """Thread-safe.

    Args:
        database: the cluster's.
        claimant: this process, among those that work on transfers.
        clock: the time of changes.
    """

    def __init__(self, database: SqlDatabase, *, claimant: Claimant, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.claims = Claims(
            database,
            TRANSFER,
            is_unfinished=_IS_UNFINISHED & (TRANSFER.c.stage != WAITING),
            claimant=claimant,
            clock=clock,
        )

    def add_export(
        self,
        connection: Connection,
        request_id: str,
        short_hash: ShortHash,
        *,
        recipient: str | None,
        identity: str | None,
    ) -> None:
        """Store a new export, in the caller's transaction."""
        self._add(
            connection,
            request_id,
            EXPORT,
            stage="pausing",
            short_hash=short_hash,
            recipient=recipient,
            identity=identity,
        )

    def add_import(self, connection: Connection, request_id: str) -> None:
        """Store a new import, whose file says later of which node; in the caller's transaction.

        Raises:
            ImportsWaitingError: there are too many that wait.
        """
        count = select(func.count()).select_from(TRANSFER).where(IS_WAITING)
        if connection.execute(count).scalar_one() >= WAITING_MAX:
            raise ImportsWaitingError(
                f"{WAITING_MAX} imports wait for their files: send one, or wait a day"
            )
        self._add(connection, request_id, IMPORT, stage=WAITING)

    def _add(
        self,
        connection: Connection,
        request_id: str,
        kind: str,
        *,
        stage: str,
        short_hash: str = "",
        recipient: str | None = None,
        identity: str | None = None,
    ) -> None:
        now = self._clock.now_ms()
        connection.execute(
            insert(TRANSFER),
            {
                "request_id": request_id,
                "kind": kind,
                "short_hash": short_hash,
                "status": AsyncStatus.ACCEPTED.value,
                "stage": stage,
                "recipient": recipient,
                "identity": identity,
                "bytes_done": 0,
                "bytes_total": 0,
                "started_at": now,
                "updated_at": now,
                **(self.claims.values() if stage != WAITING else {}),
            },
        )

    def get(self, request_id: str) -> Transfer:
        """One of them.

        Raises:
            NotFoundError: there is none.
        """
        query = select(TRANSFER).where(TRANSFER.c.request_id == request_id)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(
                f"Transfer {request_id} not found.", kind="transfer", named=request_id
            )
        return Transfer(
            request_id=row.request_id,
            kind=row.kind,
            short_hash=row.short_hash,
            status=AsyncStatus(row.status),
            stage=row.stage,
            bytes_done=row.bytes_done,
            bytes_total=row.bytes_total,
            error=row.error,
            updated_at=EpochMs(row.updated_at),
            recipient=row.recipient,
            identity=row.identity,
        )

    def start(self, request_id: str, *, stage: str, identity: str | None) -> bool:
        """Claim an import whose file has come; False if it does not wait for one."""
        which = (TRANSFER.c.request_id == request_id) & IS_WAITING
        values = {"stage": stage, "identity": identity, **self.claims.values()}
        return self._database.transact(lambda c: self._update(c, which, **values)) == 1

    def set(
        self,
        request_id: str,
        also: Callable[[Connection], object] = lambda _connection: None,
        **values: object,
    ) -> None:
        """Change columns of one that this process works on, and do `also` in the same transaction.

        Raises:
            ClaimLostError: another process goes on with it, or it has ended.
        """
        is_over = values.get("status") not in (None, *_UNFINISHED)
        released = RELEASED if is_over else {}

        def work(connection: Connection) -> None:
            self.claims.check(connection, request_id)
            self._update(connection, TRANSFER.c.request_id == request_id, **values, **released)
            also(connection)

        self._database.transact(work)

    def fail(
        self,
        request_id: str,
        reason: str,
        also: Callable[[Connection], object] = lambda _connection: None,
    ) -> None:
        """End one without success; raises as `set`."""
        failed = AsyncStatus.FAILED.value
        self.set(request_id, also, status=failed, error=reason[:1024], identity=None)

    def end(
        self, request_ids: Sequence[str], reason: str, of: ColumnElement[bool] = _IS_UNFINISHED
    ) -> Callable[[Connection], int]:
        """What ends transfers in a transaction, whoever works on them; it returns how many."""
        which = TRANSFER.c.request_id.in_(request_ids) & of
        return lambda connection: self._update(
            connection,
            which,
            status=AsyncStatus.ABORTED.value,
            error=reason[:1024],
            identity=None,
            **RELEASED,
        )

    def _update(self, connection: Connection, where: ColumnElement[bool], **values: object) -> int:
        change = update(TRANSFER).where(where).values(updated_at=self._clock.now_ms(), **values)
        return connection.execute(change).rowcount

    def lack_files(self, connection: Connection, request_ids: Sequence[str]) -> bool:
        """Whether the file of one of these exports was never whole, as a transaction sees it."""
        query = select(TRANSFER.c.request_id).where(
            TRANSFER.c.request_id.in_(request_ids),
            TRANSFER.c.status != AsyncStatus.SUCCEEDED.value,
        )
        return connection.execute(query.limit(1)).first() is not None

    def end_forgotten(self) -> Sequence[str]:
        """End imports whose files have not come for a day; returns their ids."""
        before = self._clock.now_ms() - _FORGOTTEN_MS
        query = select(TRANSFER.c.request_id).where(IS_WAITING, TRANSFER.c.updated_at < before)
        with self._database.read() as connection:
            found = list(connection.execute(query).scalars())
        if found:
            self._database.transact(self.end(found, "its file has not come for a day", IS_WAITING))
        return found

    def note_received(self, request_id: str, size: int) -> None:
        """Note how many bytes of the file of an import have come."""
        which = (TRANSFER.c.request_id == request_id) & IS_WAITING
        self._database.transact(lambda c: self._update(c, which, bytes_done=size))

    def of_node(self, short_hash: ShortHash) -> Sequence[str]:
        """The ids of a node's transfers, the latest first."""
        query = (
            select(TRANSFER.c.request_id)
            .where(TRANSFER.c.short_hash == short_hash)
            .order_by(TRANSFER.c.started_at.desc())
        )
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())
