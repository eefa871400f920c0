"""The host's error tree: every refusal is a class with a stable `code`.

HTTP statuses and exit codes are not defined here: `host.rest.errors` and `host.cli` hold tables.
"""

from collections.abc import Mapping
from typing import ClassVar


class HostError(Exception):
    """Base class of all errors that the host reports.

    Attributes:
        code: stable kebab-case identifier, documented in docs/reference/errors.md.
        message: one sentence that names the refused object.
        details: further facts, by name; never secrets.
        answered_code: the code of the host that refused; None if nothing was asked of a host.
    """

    code: ClassVar[str] = "host-error"

    def __init__(self, message: str, **details: str) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, str] = details
        self.answered_code: str | None = None

    @property
    def public_message(self) -> str:
        """The message for tenants: it contains a file's name, without its directory."""
        path = self.details.get("path")
        return self.message.replace(path, path.rpartition("/")[2]) if path else self.message


class InvalidInputError(HostError):
    """The caller's input is wrong; repeating the call cannot help."""

    code = "invalid-input"


class RequestInvalidError(InvalidInputError):
    """The request is malformed: it breaks its documented form, or a rule of texts out of guests."""

    code = "request-invalid"


class NotFoundError(HostError):
    """The named object does not exist; `kind` and `id` in `details` say which.

    Args:
        message: one sentence.
        kind: of object, for example `virtual node`.
        named: how the request names the object: its id, name or hash.
        details: further facts.
    """

    code = "not-found"

    def __init__(self, message: str, *, kind: str = "", named: str = "", **details: str) -> None:
        facts = {"kind": kind, "id": named} if kind else {}
        super().__init__(message, **facts, **details)


class ConflictError(HostError):
    """The object exists already, or is in a state that forbids the change."""

    code = "conflict"


class NotAllowedError(HostError):
    """The object is in a state in which the operation is switched off."""

    code = "operation-not-allowed"


class ForbiddenError(HostError):
    """The authenticated user may not do this."""

    code = "forbidden"


class UnavailableError(HostError):
    """A needed part is not ready; the same call may succeed later."""

    code = "unavailable"


class OutageError(UnavailableError):
    """A part of the platform is down and recovers by itself: the same call will succeed then."""

    code = "platform-outage"


class StorageBusyError(UnavailableError):
    """Another process holds the database's write lock for longer than the busy timeout."""

    code = "storage-busy"


class StorageError(HostError):
    """The data directory cannot be used: unwritable, full, damaged or held by another host."""

    code = "storage"


class DatabaseAwayError(StorageError):
    """The database server cannot be reached, or has ended the connection."""

    code = "database-away"


class DiskFullError(StorageError):
    """The disk is full; operations that need space are delayed until space has been freed."""

    code = "disk-full"
