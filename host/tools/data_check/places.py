"""Checks the permissions of files, and finds files that no host creates."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from host.adapters.files.identity import Finding
from host.adapters.files.identity.verification import SET_ASIDE
from host.tools.data_check.codes import CheckCode, finding

_KNOWN = re.compile(
    r"lock|joined|probe|moved|cordbox-(id|marks)(\.new)?|(cluster|flows)\.sqlite(-wal|-shm|-writer|-place|-journal)?"
    r"|vnodes/[0-9A-F]{12}/((vault|uniqueness)\.(sqlite(-wal|-shm|-journal)?|new)|uniqueness\.restored|audit[0-9A-Za-z.-]*)"
    r"|transfers/[0-9a-f-]{36}/(\.?node\.cbxnode|(unpacked/)?[a-z]+)"
    r"|packages/[0-9A-F]{64}\.(cpi|new)"
    r"|secrets/[0-9A-Za-z._-]+|tls/[0-9A-Za-z._-]+|(run|backup)/.*"
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OPEN_TO_ALL = re.compile(r"packages/.*|tls/.*certificate.*")
"""Files without secrets: those of earlier releases may be readable by others."""
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
DIRECTORY = "a directory"


def check_places(folder: Path) -> Iterator[Finding]:
    """Files and folders that others can read, and files that do not belong here."""
    yield from _mode(folder, ".", 0o700)
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.partition("/")[0].startswith(SET_ASIDE):
            continue
        is_known = _KNOWN.fullmatch(name) is not None
        if is_known and not path.is_file() and not name.startswith(("run/", "backup/")):
            yield _irregular(name, DIRECTORY if path.is_dir() else "no file")
        elif path.is_symlink() or not (path.is_dir() or path.is_file() or path.is_socket()):
            yield _unknown(name, "no file")
        elif path.is_dir():
            if name == "secrets":
                yield from _mode(path, name, 0o700)
        elif not is_known:
            yield _unknown(name, "a file")
        elif _OPEN_TO_ALL.fullmatch(name) is None:
            yield from _mode(path, name, 0o600)
        else:
            yield from _mode(path, name, 0o644, denied=_WRITABLE_BY_OTHERS)


def _mode(path: Path, name: str, expected: int, *, denied: int = _OTHERS) -> Iterator[Finding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & denied:
        yield finding(
            CheckCode.FILE_PERMISSIONS,
            name,
            f"others than its owner may use it: mode {mode:04o}",
            expected=f"{expected:04o}",
            found=f"{mode:04o}",
        )


def _irregular(name: str, what: str) -> Finding:
    return finding(
        CheckCode.FILE_IRREGULAR, name, f"is {what}", expected="a regular file", found=what
    )


def _unknown(name: str, what: str) -> Finding:
    return finding(
        CheckCode.FILE_UNKNOWN, name, "no host makes such a file", expected="nothing", found=what
    )
