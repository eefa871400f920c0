"""Detects a database file that is older than the write-ahead log beside it.

SQLite applies an existing log to whatever file has the matching name. If the file was replaced by
an older copy and the log was left, pages of different times would be mixed without an error. Each
commit writes the database's first page, with its number (`host.adapters.files.identity.marks`): the
first page in the log must directly follow the file's.

File formats: https://www.sqlite.org/fileformat2.html, 1.3 and 4.
"""

import struct
from pathlib import Path

from host.adapters.files.identity.marks import is_behind
from host.adapters.files.open_databases import direct_access
from host.adapters.files.regular_files import open_regular

_FILE_HEADER_BYTES = 100
_NUMBER = struct.Struct(">I")
_NUMBER_AT = 60
"""Offset of `PRAGMA user_version` in the header."""
_LOG_HEADER = struct.Struct(">IIIIII8x")
_MAGICS = (0x377F0682, 0x377F0683)
_FRAME = struct.Struct(">IIII8x")


def file_lacks(path: Path) -> tuple[int, int] | None:
    """The commit on which the log of a database builds, and the commit of the file.

    Returns:
        None if they match, or there is nothing to compare. Also if a database of this process has
        the file open: it was compared before that.

    Raises:
        OSError: a file cannot be read.
    """
    with direct_access(path) as is_allowed:
        if not is_allowed:
            return None
        first = _first_in_log(path.with_name(f"{path.name}-wal"))
        if first is None:
            return None
        with open_regular(path) as stream:
            header = stream.read(_FILE_HEADER_BYTES)
    if len(header) < _FILE_HEADER_BYTES:
        return None
    (found,) = _NUMBER.unpack_from(header, _NUMBER_AT)
    return (first - 1, found) if first and is_behind(found, first - 1) else None


def _first_in_log(log: Path) -> int | None:
    """The number of the first commit in a log; None if it has none."""
    try:
        stream = open_regular(log)
    except FileNotFoundError:
        return None
    with stream:
        header = stream.read(_LOG_HEADER.size)
        if len(header) < _LOG_HEADER.size:
            return None
        magic, _, page_bytes, _, *salts = _LOG_HEADER.unpack(header)
        if magic not in _MAGICS or not 512 <= page_bytes <= 65536:
            return None
        while len(frame := stream.read(_FRAME.size)) == _FRAME.size:
            page, _, *found = _FRAME.unpack(frame)
            if found != salts:
                # A remainder of the log's earlier use.
                return None
            if page == 1:
                start = stream.read(_FILE_HEADER_BYTES)
                whole = len(start) == _FILE_HEADER_BYTES
                return int(_NUMBER.unpack_from(start, _NUMBER_AT)[0]) if whole else None
            stream.seek(page_bytes, 1)
    return None
