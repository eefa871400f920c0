"""What changed between two audited packages, and which changes let the code do more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host.domain.json import JsonObject
from host.domain.printable import printable
from host.guests.walls import Door
from host.tools.audit.model import Audit, document

_KEYS = {
    "components": ("name",),
    "runtimes": ("digest",),
    "imports": ("interface", "function"),
    "limits": ("name",),
    "signers": ("certificate",),
}
"""Array -> fields that identify one of its objects, so that order and position do not matter."""

_GRANTS = ("capabilities", "leaves", "features", "flows")
"""Lists of a component in which an added entry means that the code may do, or uses, more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One fact that differs; None if a side does not have the fact.

    Attributes:
        path: its location, such as `components[iou].limits[fuelMax].effective`.
        widens: the new code may do more than the old, or has other signers.
    """

    path: str
    old: Any
    new: Any
    widens: bool


def diff(old: Audit, new: Audit) -> tuple[Change, ...]:
    """The facts that differ, in order of their paths."""
    before, after = _facts(old), _facts(new)
    return tuple(
        Change(
            path=path,
            old=before.get(path),
            new=after.get(path),
            widens=_widens(path, before.get(path), after.get(path)),
        )
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    )


def diff_document(old: Audit, new: Audit, changes: tuple[Change, ...]) -> JsonObject:
    """The changes as JSON."""
    return {
        "diffVersion": 1,
        "old": {"file": old.file, "fileChecksum": old.file_checksum},
        "new": {"file": new.file, "fileChecksum": new.file_checksum},
        "widens": any(change.widens for change in changes),
        "changes": [
            {"path": c.path, "old": c.old, "new": c.new, "widens": c.widens} for c in changes
        ],
    }


def diff_text(old: Audit, new: Audit, changes: tuple[Change, ...]) -> str:
    """The changes as lines: `-` and `+`, and `!` where the code may do more."""
    lines = [f"--- {old.file}", f"+++ {new.file}"]
    for change in changes:
        lines.append(f"{'!' if change.widens else ' '} {change.path}")
        lines += [f"  - {change.old}"] if change.old is not None else []
        lines += [f"  + {change.new}"] if change.new is not None else []
    widening = sum(change.widens for change in changes)
    lines.append(f"{len(changes)} changes, {widening} of them let the code do more")
    return "\n".join(printable(line) for line in lines) + "\n"


def _facts(audit: Audit) -> Mapping[str, Any]:
    """Path -> value of every fact; the file's own name is not a fact."""
    flat: dict[str, Any] = {}
    values = {k: v for k, v in document(audit).items() if k not in {"file", "auditVersion"}}
    _flatten("", "", values, flat)
    return flat


def _flatten(path: str, field: str, value: Any, flat: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _flatten(f"{path}.{key}" if path else key, key, item, flat)
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        flat |= {f"{path}[{item}]": "present" for item in value}
    elif isinstance(value, list) and field in _KEYS:
        for item in value:
            name = ".".join(str(item[key]) for key in _KEYS[field])
            _flatten(f"{path}[{name}]", "", item, flat)
    elif value is not None:
        flat[path] = value


def _widens(path: str, old: Any, new: Any) -> bool:
    parts = path.replace("]", "").replace("[", ".").split(".")
    field = parts[-1]
    if path == "trust":
        return bool(old == "trusted")
    if path.startswith("signers[") and field == "certificate":
        return new is not None
    if field == "door":
        return new in {Door.OPEN, Door.ALWAYS} and old != new
    if field == "effective":
        return isinstance(new, int) and (not isinstance(old, int) or new > old)
    if field == "form":
        return bool(old != new)
    listed = any(f".{name}[" in path for name in _GRANTS)
    return listed and old is None and new is not None
