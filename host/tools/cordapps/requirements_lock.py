"""The lock of a CorDapp's third-party packages: pip's requirements format, with hashes.

Every line pins one package: `name==version --hash=sha256:HEX`, the hash once or more often.
Features that make the result depend on the environment (options, environment markers, extras,
links, other hash algorithms) are refused, with their line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from host.domain.errors import InvalidInputError

LOCK_BYTES_MAX = 256 * 1024
PACKAGES_MAX = 50

_PIN = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*==\s*([A-Za-z0-9._+!-]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-fA-F]{64})")
_COMMENT = re.compile(r"(^|\s)#.*$")


class VendoringRefusedError(InvalidInputError):
    """Third-party packages that cannot become part of a CPK; `problems` names each."""

    code = "cordapp-vendoring-refused"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One pinned package.

    Attributes:
        name: normalised as PyPI does (lower case, single hyphens).
        version: as the lock has it.
        digests: SHA-256 of the files allowed, in lower-case hex.
    """

    name: str
    version: str
    digests: frozenset[str]


def read_lock(path: Path) -> tuple[Requirement, ...]:
    """The pinned packages of a lock, sorted by name.

    Raises:
        VendoringRefusedError: unreadable, too large, or any line that pins no package.
    """
    problems: list[str] = []
    found: dict[str, Requirement] = {}
    for number, line in _logical_lines(_text(path)):
        requirement = _requirement(line)
        if isinstance(requirement, str):
            problems.append(f"{path.name}:{number}: {requirement}")
        elif requirement.name in found:
            problems.append(f"{path.name}:{number}: {requirement.name} is pinned twice")
        else:
            found[requirement.name] = requirement
    if not found and not problems:
        problems.append(f"{path.name}: pins no package")
    if len(found) > PACKAGES_MAX:
        problems.append(f"{path.name}: {len(found)} packages, at most {PACKAGES_MAX}")
    if problems:
        raise VendoringRefusedError(tuple(problems))
    return tuple(found[name] for name in sorted(found))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(LOCK_BYTES_MAX + 1)
        if len(data) > LOCK_BYTES_MAX:
            raise VendoringRefusedError((f"{path.name}: larger than {LOCK_BYTES_MAX} bytes",))
        return data.decode("utf-8-sig")
    except OSError as refused:
        raise VendoringRefusedError((f"{path.name}: {refused.strerror}",)) from refused
    except UnicodeDecodeError as refused:
        raise VendoringRefusedError((f"{path.name}: is not UTF-8",)) from refused


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """First line's number and content, lines joined at a backslash, comments left out."""
    pending, begin = "", 0
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        line = _COMMENT.sub("", raw).strip()
        begin = begin if pending else number
        pending = f"{pending} {line}".strip()
        if pending.endswith("\\"):
            pending = pending[:-1].rstrip() or " "
            continue
        if pending.strip():
            yield begin, pending.strip()
        pending = ""


def _requirement(line: str) -> Requirement | str:
    """The requirement of a line, or its problem."""
    pin, *options = re.split(r"\s+(?=--)", line)
    if line.startswith("-"):
        return f"option {line.split(maxsplit=1)[0]!r}: only packages are expected here"
    if ";" in pin:
        return "an environment marker: the sandbox is the same everywhere, pin without it"
    match = _PIN.fullmatch(pin)
    if match is None:
        return f"{pin!r}: expected name==version --hash=sha256:HEX"
    digests = set()
    for option in options:
        digest = _HASH.fullmatch(option.strip())
        if digest is None:
            return f"{option.strip()[:80]!r}: expected --hash=sha256: and 64 hex digits"
        digests.add(digest[1].lower())
    if not digests:
        return f"{pin} has no --hash=sha256:HEX"
    return Requirement(
        name=canonicalize_name(match[1]), version=match[2], digests=frozenset(digests)
    )
