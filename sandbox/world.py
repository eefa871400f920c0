"""The two worlds, and the check of a component against its world."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from sandbox.errors import WorldMismatchError
from sandbox.host_api import HOST_API

PACKAGE = "cordbox:guest"
VERSION = "1.0.0"


class World(StrEnum):
    """The worlds of the WIT package `cordbox:guest`."""

    CONTRACT = "contract"
    WORKFLOW = "workflow"


HOST_FUNCTION = "func(request: string) -> result<string, string>"
"""The type of every imported function."""

DESCRIBE = "func() -> string"
EXPORTS: Mapping[World, Mapping[str, str]] = MappingProxyType(
    {
        World.CONTRACT: {
            "verify": "func(transaction: string) -> result<_, string>",
            "describe": DESCRIBE,
        },
        World.WORKFLOW: {
            "run": "func(start: string) -> result<string, string>",
            "describe": DESCRIBE,
        },
    }
)
"""World -> export -> type."""

PYTHON_LOAD = "func(last: bool, part: string) -> string"
_PYTHON_INSTANCE = "exports"


def _is_python_extra(name: str, found: str) -> bool:
    """Whether a pinned Python runtime exports this in addition to its world.

    `load` belongs to the runtime's loader, the instance `exports` to componentize-py. The host
    calls neither.
    """
    if name == "load":
        return found == PYTHON_LOAD
    return name.partition("#")[0] == _PYTHON_INSTANCE


def import_name(interface: str) -> str:
    """The name under which a component imports `interface`."""
    return f"{PACKAGE}/{interface}@{VERSION}"


def expected_imports(world: World) -> Mapping[str, str]:
    """Import (`interface#function`) -> type, written as `sandbox.inspect` writes types."""
    if world is World.CONTRACT:
        return {}
    return {
        f"{import_name(interface)}#{function}": HOST_FUNCTION
        for interface, functions in HOST_API.items()
        for function in functions
    }


def check_world(
    world: World, *, imports: Mapping[str, str], exports: Mapping[str, str], python: bool
) -> None:
    """Refuse a component whose imports or exports are not those of `world`.

    A component may import a subset of its world; it must export exactly the world's exports.

    Args:
        world: what the component claims to be.
        imports: import -> type as text, members of an instance as `instance#member`.
        exports: the same for exports.
        python: the component is a pinned Python runtime.

    Raises:
        WorldMismatchError: names the import or export at fault, expected and found.
    """
    offered = expected_imports(world)
    for name, found in imports.items():
        if name not in offered:
            what = f"only functions of {PACKAGE}@{VERSION}" if offered else "nothing"
            raise WorldMismatchError(f"import {name!r}: world {world} imports {what}")
        if found != offered[name]:
            raise WorldMismatchError(f"import {name!r}: expected {offered[name]}, found {found}")
    wanted = EXPORTS[world]
    for name, found in exports.items():
        if python and _is_python_extra(name, found):
            continue
        if name not in wanted:
            names = ", ".join(sorted(wanted))
            raise WorldMismatchError(f"export {name!r}: world {world} exports only {names}")
        if found != wanted[name]:
            raise WorldMismatchError(f"export {name!r}: expected {wanted[name]}, found {found}")
    for name in sorted(wanted.keys() - exports.keys()):
        raise WorldMismatchError(f"export {name!r}: world {world} needs it, the component lacks it")
