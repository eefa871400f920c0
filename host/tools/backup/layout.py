"""What of a data directory a backup holds, and by which names. Pure."""

import re

MAGIC = b"CBXHOST1"
KIND = "host"

ID_FILE = "cordbox-id"
STORES = ("flows.sqlite", "cluster.sqlite")
SMALL_FOLDERS = ("secrets", "tls")
"""Folders whose few small files are copied as they are."""

_NAME = re.compile(
    r"cordbox-id|(cluster|flows)\.sqlite"
    r"|vnodes/[0-9A-F]{12}/(vault\.sqlite|audit[0-9A-Za-z.-]{0,64})"
    r"|packages/[0-9A-Za-z._-]{1,128}\.cpi"
    r"|(secrets|tls)/[0-9A-Za-z_-][0-9A-Za-z._-]{0,128}"
)


def is_name(name: str) -> bool:
    """Whether a section of this name has a place in a data directory."""
    return _NAME.fullmatch(name) is not None
