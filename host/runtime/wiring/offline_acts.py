"""Records in the administrative log what commands do to the data directory of a stopped host.

A command locks the directory, and wraps its changes:

    with offline_act(data_dir, "user reset-password", parameters={"loginName": "alice"}):
        users.change_password(...)
"""

import getpass
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from host.adapters.os.system import SystemClock, SystemEntropy
from host.adapters.sqlite.database import Database
from host.domain.errors import HostError, StorageError, UnavailableError
from host.domain.json import JsonValue
from host.nodes.audit_log.administrative import acts
from host.nodes.audit_log.administrative.acts import Act, Outcome
from host.nodes.audit_log.administrative.errors import ActNotRecordedError
from host.nodes.audit_log.administrative.register import AdministrativeRegister
from host.nodes.audit_log.administrative.tables import SCHEMA
from host.nodes.audit_log.service import load_audit_key
from host.runtime.wiring.administrative_reading import newest_act

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
    with database:
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
