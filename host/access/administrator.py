"""The first administrator: created at the host's first start, with a given or random password."""

from base64 import b32encode
from pathlib import Path

import structlog

from host.access.permissions import ALLOW_ALL
from host.access.users import Users
from host.adapters.files.durable_files import write_durably
from host.adapters.files.secret_files import read_secret
from host.domain.errors import StorageError
from host.ports.clock import Entropy

ADMINISTRATOR = "admin"
_FILE = "admin-password"
_GENERATED_BYTES = 20

_log = structlog.get_logger("cordbox.rbac")


def ensure_administrator(
    users: Users, *, given_password: str | None, secrets: Path, entropy: Entropy
) -> Path | None:
    """Make the user `admin` if it does not exist.

    A given password is used only to create the user: a password that was changed since is kept, so
    that a restart does not undo the change. A generated password that was changed since is removed
    from its file.

    Returns:
        The file that holds the generated password (readable by its owner only), else None.
    """
    file = secrets / _FILE
    if users.exists(ADMINISTRATOR):
        if given_password is not None and not users.knows(ADMINISTRATOR, given_password):
            _log.warning(
                "administrator-password-differs",
                reason="the given password is not that of the user admin, which stays;"
                " `cordbox user reset-password` sets it while the host does not run",
            )
        if file.exists() and not users.knows(ADMINISTRATOR, read_secret(file)):
            file.unlink()
    elif given_password is not None:
        _create(users, given_password)
    else:
        password = b32encode(entropy.random_bytes(_GENERATED_BYTES)).decode().lower()
        _write_secret(file, password)
        _create(users, password)
    return file if file.exists() else None


def forget_generated_password(secrets: Path) -> None:
    """Remove the file of a generated password that was changed."""
    (secrets / _FILE).unlink(missing_ok=True)


def _create(users: Users, password: str) -> None:
    users.create(
        ADMINISTRATOR, password, full_name="Default administrator", permissions=(ALLOW_ALL,)
    )


def _write_secret(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(file, [text.encode(), b"\n"])
    except OSError as exc:
        raise StorageError(f"{file} cannot be made: {exc.strerror}", path=str(file)) from exc
