"""Where the keys of `cordapp.toml` stand, for what is said about them."""

import re

_TABLE = re.compile(r"\s*\[+\s*([A-Za-z0-9_.-]+)\s*\]+")
_KEY = re.compile(r"""\s*["']?([A-Za-z0-9_-]+)["']?\s*=""")


def line_of(text: str, name: str) -> int | None:
    r"""The line of a key, counted from 1; that of its table if the key is not there.

    Args:
        text: the file's.
        name: `table.key`, or a key or table of its own.

    >>> text = '[cordapp]\\nname = "a"\\n[workflow]\\nversion = 1'
    >>> [line_of(text, name) for name in ("workflow.version", "workflow.source", "limits")]
    [4, 3, None]
    """
    section, _, key = name.partition(".")
    table, found = "", None
    for number, line in enumerate(text.splitlines(), 1):
        head, named = _TABLE.match(line), _KEY.match(line)
        if head:
            table = head[1]
            if table.partition(".")[0] == section and found is None:
                found = number
        elif named and ((table == section and named[1] == key) or (not table and named[1] == name)):
            return number
    return found
