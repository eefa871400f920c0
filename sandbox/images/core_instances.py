"""What a component says about its core instances: what each is made of, and who uses it.

Functions raise IndexError where the bytes are cut short.
Source: component model, Binary.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sandbox.binary import (
    CORE_MODULE,
    make_number,
    make_vector,
    read_number,
    sections_of,
    skip_number,
)
from sandbox.errors import ComponentRefusedError
from sandbox.images.core_module import (
    FUNCTIONS,
    GLOBALS,
    MEMORIES,
    TABLES,
    items_of,
    make_text,
    read_text,
)

CORE_INSTANCE, ALIAS, CANON = 2, 6, 8
"""Sections of a component."""

_INSTANTIATED, _EXPORTS_ALONE, _OF_AN_INSTANCE = 0x00, 0x01, 0x12
_CORE_SORT, _CORE_EXPORT = 0x00, 0x01
_OUTER = 0x02
_LIFT, _LOWER = 0x00, 0x01
_STRINGS = range(3)
_MEMORY, _REALLOC, _AFTER_RETURN = 0x03, 0x04, 0x05


class Place(NamedTuple):
    """An export of a core instance."""

    instance: int
    name: bytes


class Instantiation(NamedTuple):
    """An instance of a module; arguments are instances by the name under which it imports them."""

    module: int
    arguments: Mapping[bytes, int]

    def encoded(self) -> bytes:
        """The bytes of the instance."""
        arguments = [
            make_text(name) + bytes((_OF_AN_INSTANCE,)) + make_number(instance)
            for name, instance in self.arguments.items()
        ]
        return bytes((_INSTANTIATED,)) + make_number(self.module) + make_vector(arguments)


class Exports(NamedTuple):
    """An instance of exports alone: kind and index of each item by its name."""

    items: Mapping[bytes, tuple[int, int]]

    def encoded(self) -> bytes:
        """The bytes of the instance."""
        items = [
            make_text(name) + bytes((kind,)) + make_number(index)
            for name, (kind, index) in self.items.items()
        ]
        return bytes((_EXPORTS_ALONE,)) + make_vector(items)


class Alias(NamedTuple):
    """An item of an index space that is an export of a core instance."""

    kind: int
    place: Place

    def encoded(self) -> bytes:
        """The bytes of the alias."""
        start = bytes((_CORE_SORT, self.kind, _CORE_EXPORT))
        return start + make_number(self.place.instance) + make_text(self.place.name)


@dataclass(slots=True)
class Instances:
    """The core instances of a component.

    Attributes:
        modules: the bytes of each core module.
        instances: each instance, in order.
        items: for each kind, what each item of its index space is: an export of an instance, or
            None for a host function that was lowered.
        used: kind and index of what the component's own functions use.
    """

    modules: list[bytes] = field(default_factory=list)
    instances: list[Instantiation | Exports] = field(default_factory=list)
    items: Mapping[int, list[Place | None]] = field(
        default_factory=lambda: {kind: [] for kind in (FUNCTIONS, TABLES, MEMORIES, GLOBALS)}
    )
    used: set[tuple[int, int]] = field(default_factory=set)

    @staticmethod
    def read(component: bytes) -> "Instances":
        """Those of a component.

        Raises:
            ComponentRefusedError: it has another form than linkers give to a runtime.
        """
        found = Instances()
        for kind, body in sections_of(component):
            if kind == CORE_MODULE:
                found.modules.append(body)
            elif kind == CORE_INSTANCE:
                found.instances += items_of(body, read_instance)
            elif kind == ALIAS:
                for alias in items_of(body, read_alias):
                    if isinstance(alias, Alias):
                        found.items[alias.kind].append(alias.place)
            elif kind == CANON:
                for is_lowered, uses in items_of(body, _read_canon):
                    if is_lowered:
                        found.items[FUNCTIONS].append(None)
                    found.used.update(uses)
        return found

    def origin(self, place: Place) -> Place | None:
        """Which export of an instantiated module this is; None for a host function."""
        instance = self.instances[place.instance]
        if isinstance(instance, Instantiation):
            return place
        kind, index = instance.items[place.name]
        found = self.items[kind][index]
        return None if found is None else self.origin(found)


def read_instance(section: bytes, position: int) -> tuple[Instantiation | Exports, int]:
    """The core instance at a position of its section, and the position behind it."""
    form = section[position]
    if form == _INSTANTIATED:
        module, position = read_number(section, position + 1)
        arguments: dict[bytes, int] = {}
        count, position = read_number(section, position)
        for _ in range(count):
            name, position = read_text(section, position)
            if section[position] != _OF_AN_INSTANCE:
                raise ComponentRefusedError("runtime: an argument that is no instance")
            arguments[name], position = read_number(section, position + 1)
        return Instantiation(module, arguments), position
    if form != _EXPORTS_ALONE:
        raise ComponentRefusedError("runtime: a core instance of another form")
    items: dict[bytes, tuple[int, int]] = {}
    count, position = read_number(section, position + 1)
    for _ in range(count):
        name, position = read_text(section, position)
        kind = section[position]
        index, position = read_number(section, position + 1)
        items[name] = kind, index
    return Exports(items), position


def read_alias(section: bytes, position: int) -> tuple[Alias | bytes, int]:
    """The alias at a position, and the position behind it; the bytes of one of another kind."""
    start, sort = position, section[position]
    if sort == _CORE_SORT:
        position += 1
    kind, target = section[position], section[position + 1]
    first, position = read_number(section, position + 2)
    if target == _OUTER:
        position = skip_number(section, position)
        return section[start:position], position
    name, position = read_text(section, position)
    if target != _CORE_EXPORT:
        return section[start:position], position
    return Alias(kind, Place(first, name)), position


def _read_canon(section: bytes, position: int) -> tuple[tuple[bool, set[tuple[int, int]]], int]:
    """Whether a function is lowered, and what of the core it uses."""
    form, uses = section[position], set()
    if form not in (_LIFT, _LOWER) or section[position + 1] != 0:
        raise ComponentRefusedError("runtime: a canonical function of another form")
    function, position = read_number(section, position + 2)
    if form == _LIFT:
        uses.add((FUNCTIONS, function))
    count, position = read_number(section, position)
    for _ in range(count):
        option, position = section[position], position + 1
        if option in (_MEMORY, _REALLOC, _AFTER_RETURN):
            index, position = read_number(section, position)
            uses.add((MEMORIES if option == _MEMORY else FUNCTIONS, index))
        elif option not in _STRINGS:
            raise ComponentRefusedError(f"runtime: a canonical option {option:#04x}")
    if form == _LIFT:
        position = skip_number(section, position)
    return (form == _LOWER, uses), position
