"""Whether a database file is older than the write-ahead log beside it.

SQLite takes a log that is there into whatever file has its name. Where the file was put back by an
older copy and the log was left, pages of two times would become one database, and neither would
tell. Each commit writes the database's first page, with its number
(`host.adapters.files.identity.marks`): the
first page that the log holds must follow upon the file's.

File formats: https://www.sqlite.org/fileformat2.html, 1.3 and 4.
"""

import struct
from pathlib import Path

from host.adapters.files.identity.marks import is_behind
from host.adapters.files.regular_files import open_regular

_FILE_HEADER_BYTES = 100
_NUMBER = struct.Struct(">I")
_NUMBER_AT = 60
"""Where the header has what `PRAGMA user_version` says."""
_LOG_HEADER = struct.Struct(">IIIIII8x")
_MAGICS = (0x377F0682, 0x377F0683)
_FRAME = struct.Struct(">IIII8x")


def file_lacks(path: Path) -> tuple[int, int] | None:
    """The commit that the log of a database follows upon, and that which the file is at.

    Returns:
        None when they fit, or there is nothing to compare.

    Raises:
        OSError: a file cannot be read.
    """
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
    """The number of the first commit in a log; None when it has none."""
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
                # What is left of the log's earlier use.
                return None
            if page == 1:
                start = stream.read(_FILE_HEADER_BYTES)
                whole = len(start) == _FILE_HEADER_BYTES
                return int(_NUMBER.unpack_from(start, _NUMBER_AT)[0]) if whole else None
            stream.seek(page_bytes, 1)
    return None
