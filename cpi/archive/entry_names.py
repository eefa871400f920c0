"""The entry names allowed in an archive: those that mean the same file on every system.

Refused: anything that could leave the directory it is unpacked to, that two systems would spell
as the same file, or that a terminal would show as another name.
"""

import re
import unicodedata
from collections.abc import Sequence

from cpi.errors import ArchiveError, Code

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_REFUSED_CHARACTERS = {
    "\\": "holds a backslash",
    ":": "holds a colon, which names a drive or a stream on some systems",
}
_PLAIN = re.compile(
    r"[A-Za-z0-9_$()+,=@~!#%&'{}\[\]^ .\-]+(/[A-Za-z0-9_$()+,=@~!#%&'{}\[\]^ .\-]+)*/?"
)


def check_entry_name(name: str) -> None:
    """Check a single name.

    Raises:
        ArchiveError: the name is empty, absolute, climbs up, or is spelt differently elsewhere.
    """
    reason = _fault(name)
    if reason is not None:
        raise ArchiveError(Code.ARCHIVE_NAME, f"entry name {name!r} {reason}", entry=name)


def _fault(name: str) -> str | None:
    for character, reason in _REFUSED_CHARACTERS.items():
        if character in name:
            return reason
    if name.startswith("/"):
        return "is absolute"
    if not _PLAIN.fullmatch(name):
        for character in name:
            if unicodedata.category(character) in _HIDDEN_CATEGORIES:
                return f"holds the invisible character U+{ord(character):04X}"
    for segment in name.removesuffix("/").split("/"):
        if segment in {"", ".", ".."}:
            return f"holds the path segment {segment!r}"
        if segment[-1] in ". ":
            return f"holds the segment {segment!r}, whose last character some systems drop"
    return None


def check_no_twins(names: Sequence[str]) -> None:
    """Check that no two names collide, and that no file is also a directory.

    Raises:
        ArchiveError: two names are equal, or equal after case folding and Unicode compatibility
            normalisation, or one is a directory above the other and a file.
    """
    files: dict[str, str] = {}
    directories: dict[str, str] = {}
    for name in names:
        key = _twin_key(name.removesuffix("/"))
        other = files.get(key) or directories.get(key)
        if other is not None:
            how = "twice" if other == name else f"beside its twin {other!r}"
            raise ArchiveError(Code.ARCHIVE_DUPLICATE, f"entry {name!r} appears {how}", entry=name)
        (directories if name.endswith("/") else files)[key] = name
    for key, name in (*files.items(), *directories.items()):
        parent = key.rpartition("/")[0]
        while parent:
            if parent in files:
                raise ArchiveError(
                    Code.ARCHIVE_DUPLICATE,
                    f"entry {files[parent]!r} is a file, and a directory of {name!r}",
                    entry=name,
                )
            parent = parent.rpartition("/")[0]


def _twin_key(name: str) -> str:
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", folded)
