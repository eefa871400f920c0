"""A runtime whose core modules are one.

A runtime consists of the modules of its libraries, which the component instantiates one after the
other and links by exports and imports. With so many, an instance of a runtime costs more than all
else of a run: the engine writes each function of each library into the table that they share, since
it leaves entries to their first use only for a table of the same module.

So the modules are joined into one, before the runtime is compiled:
- imports become what they are linked to: calls between libraries are calls within the module, and
  imported constants are constants;
- instances that import host functions stay as they are. These are what fills the table of the
  module `shim`, by which libraries call the host;
- the component exports the same functions, from the joined module.

Neither the content of the memory nor the number of instructions changes, so images, results and
fuel are the same as without. Nothing of a runtime is optional here: what has another form than
linkers of runtimes give it is refused.
Source: component model, Binary.md, Linking.md; WebAssembly core specification 4.5.4.
"""

from itertools import count

from sandbox.binary import (
    CORE_MODULE,
    CUSTOM,
    HEADER_BYTES,
    make_section,
    make_vector,
    sections_of,
)
from sandbox.errors import ComponentRefusedError
from sandbox.images.core_instances import (
    ALIAS,
    CORE_INSTANCE,
    Alias,
    Exports,
    Instances,
    Instantiation,
    Place,
    read_alias,
    read_instance,
)
from sandbox.images.core_module import (
    FUNCTIONS,
    GLOBALS,
    MEMORIES,
    PREAMBLE,
    TABLES,
    CoreModule,
    Global,
    Segment,
    constant_of,
    items_of,
    read_module,
)
from sandbox.images.renumbering import Indices, renumbered

_KINDS = (FUNCTIONS, TABLES, MEMORIES, GLOBALS)


def join_modules(component: bytes) -> bytes:
    """The component with one module instead of those that import nothing but each other.

    Raises:
        ComponentRefusedError: it has another form than linkers give to a runtime.
    """
    try:
        instances = Instances.read(component)
        joined = _Joined(instances)
        return _Component(instances, joined).rewritten(component)
    except (IndexError, KeyError) as exc:
        raise ComponentRefusedError("runtime: its modules cannot be joined") from exc


class _Joined:
    """The joined module.

    Attributes:
        module: without exports at first.
        members: the instances whose modules it consists of, in order.
    """

    def __init__(self, instances: Instances) -> None:
        self.module = CoreModule()
        self.members: list[int] = []
        self._instances = instances
        self._types: dict[bytes, int] = {}
        self._exports: dict[int, dict[bytes, tuple[int, int]]] = {}
        """Of each member: kind and index in the joined module of what it exports."""
        for number, instance in enumerate(instances.instances):
            if isinstance(instance, Instantiation):
                self._consider(number, instance)
        self.module.types = list(self._types)

    def find(self, place: Place) -> tuple[int, int] | None:
        """Kind and index of what an instance exports; None if it belongs to no member."""
        origin = self._instances.origin(place)
        if origin is None or origin.instance not in self._exports:
            return None
        return self._exports[origin.instance][origin.name]

    def export(self, kind: int, index: int) -> bytes:
        """Export an item; returns the name."""
        name = f"{kind}:{index}".encode()
        self.module.exports[name] = kind, index
        return name

    def _consider(self, number: int, instance: Instantiation) -> None:
        """Add what an instance consists of, if it imports nothing but items of members."""
        part = read_module(self._instances.modules[instance.module])
        found: dict[int, list[int]] = {kind: [] for kind in _KINDS}
        for each in part.imports:
            item = self.find(Place(instance.arguments[each.module], each.name))
            if item is None:
                return
            if item[0] != each.kind:
                raise ComponentRefusedError(f"runtime: {each.name!r} is linked to another kind")
            found[each.kind].append(item[1])
        self.members.append(number)
        self._add(part, found)
        self._exports[number] = {
            name: (kind, found[kind][index]) for name, (kind, index) in part.exports.items()
        }

    def _add(self, part: CoreModule, found: dict[int, list[int]]) -> None:
        """Add a module; `found`, the indices of its imports by kind, gets those of its own items.

        Its own items follow one another in each index space of the joined module.
        """
        whole = self.module
        for kind, own, all_own in (
            (FUNCTIONS, part.functions, whole.functions),
            (TABLES, part.tables, whole.tables),
            (MEMORIES, part.memories, whole.memories),
            (GLOBALS, part.globals, whole.globals),
        ):
            found[kind] += range(len(all_own), len(all_own) + len(own))
        if found[MEMORIES] not in ([], [0]):
            raise ComponentRefusedError("runtime: more than one memory")
        types = [self._types.setdefault(each, len(self._types)) for each in part.types]
        whole.functions += [types[index] for index in part.functions]
        whole.tables += part.tables
        whole.memories += part.memories
        for each in part.globals:
            whole.globals.append(Global(each.type, self._constant(each.value, found[GLOBALS])))
        for segment in part.segments:
            offset = self._constant(segment.offset, found[GLOBALS])
            functions = [found[FUNCTIONS][index] for index in segment.functions]
            whole.segments.append(Segment(found[TABLES][segment.table], offset, functions))
        indices = Indices(types, found[FUNCTIONS], found[TABLES], found[GLOBALS])
        whole.bodies += [renumbered(body, indices) for body in part.bodies]
        imported = len(part.imported(FUNCTIONS))
        whole.names |= {
            # An import may have another name than the function, which traps are known by.
            found[FUNCTIONS][index]: name
            for index, name in part.names.items()
            if index >= imported
        }

    def _constant(self, expression: bytes, globals_: list[int]) -> bytes:
        """A constant expression, without globals."""
        return constant_of(expression, lambda index: self._value(globals_[index]))

    def _value(self, index: int) -> bytes:
        found = self.module.globals[index]
        if found.type[-1] != 0:
            raise ComponentRefusedError("runtime: a constant expression reads a variable")
        return found.value


class _Component:
    """A component that is rewritten for a joined module.

    The joined module stands where the module of the first member was, and its instance where that
    instance was; the other members' modules are empty, and their instances are gone. Index spaces
    other than that of instances stay as they were: an alias that nothing uses any more becomes one
    of the first item of its kind.
    """

    def __init__(self, instances: Instances, joined: _Joined) -> None:
        self._instances = instances.instances
        self._items = instances.items
        self._joined = joined
        self._members = frozenset(joined.members)
        self._used = set(instances.used)
        self._kept = {joined.members[0]}
        for number, instance in enumerate(self._instances):
            if isinstance(instance, Instantiation) and number not in self._members:
                self._keep(number)
        kept = sorted(self._kept)
        self._numbers = {number: kept.index(number) for number in kept}
        self._aliases = {kind: self._all_aliases(kind) for kind in _KINDS}
        self._module = joined.module.encoded()

    def rewritten(self, component: bytes) -> bytes:
        """The component's bytes. Custom sections are left out: they are notes on indices."""
        modules, numbers = count(), count()
        aliases = {kind: iter(found) for kind, found in self._aliases.items()}
        parts = [component[:HEADER_BYTES]]
        for section, body in sections_of(component):
            if section == CORE_MODULE:
                changed = self._changed_module(next(modules), body)
            elif section == CORE_INSTANCE:
                here = [next(numbers) for _ in items_of(body, read_instance)]
                changed = make_vector([self._changed_instance(i) for i in here if i in self._kept])
            elif section == ALIAS:
                found = items_of(body, read_alias)
                changed = make_vector(
                    [next(aliases[a.kind]) if isinstance(a, Alias) else a for a in found]
                )
            else:
                changed = body
            if section != CUSTOM:
                parts.append(make_section(section, changed))
        return b"".join(parts)

    def _keep(self, number: int) -> None:
        """Keep an instance that is no member, and what it is made of."""
        if number in self._members:
            raise ComponentRefusedError("runtime: an argument that is joined with others")
        if number in self._kept:
            return
        self._kept.add(number)
        instance = self._instances[number]
        if isinstance(instance, Instantiation):
            for argument in instance.arguments.values():
                self._keep(argument)
        else:
            self._used.update(instance.items.values())

    def _all_aliases(self, kind: int) -> list[bytes]:
        """The new aliases of a kind, in order. Lowered functions are none."""
        places = enumerate(self._items[kind])
        return [self._alias(kind, index, place) for index, place in places if place is not None]

    def _alias(self, kind: int, index: int, place: Place) -> bytes:
        item = self._joined.find(place)
        if item is None:
            return Alias(kind, Place(self._numbers[place.instance], place.name)).encoded()
        if (kind, index) not in self._used:
            item = kind, 0
        name = self._joined.export(*item)
        return Alias(kind, Place(self._numbers[self._joined.members[0]], name)).encoded()

    def _changed_module(self, number: int, module: bytes) -> bytes:
        owners = {
            owner
            for owner, instance in enumerate(self._instances)
            if isinstance(instance, Instantiation) and instance.module == number
        }
        if self._joined.members[0] in owners:
            return self._module
        return PREAMBLE if owners <= self._members else module

    def _changed_instance(self, number: int) -> bytes:
        instance = self._instances[number]
        if isinstance(instance, Exports):
            return instance.encoded()
        if number in self._members:
            return Instantiation(instance.module, {}).encoded()
        arguments = {name: self._numbers[each] for name, each in instance.arguments.items()}
        return Instantiation(instance.module, arguments).encoded()
