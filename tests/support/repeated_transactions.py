"""Every transaction is run twice, as a database with several writers may run it.

The first run is rolled back. What has effects outside its connection, or counts on running once,
then gives another result or fails.
"""

from contextlib import suppress

from host.adapters.sqlite.database import Database
from tests.support.database_instead import IS_POSTGRES


class _RolledBackError(Exception):
    pass


def run_transactions_twice(monkeypatch):
    """Have each database run the work of `transact` twice until the test ends."""
    kind = Database
    if IS_POSTGRES:
        from plugins.postgres.database import PostgresDatabase as kind  # of an extra
    transact = kind.transact

    def transact_twice(self, work):
        def rehearsed(connection):
            work(connection)
            raise _RolledBackError

        with suppress(_RolledBackError):
            transact(self, rehearsed)
        return transact(self, work)

    monkeypatch.setattr(kind, "transact", transact_twice)
