"""Users of a stopped host, or of a cluster whose hosts may run."""

import os
from pathlib import Path

from host.access import Users
from host.access.administrator import ADMINISTRATOR, forget_generated_password
from host.adapters.files.data_directory import DataDirectory
from host.adapters.os.system import SystemClock, SystemEntropy
from host.adapters.sqlite.database import Database
from host.domain.errors import NotFoundError
from host.ports.storage import DatabaseUpkeep
from host.runtime.wiring.offline_acts import offline_act, shared_act
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS

_COMMAND = "user reset-password"


def reset_password(data_dir: Path, login_name: str, password: str) -> None:
    """Set a user's password in the data directory of a stopped host.

    Raises:
        NotFoundError: no host has run there, or no user has the login name.
        DataDirectoryLockedError: a host runs on it.
        ActNotRecordedError: the administrative log cannot be written; nothing has changed.
        UserInvalidError: the password is empty or too long.
    """
    # Checked first: locking a directory creates missing files.
    if not (data_dir / "cluster.sqlite").exists():
        raise NotFoundError(
            f"{data_dir} is no data directory: it has no cluster.sqlite",
            kind="data directory",
            named=str(data_dir),
        )
    os.umask(0o077)  # Files that the database creates are accessible to their owner only.
    directory = DataDirectory.hold(data_dir)
    try:
        with (
            offline_act(data_dir, _COMMAND, parameters={"loginName": login_name}),
            Database.open(directory.cluster_database, CLUSTER_SCHEMAS) as database,
        ):
            users = Users(database, clock=SystemClock(), entropy=SystemEntropy())
            user = users.change_password(login_name, password)
        if user.login_name == ADMINISTRATOR:
            forget_generated_password(directory.secrets)
    finally:
        directory.release()


def reset_shared_password(upkeep: DatabaseUpkeep, login_name: str, password: str) -> None:
    """Set a user's password in the database of a cluster; it counts at all hosts within a second.

    Raises:
        NotFoundError: no user has the login name.
        ActNotRecordedError: the administrative log cannot be written; nothing has changed.
        StorageError: the database cannot be used.
        UserInvalidError: the password is empty or too long.
    """
    with shared_act(upkeep, _COMMAND, parameters={"loginName": login_name}) as database:
        users = Users(database, clock=SystemClock(), entropy=SystemEntropy())
        users.change_password(login_name, password)
