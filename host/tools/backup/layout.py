"""The files of a data directory that a backup contains, and their section names. Pure."""

import re

MAGIC = b"CBXHOST1"
KIND, SHARED_KIND = "host", "cluster-host"
"""A host that has everything in its directory, and one whose data are in a database."""

ID_FILE = "cordbox-id"
STORES = ("flows.sqlite", "cluster.sqlite")
SMALL_FOLDERS = ("secrets", "tls")
"""Folders with few small files, which are copied unchanged."""

_NAME = re.compile(
    r"cordbox-id|(cluster|flows)\.sqlite"
    r"|vnodes/[0-9A-F]{12}/((vault|uniqueness)\.sqlite|audit[0-9A-Za-z.-]{0,64})"
    r"|packages/[0-9A-Za-z._-]{1,128}\.cpi"
    r"|(secrets|tls)/[0-9A-Za-z_-][0-9A-Za-z._-]{0,128}"
)


def is_name(name: str) -> bool:
    """Whether a section of this name belongs in a data directory."""
    return _NAME.fullmatch(name) is not None
