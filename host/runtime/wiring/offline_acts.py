"""Records in the administrative log what commands do to a stopped host, or to a cluster's database.

A command locks the data directory of the host, and wraps its changes:

    with offline_act(data_dir, "user reset-password", parameters={"loginName": "alice"}):
        users.change_password(...)

Hosts of a cluster may run: what counts there are transactions.
"""

import getpass
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from host.adapters.os.system import SystemClock, SystemEntropy
from host.adapters.sqlite.database import Database
from host.domain.errors import HostError, StorageError, UnavailableError
from host.domain.json import JsonValue
from host.nodes.audit_log.administrative import acts
from host.nodes.audit_log.administrative.acts import Act, Outcome
from host.nodes.audit_log.administrative.errors import ActNotRecordedError
from host.nodes.audit_log.administrative.register import AdministrativeRegister
from host.nodes.audit_log.administrative.shared_key import load_shared_key
from host.nodes.audit_log.administrative.tables import SCHEMA
from host.nodes.audit_log.service import load_audit_key
from host.ports.database import SqlDatabase
from host.ports.storage import DatabaseUpkeep
from host.runtime.wiring.administrative_reading import newest_act
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS

_DATABASE, _SECRETS = "cluster.sqlite", "secrets"


@contextmanager
def offline_act(
    data_dir: Path, command: str, *, parameters: Mapping[str, JsonValue] | None = None
) -> Iterator[None]:
    """Write the intent of a command to the log before the block, and its outcome after it.

    Args:
        data_dir: the host's data directory; it must have a `cluster.sqlite`.
        command: its words, without `cordbox` and without arguments.
        parameters: its arguments; never a secret.

    Raises:
        ActNotRecordedError: the log cannot be written, so the block was not entered.
    """
    try:
        key = load_audit_key(
            data_dir / _SECRETS,
            entropy=SystemEntropy(),
            logs=data_dir / "vnodes",
            newest_act=newest_act(data_dir),
        )
        database = Database.open(data_dir / _DATABASE, (SCHEMA,))
    except HostError as error:
        raise _unrecorded(error) from error
    with database, _recorded(database, key, command, parameters):
        yield


@contextmanager
def shared_act(
    upkeep: DatabaseUpkeep, command: str, *, parameters: Mapping[str, JsonValue] | None = None
) -> Iterator[SqlDatabase]:
    """The same for a command on the database of a cluster, which the block gets.

    Args:
        upkeep: of the database.
        command: its words, without `cordbox` and without arguments.
        parameters: its arguments; never a secret.

    Raises:
        ActNotRecordedError: the log cannot be written, so the block was not entered.
        StorageError: the database cannot be used.
    """
    storage = upkeep.storage()
    with closing(storage.open_database(CLUSTER_SCHEMAS)) as database:
        entropy = SystemEntropy()
        shared = storage.shared_audit_key(entropy)
        if shared is None:
            raise ActNotRecordedError("the database has no key of the administrative log")
        try:
            key = load_shared_key(shared, database, entropy)
        except HostError as error:
            raise _unrecorded(error) from error
        with _recorded(database, key, command, parameters):
            yield database


def note_shared_act(
    upkeep: DatabaseUpkeep, command: str, *, parameters: Mapping[str, JsonValue]
) -> None:
    """Record a command on the database of a cluster that was executed, and only then has a log.

    Raises:
        ActNotRecordedError, StorageError: see `shared_act`.
    """
    with shared_act(upkeep, command, parameters=parameters):
        pass


@contextmanager
def _recorded(
    database: SqlDatabase, key: bytes, command: str, parameters: Mapping[str, JsonValue] | None
) -> Iterator[None]:
    act = Act(
        source="cli",
        user=os_user(),
        address="",
        request_id=secrets.token_hex(8),
        method="CLI",
        path=command,
        operation=command,
        parameters=parameters or {},
    )
    clock = SystemClock()
    register = AdministrativeRegister(database, key=key, clock=clock)
    try:
        (number,) = register.append((acts.intent(act, at=clock.now_ms()),))
    except (StorageError, UnavailableError) as error:
        raise _unrecorded(error) from error
    ended = Outcome(status=1, code="failed")
    try:
        yield
        ended = Outcome(status=0, code=acts.SUCCEEDED)
    except HostError as error:
        ended = Outcome(status=1, code=error.code)
        raise
    finally:
        register.append((acts.outcome(number, ended, at=clock.now_ms()),))


def _unrecorded(error: HostError) -> ActNotRecordedError:
    return ActNotRecordedError(f"the administrative log cannot be written: {error.message}")


def os_user() -> str:
    """The operating system's user; its number if it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
