"""The address of a PostgreSQL database: what `database_url` says, and how it is connected to. Pure.

Form: `postgresql://user@host:port/database`, with `?host=/folder` for a UNIX socket. The password
stands in a file, never in the address, which is shown by commands and logs.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from host.domain.errors import HostError

PORT = 5432
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
"""Names of users and databases that need no quotes in messages."""


class DatabaseUrlError(HostError):
    """`database_url` is no address of a PostgreSQL database that Cordbox can use."""

    code = "database-url-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseAddress:
    """Where a database is, without secrets.

    Attributes:
        host: a host name or an IP address; empty with a `socket_folder`.
        socket_folder: folder of the server's UNIX socket.
    """

    user: str
    database: str
    host: str = ""
    port: int = PORT
    socket_folder: str = ""

    def __str__(self) -> str:
        place = self.socket_folder or self.host
        return f"{self.database} at {place}:{self.port}"

    @property
    def socket(self) -> str:
        """Path of the UNIX socket."""
        return f"{self.socket_folder}/.s.PGSQL.{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether nothing of the connection leaves the machine."""
        if self.socket_folder or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(url: str) -> DatabaseAddress:
    """Read `database_url`.

    Raises:
        DatabaseUrlError: it has another form, or a password.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError as exc:
        raise DatabaseUrlError(f"database_url is no URL: {exc}") from exc
    if parts.scheme not in ("postgresql", "postgres"):
        raise DatabaseUrlError(
            f"database_url begins with {parts.scheme!r}, expected postgresql://user@host/database"
        )
    if parts.password is not None:
        raise DatabaseUrlError("database_url has a password, which belongs in its own file")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    folder = query.pop("host", "")
    if query:
        raise DatabaseUrlError(
            f"database_url has the parameter {min(query)!r}, expected none but host"
        )
    if folder and (host or not folder.startswith("/")):
        raise DatabaseUrlError(
            "database_url: host= is the folder of a UNIX socket, instead of a host"
        )
    if not (host or folder):
        raise DatabaseUrlError("database_url names no host")
    user = _named("user", unquote(parts.username or ""))
    database = _named("database", unquote(parts.path.removeprefix("/")))
    return DatabaseAddress(
        user=user, database=database, host=host, port=port or PORT, socket_folder=folder
    )


def _named(what: str, name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise DatabaseUrlError(
            f"database_url names the {what} {name!r}, expected 1 to 63 letters, digits, _, . and -"
        )
    return name
