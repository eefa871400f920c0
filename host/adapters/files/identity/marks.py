"""The marks: number of each database's newest commit, in one small file beside them.

Every commit to a store or a vault is counted in the database itself (`count_commit`), and its
number is written here afterwards: a database with a lower number is an older copy, however recent.
The mark is not synced to disk. It survives `kill -9`, since the kernel keeps it; after a power
failure it may be older, but never newer, than its database, and so causes no false refusal.

The file has a header and slots of 64 bytes each, which are only ever added. A slot is overwritten
in place; an unreadable slot is ignored.
"""

import fcntl
import os
import sqlite3
import struct
import threading
import weakref
import zlib
from collections.abc import Mapping
from pathlib import Path

import structlog

from host.adapters.files.durable_files import write_durably
from host.adapters.files.identity.errors import DataFileDamagedError, DataFileForeignError
from host.adapters.files.regular_files import open_descriptor, open_regular
from host.domain.errors import StorageError

NAME = "cordbox-marks"
COUNT = "PRAGMA user_version"
"""A number in a database's header without other use: 32 bits, wraps around."""

_MAGIC = b"cordbox marks 1\n"
_SLOT = struct.Struct(">48sII8x")
_HEADER = struct.Struct(">16s36s12x")
_SLOT_BYTES = _SLOT.size
_WRAP = 1 << 32

_log = structlog.get_logger("cordbox.host")


def count_commit(connection: sqlite3.Connection) -> int:
    """Count the commit that ends the caller's write transaction; returns its number."""
    number = (commits_of(connection) + 1) % _WRAP
    signed = number - _WRAP if number >= _WRAP // 2 else number
    connection.execute(f"{COUNT} = {signed}").close()
    return number


def commits_of(connection: sqlite3.Connection) -> int:
    """The number of the newest commit that a connection sees; 0 if none was counted."""
    (number,) = connection.execute(COUNT).fetchone()
    return int(number) % _WRAP


def is_behind(found: int, known: int) -> bool:
    """Whether a database at commit `found` lacks commits, if `known` was its newest."""
    return 0 < (known - found) % _WRAP < _WRAP // 2


class Mark:
    """The mark of one database."""

    def __init__(self, marks: "Marks", name: str) -> None:
        self._marks = marks
        self._name = name

    def keep(self, number: int) -> None:
        """Write the number of a durable commit. Failures are only logged."""
        self._marks.keep(self._name, number)


class Marks:
    """The open file. Thread-safe; any number of processes may have it open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)
        self._lock = threading.Lock()
        self._places: dict[str, int] = {}
        self._is_reported = False

    @staticmethod
    def make(folder: Path, cluster_id: str) -> None:
        """Create the file of a cluster.

        Raises:
            StorageError: it cannot be created.
        """
        path = folder / NAME
        try:
            write_durably(path, [_HEADER.pack(_MAGIC, cluster_id.encode())])
        except OSError as exc:
            raise StorageError(f"{path} cannot be made: {exc.strerror}", path=str(path)) from exc

    @staticmethod
    def open(folder: Path) -> "Marks":
        """Open the file of a data directory that has been validated.

        Raises:
            StorageError: it does not exist, or cannot be opened.
        """
        path = folder / NAME
        try:
            return Marks(open_descriptor(path, writable=True))
        except OSError as exc:
            raise StorageError(f"{path}: {exc.strerror}", path=str(path)) from exc

    def of(self, name: str) -> Mark:
        """The mark of the database `name`, a path relative to the data directory."""
        return Mark(self, name)

    def known(self, name: str) -> int | None:
        """The newest marked commit of a database; None if there is none.

        Raises:
            StorageError: the file cannot be read.
        """
        with self._lock:
            if self._descriptor is None:
                return None
            try:
                place = self._place(name)
                return None if place is None else self._read(place)
            except OSError as exc:
                raise StorageError(f"{NAME}: {exc.strerror}") from exc

    def keep(self, name: str, number: int) -> None:
        """Mark the commit `number` of a database, unless a later one is marked."""
        with self._lock:
            if self._descriptor is None:
                return
            try:
                place = self._place(name)
                if place is None:
                    place = self._new_place(name, number)
                known = self._read(place)
                if known is None or is_behind(known, number):
                    os.pwrite(self._descriptor, _slot(name, number), place)
            except OSError as exc:
                # The commit is durable. Without its mark, an older copy may not be recognised.
                if not self._is_reported:
                    _log.warning("mark-not-kept", file=name, reason=exc.strerror)
                self._is_reported = True

    def close(self) -> None:
        """Close the file; later commits are not marked."""
        with self._lock:
            self._close()
            self._descriptor = None

    def _place(self, name: str) -> int | None:
        found = self._places.get(name)
        if found is None and self._descriptor is not None:
            self._places = _places(os.pread(self._descriptor, self._size(), 0))
            found = self._places.get(name)
        return found

    def _new_place(self, name: str, number: int) -> int:
        """Add a slot at the end of the file; a lock serialises this among processes."""
        assert self._descriptor is not None  # noqa: S101  # by the callers
        descriptor = self._descriptor
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            place = self._place(name)
            if place is None:
                place = -(-self._size() // _SLOT_BYTES) * _SLOT_BYTES
                os.pwrite(descriptor, _slot(name, number), place)
                self._places[name] = place
            return place
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _read(self, place: int) -> int | None:
        assert self._descriptor is not None  # noqa: S101  # by the callers
        found = _parsed(os.pread(self._descriptor, _SLOT_BYTES, place))
        return None if found is None else found[1]

    def _size(self) -> int:
        assert self._descriptor is not None  # noqa: S101  # by the callers
        return os.fstat(self._descriptor).st_size


def read_marks(folder: Path, cluster_id: str | None) -> Mapping[str, int] | None:
    """The marks in a data directory's file, by database; None if there is no file.

    Args:
        folder: the data directory.
        cluster_id: the expected cluster, None if it is not known.

    Raises:
        DataFileForeignError: it is another cluster's.
        DataFileDamagedError: it is not a file of marks.
        StorageError: it cannot be read.
    """
    path = folder / NAME
    try:
        with open_regular(path) as stream:
            data = stream.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StorageError(f"{path}: {exc.strerror}", path=str(path)) from exc
    magic, owner = _HEADER.unpack(data[:_SLOT_BYTES].ljust(_SLOT_BYTES, b"\0"))
    if magic != _MAGIC:
        raise DataFileDamagedError(f"{path} is damaged: it has no header", path=str(path))
    if cluster_id is not None and owner != cluster_id.encode():
        found = owner.decode(errors="replace")
        raise DataFileForeignError(
            f"{path} is of another cluster: expected {cluster_id}, found {found}", path=str(path)
        )
    slots = (_parsed(data[at : at + _SLOT_BYTES]) for at in _places(data).values())
    return dict(slot for slot in slots if slot is not None)


def _places(data: bytes) -> dict[str, int]:
    places: dict[str, int] = {}
    for at in range(_SLOT_BYTES, len(data) - _SLOT_BYTES + 1, _SLOT_BYTES):
        slot = _parsed(data[at : at + _SLOT_BYTES])
        if slot is not None:
            places[slot[0]] = at
    return places


def _slot(name: str, number: int) -> bytes:
    text = name.encode()
    return _SLOT.pack(text, number, _check(text, number))


def _parsed(data: bytes) -> tuple[str, int] | None:
    if len(data) != _SLOT_BYTES:
        return None
    text, number, check = _SLOT.unpack(data)
    text = text.rstrip(b"\0")
    return (text.decode(), number) if text and check == _check(text, number) else None


def _check(text: bytes, number: int) -> int:
    return zlib.crc32(b"%s %d" % (text, number))
