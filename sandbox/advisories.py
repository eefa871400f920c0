"""Published security advisories that apply to a version of the engine, from `advisories.json`.

The file is maintained by hand and names its sources. It can only warn: that a version is not listed
proves nothing.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("advisories.json")
_NUMBERS = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")
Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One advisory.

    Attributes:
        id: its name in the database that published it.
        title: what goes wrong, in one line.
        introduced: first affected version; `0.0.0` where none was published.
        fixed: the first version without it, for each major version that got a fix.
        source: where it was read.
    """

    id: str
    title: str
    introduced: str
    fixed: tuple[str, ...]
    source: str

    def affects(self, version: str) -> bool:
        """Whether wasmtime `version` has it, as far as was published."""
        found = _parsed(version)
        fixes = [_parsed(text) for text in self.fixed]
        if found < _parsed(self.introduced) or found >= max(fixes):
            return False
        return not any(found[0] == fix[0] and found >= fix for fix in fixes)


@cache
def all_advisories() -> tuple[Advisory, ...]:
    """Every advisory of the file."""
    entries = json.loads(_FILE.read_text(encoding="utf-8"))["advisories"]
    return tuple(Advisory(**{**entry, "fixed": tuple(entry["fixed"])}) for entry in entries)


def known_advisories(version: str) -> tuple[Advisory, ...]:
    """The advisories that affect wasmtime `version`.

    Raises:
        ValueError: `version` does not begin with three numbers.
    """
    return tuple(advisory for advisory in all_advisories() if advisory.affects(version))


def _parsed(version: str) -> Version:
    match = _NUMBERS.match(version)
    if match is None:
        raise ValueError(f"version {version!r}: expected three numbers")
    return int(match[1]), int(match[2]), int(match[3])
