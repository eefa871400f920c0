"""Wraps a component in another one that exposes only the functions of a world.

Some toolchains leave exports of their own in their components, such as the function that loaded the
program. The facade instantiates the inner component, passes the world's interfaces to it and
exports the world's functions; other exports of the inner component cannot be reached.
"""

from wasmtime import wat2wasm

from sandbox.binary import NESTED_COMPONENT, make_section
from sandbox.host_api import HOST_API
from sandbox.world import EXPORTS, World, import_name

_HOST_FUNCTION = '(func (param "request" string) (result (result string (error string))))'
_EMPTY = b"\x04\x08\0asm\x0d\0\x01\0"
"""The section of a nested component without content."""


def facade(world: World, component: bytes) -> bytes:
    """`component` inside a component that imports and exports exactly what `world` has."""
    interfaces = HOST_API if world is World.WORKFLOW else {}
    imports = "".join(
        f'(import "{import_name(interface)}" (instance ${interface} '
        + "".join(f'(export "{function}" {_HOST_FUNCTION})' for function in functions)
        + "))"
        for interface, functions in interfaces.items()
    )
    given = "".join(f'(with "{import_name(name)}" (instance ${name}))' for name in interfaces)
    exports = "".join(f'(export "{name}" (func $inside "{name}"))' for name in EXPORTS[world])
    text = f"(component {imports} (component) (instance $inside (instantiate 0 {given})) {exports})"
    before, after = bytes(wat2wasm(text)).split(_EMPTY)
    return before + make_section(NESTED_COMPONENT, component) + after
