"""What a build checks of declarations: each mistake in a line of its own, with file and line.

Everything here would fail, or silently do nothing, when a flow or contract runs.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

from cordapp.contracts import Contract, PublicKey, contract_of
from cordapp.forms import Form, SchemaError
from cordapp.places import field_naming, place_of
from cordapp.records import Member, RecordForm
from cordapp.registry import COMMANDS, CONTRACTS, STATES, name_of
from cordapp.schema import form_of, schema_of
from cordapp.texts import TextForm


def contract_problems() -> Iterator[str]:
    """What is wrong with states, commands and contracts."""
    for _, cls in declared_states():
        yield from _state_problems(cls)
    for _, cls in sorted(COMMANDS.items()):
        yield from type_problems(cls, cls)
    for _, cls in sorted(CONTRACTS.items()):
        yield from _contract_problems(cls)


def declared_states() -> list[tuple[str, type[Any]]]:
    """States by name: those of a contract, and dataclasses that lack one and are no one's base."""
    return [
        (name, cls)
        for name, cls in sorted(STATES.items())
        if contract_of(cls) is not None
        or ("__dataclass_fields__" in cls.__dict__ and not cls.__subclasses__())
    ]


def problem(text: str, cls: type[Any], member: str | None = None) -> str:
    """One line: `file:line: Class.member: text`."""
    name = cls.__qualname__ if member is None else f"{cls.__qualname__}.{member}"
    return f"{place_of(cls, member)}: {name}: {text}"


def type_problems(hint: Any, cls: type[Any], member: str | None = None) -> Iterator[str]:
    """Every part of a type that has no JSON form.

    Args:
        hint: the type.
        cls: what declares it, named where no class within the type is to blame.
        member: the field or method that declares it.
    """
    found = list(dict.fromkeys(_without_form(hint)))
    if not found:
        try:
            schema_of(hint)
        except SchemaError as exc:
            found = [(exc.owner, exc.field, exc.problem)]
    for owner, field, text in found:
        yield problem(text, owner, field) if owner is not None else problem(text, cls, member)


def _without_form(hint: Any) -> Iterator[tuple[type | None, str | None, str]]:
    waiting: list[Callable[[], Form]] = [lambda: form_of(hint)]
    seen: set[Form] = set()
    while waiting:
        try:
            form = waiting.pop()()
            if form not in seen:
                seen.add(form)
                waiting += _parts(form)
        except SchemaError as exc:
            field = exc.field
            if isinstance(exc.__cause__, NameError) and exc.owner is not None and field is None:
                field = field_naming(exc.owner, str(exc.__cause__.name))
            yield exc.owner, field, exc.problem


def _parts(form: Form) -> list[Callable[[], Form]]:
    if isinstance(form, RecordForm):
        return [partial(_of_member, form, member) for member in reversed(form.members)]
    single = (getattr(form, name, None) for name in ("inner", "key", "item"))
    inner = [part for part in single if isinstance(part, Form)]
    inner += [*getattr(form, "items", ()), *getattr(form, "arms", ())]
    return [partial(_itself, part) for part in inner]


def _of_member(form: RecordForm, member: Member) -> Form:
    found = form.form(member)
    form.check_default(member)
    return found


def _itself(form: Form) -> Form:
    return form


def method_problems(cls: type[Any], name: str, takes: Sequence[str]) -> Iterator[str]:
    """What keeps a method from being called with these arguments, and its work from being done."""
    raw = inspect.getattr_static(cls, name)
    function = getattr(raw, "__func__", raw)
    if not callable(function):
        yield problem("is no method", cls, name)
        return
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield problem("is async, and nothing awaits it: write a plain def", cls, name)
    elif inspect.isgeneratorfunction(function):
        yield problem("has a yield, so that calling it runs nothing", cls, name)
    own = [] if isinstance(raw, staticmethod) else ["self"]
    if not _takes(function, len(own) + len(takes)):
        wanted = ", ".join([*own, *takes])
        yield problem(f"is called with other arguments: write def {name}({wanted})", cls, name)


def constructor_problems(cls: type[Any]) -> Iterator[str]:
    """What keeps a class from being made without arguments."""
    if not _takes(cls, 0):
        yield problem("needs a constructor without arguments", cls, "__init__")


def _takes(function: Any, count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:
        return True  # a builtin that tells nothing
    return True


def _contract_problems(cls: type[Any]) -> Iterator[str]:
    if cls.verify is not Contract.verify:
        yield from method_problems(cls, "verify", ["transaction"])
        if not inspect.isabstract(cls):
            yield from constructor_problems(cls)
        yield from method_problems(cls, "is_visible", ["state", "checker"])
    elif any(contract_of(state) is cls for _, state in declared_states()):
        yield problem("has no verify method, and states belong to it", cls)


def _state_problems(cls: Any) -> Iterator[str]:
    contract: Any = cls.__contract__
    if contract is None:
        yield f"{place_of(cls)}: state {name_of(cls)} belongs to no contract: add @belongs_to"
    elif not (isinstance(contract, type) and issubclass(contract, Contract)):
        yield problem(f"@belongs_to names {contract!r}, which is no Contract", cls)
    yield from type_problems(cls, cls)
    yield from participants_problems(cls)


def participants_problems(cls: Any) -> Iterator[str]:
    """What keeps a state from telling its participants."""
    advice = "a state has participants, the public keys of those who store it"
    if "participants" in cls.__dataclass_fields__:
        try:
            member = next(m for m in form_of(cls).members if m.name == "participants")  # type: ignore[attr-defined]
            form = form_of(member.hint)
        except (SchemaError, StopIteration):
            return
        if isinstance(form.base, TextForm) or form.kinds.isdisjoint({"array"}):
            yield problem(f"is no list: {advice}", cls, "participants")
        return
    found = inspect.getattr_static(cls, "participants", None)
    if found is None:
        yield problem(f"{advice}: add a field or a property of this name", cls)
    elif inspect.isfunction(found):
        yield problem(f"is a method, where {advice}: write @property above", cls, "participants")
    elif isinstance(found, (property, cached_property)):
        getter: Any = found.fget if isinstance(found, property) else found.func
        if inspect.iscoroutinefunction(getter) or inspect.isasyncgenfunction(getter):
            yield problem("is async, and nothing awaits it", cls, "participants")
        elif _is_text(inspect.get_annotations(getter).get("return")):
            yield problem(f"is one key: {advice}", cls, "participants")


def _is_text(hint: Any) -> bool:
    return hint in (str, PublicKey) or hint in ("str", "PublicKey")
