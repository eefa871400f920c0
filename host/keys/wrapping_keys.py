"""The tenants' wrapping keys, by generation, wrapped under generations of the master key."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, bindparam, func, insert, select

from host.database.prepared import Prepared
from host.domain.ids import EpochMs
from host.keys.errors import KeyMaterialError, MasterKeyError
from host.keys.master import MasterKeys
from host.keys.tables import MASTER_KEY, WRAPPING_KEY
from host.keys.wrapping import KEY_BYTES, NONCE_BYTES, unwrap, wrap
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase

T = TypeVar("T")

_CHECK = b"cordbox master key"
MASTER_CHECK_BINDING = "master-check"

_SELECT_MASTERS = select(MASTER_KEY).order_by(MASTER_KEY.c.generation.desc())
_SELECT_MASTER_GENERATION = select(func.max(MASTER_KEY.c.generation))
_OF_TENANT = WRAPPING_KEY.c.tenant == bindparam("of_tenant")
_GENERATION = Prepared(
    select(func.max(WRAPPING_KEY.c.generation).label("newest")).where(_OF_TENANT)
)
_KEY = Prepared(
    select(WRAPPING_KEY.c.wrapped, WRAPPING_KEY.c.master_generation).where(
        _OF_TENANT, WRAPPING_KEY.c.generation == bindparam("number")
    )
)


class _NotDerivedError(Exception):
    """A transaction needs a master key that this process has not derived yet."""

    def __init__(self, generation: int, *, is_new: bool = False) -> None:
        super().__init__(f"master key {generation} is not derived")
        self.generation = generation
        self.is_new = is_new


class WrappingKeys:
    """Reads and creates wrapping keys, always inside a transaction of the caller. Thread-safe.

    Deriving a master key from a passphrase takes a busy host seconds, and a database ends
    transactions that stand still. So a transaction that needs one which this process has not
    derived is left, and begun again once it has: `outside`.
    """

    def __init__(self, masters: MasterKeys, *, clock: Clock, entropy: Entropy) -> None:
        self._masters = masters
        self._derived = set[int]()
        self._clock = clock
        self._entropy = entropy

    def derive_master(self, database: SqlDatabase) -> None:
        """Have the current master key ready, or the first one, before a transaction needs it.

        Raises:
            MasterKeyError: it is not there.
        """
        with database.read() as connection:
            newest = connection.execute(_SELECT_MASTER_GENERATION).scalar_one()
        if newest is None:
            self.make_master(1)
        else:
            self._derive(newest)

    def make_master(self, generation: int) -> None:
        """Make a master key, whose file is written first: an unused key does no harm."""
        self._masters.make(generation)
        self._derived.add(generation)

    def outside(self, run: Callable[[], T]) -> T:
        """What `run` returns, which does transactions: master keys are derived between them.

        Raises:
            MasterKeyGoneError: one was destroyed.
        """
        while True:
            try:
                return run()
            except _NotDerivedError as needed:
                (self.make_master if needed.is_new else self._derive)(needed.generation)

    def _derive(self, generation: int) -> None:
        self._masters.get(generation)
        self._derived.add(generation)

    def _master(self, generation: int) -> bytes:
        if generation not in self._derived:
            raise _NotDerivedError(generation)
        return self._masters.get(generation)

    def check_master(self, connection: Connection) -> None:
        """Check the current master key, or create the first one.

        Raises:
            MasterKeyError: it is not the one that the keys are wrapped with.
        """
        row = connection.execute(_SELECT_MASTERS.limit(1)).one_or_none()
        if row is None:
            self.add_master(connection, 1)
            return
        try:
            unwrap(self._master(row.generation), row.wrapped, bound_to=MASTER_CHECK_BINDING)
        except KeyMaterialError as exc:
            raise MasterKeyError(
                "the master key is not the one that the keys in the cluster's database are"
                " wrapped with"
            ) from exc

    def master_generation(self, connection: Connection) -> int:
        """The generation of the current master key."""
        return int(connection.execute(_SELECT_MASTER_GENERATION).scalar_one())

    def add_master(self, connection: Connection, generation: int) -> None:
        """Activate a master key that `make_master` has made."""
        if generation not in self._derived:
            raise _NotDerivedError(generation, is_new=True)
        key = self._masters.make(generation)
        nonce = self._entropy.random_bytes(NONCE_BYTES)
        wrapped = wrap(key, _CHECK, bound_to=MASTER_CHECK_BINDING, nonce=nonce)
        connection.execute(insert(MASTER_KEY), {"generation": generation, "wrapped": wrapped})

    def generation(self, connection: Connection, tenant: str) -> int | None:
        """The generation of a tenant's current wrapping key, if there is one."""
        generation: int | None = _GENERATION.value(connection, {"of_tenant": tenant})
        return generation

    def get(self, connection: Connection, tenant: str, generation: int) -> bytes:
        """A wrapping key of a tenant.

        Raises:
            KeyMaterialError: the key is missing or was changed.
            MasterKeyGoneError: its master key was destroyed after this transaction began.
        """
        row = _KEY.first(connection, {"of_tenant": tenant, "number": generation})
        if row is None:
            raise KeyMaterialError(f"tenant {tenant} has keys and no wrapping key {generation}")
        master = self._master(row.master_generation)
        return unwrap(master, row.wrapped, bound_to=wrapping_key_binding(tenant))

    def newest(self, connection: Connection, tenant: str) -> tuple[int, bytes]:
        """Generation and bytes of a tenant's current wrapping key, created if there is none."""
        generation = self.generation(connection, tenant)
        if generation is None:
            return 1, self.add(connection, tenant, 1)
        return generation, self.get(connection, tenant, generation)

    def add(self, connection: Connection, tenant: str, generation: int) -> bytes:
        """Create a wrapping key for a tenant; it is active when the transaction commits."""
        fresh = self._entropy.random_bytes(KEY_BYTES)
        master_generation = self.master_generation(connection)
        connection.execute(
            insert(WRAPPING_KEY),
            {
                "tenant": tenant,
                "generation": generation,
                "master_generation": master_generation,
                "wrapped": self.wrapped(tenant, fresh, master_generation),
                "created_at": self.now(),
            },
        )
        return fresh

    def wrapped(self, tenant: str, key: bytes, master_generation: int) -> bytes:
        """A wrapping key, wrapped under a generation of the master key."""
        nonce = self._entropy.random_bytes(NONCE_BYTES)
        master = self._master(master_generation)
        return wrap(master, key, bound_to=wrapping_key_binding(tenant), nonce=nonce)

    def now(self) -> EpochMs:
        return self._clock.now_ms()


def wrapping_key_binding(tenant: str) -> str:
    """The associated data that a wrapped wrapping key is bound to."""
    return f"wrapping-key/{tenant}"
