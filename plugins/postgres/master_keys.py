"""Master keys of a cluster: derived from its passphrase, with salts that the database holds."""

from host.keys.errors import MasterKeyGoneError
from host.keys.master import derived_key, fresh_parameters
from host.ports.clock import Entropy
from host.ports.database import Schema
from plugins.postgres.connections import Access, Session, Sessions

KEYS = "cordbox_keys"
TABLES = Schema(
    name="master-salts",
    statements={
        "postgresql": (
            "CREATE TABLE master_salt (generation integer PRIMARY KEY, parameters bytea NOT NULL)",
        )
    },
)


class MasterKeyRows:
    """The port `MasterKeys`: the parameters of scrypt in a row for each generation. Thread-safe.

    Args:
        access: how to connect.
        passphrase: the same on all hosts; the first use of the key store checks it.
        entropy: gives salts.

    Raises:
        StorageError: the table cannot be used.
    """

    def __init__(self, access: Access, *, passphrase: str, entropy: Entropy) -> None:
        self._sessions = Sessions(access.within(KEYS), keeps=False)
        self._passphrase = passphrase
        self._entropy = entropy
        self._known: dict[int, bytes] = {}

    def make(self, generation: int) -> bytes:
        if generation not in self._known:
            fresh = fresh_parameters(self._entropy)

            def store(session: Session) -> None:
                session.run(
                    "INSERT INTO master_salt VALUES (:n, :p) ON CONFLICT DO NOTHING",
                    n=generation,
                    p=fresh,
                )

            self._sessions.use(store)
            self._known[generation] = self._derived(generation)
        return self._known[generation]

    def get(self, generation: int) -> bytes:
        if generation not in self._known:
            self._known[generation] = self._derived(generation)
        return self._known[generation]

    def destroy_before(self, generation: int) -> None:
        for old in [n for n in self._known if n < generation]:
            self._known.pop(old, None)
        self._sessions.use(
            lambda session: session.run(
                "DELETE FROM master_salt WHERE generation < :n", n=generation
            )
        )

    def close(self) -> None:
        self._sessions.close()

    def _derived(self, generation: int) -> bytes:
        rows = self._sessions.read(
            lambda session: session.run(
                "SELECT parameters FROM master_salt WHERE generation = :n", n=generation
            )
        )
        if not rows:
            raise MasterKeyGoneError(
                f"database {self._sessions.place}: master key {generation} is not there"
            )
        place = f"database {self._sessions.place}, master key {generation}"
        return derived_key(place, self._passphrase, rows[0][0])
