"""What a build checks of flows and entities; see `cordapp.checks`."""

from collections.abc import Iterator
from typing import Any

from cordapp.call_types import call_types
from cordapp.checks import constructor_problems, method_problems, problem, type_problems
from cordapp.forms import FloatForm, Form, SchemaError
from cordapp.registry import ENTITIES, FLOWS
from cordapp.schema import form_of

_TAKES = {"client-startable": ["request_body"], "responder": ["session"], "sub-flow": []}
_VERSION_MAX = 2**31 - 1


def flow_problems(base: type[Any]) -> Iterator[str]:
    """What is wrong with flows; `base` is the class that all flows derive from."""
    speakers: dict[tuple[str, int, bool], str] = {}
    for name, cls in sorted(FLOWS.items()):
        yield from _one_flow(name, cls)
        for version in cls.__versions__:
            role = (cls.__protocol__, version, cls.__initiating__)
            if speakers.setdefault(role, name) != name:
                what = "initiators" if role[2] else "responders"
                yield problem(
                    f"protocol {role[0]!r} version {version} has two {what}:"
                    f" {speakers[role]} and {name}",
                    cls,
                )
    modules = {cls.__module__ for cls in FLOWS.values()}
    for cls in _below(base):
        module = getattr(cls.call, "__module__", None)  # None of what is no function
        idle = not cls.__subclasses__() and module == base.__module__
        if idle and cls.__module__ in modules:
            yield problem("has no call method, so that it is no flow", cls)


def _below(base: type[Any]) -> Iterator[type[Any]]:
    for cls in base.__subclasses__():
        if hasattr(cls, "call"):
            yield cls
        yield from _below(cls)


def _one_flow(name: str, cls: type[Any]) -> Iterator[str]:
    takes = _TAKES.get(cls.__kind__)
    if takes is None:
        kinds = "ClientStartableFlow, ResponderFlow or SubFlow"
        yield problem(f"derives from Flow itself: use {kinds}", cls)
        return
    yield from method_problems(cls, "call", takes)
    if cls.__kind__ != "sub-flow":
        yield from constructor_problems(cls)
    if cls.__kind__ == "responder" and cls.__protocol__ is None:
        yield problem(f"responder flow {name} needs @initiated_by", cls)
    if cls.__protocol__ is not None:
        yield from _protocol_problems(cls)
    if cls.__kind__ == "client-startable" and callable(cls.call):
        yield from _body_problems(cls)


def _protocol_problems(cls: type[Any]) -> Iterator[str]:
    versions = cls.__versions__
    fits = all(type(v) is int and 1 <= v <= _VERSION_MAX for v in versions)
    if not fits or not versions or len(set(versions)) < len(versions):
        yield problem(f"versions are different whole numbers from 1 on, not {versions!r}", cls)


def _body_problems(cls: type[Any]) -> Iterator[str]:
    try:
        found = call_types(cls)
    except (NameError, TypeError) as exc:
        yield problem(f"a type of call is not known when it runs: {exc}", cls, "call")
        return
    yield from type_problems(found.taken, cls, "call")
    for line in type_problems(found.given, cls, "call"):
        yield line if ".call:" not in line else f"{line} (the result)"


def flow_warnings() -> Iterator[str]:
    """What is odd, or not known, of the types of flows that clients start."""
    for _, cls in sorted(FLOWS.items()):
        if cls.__kind__ == "client-startable":
            yield from (problem(remark, cls, "call") for remark in call_types(cls).remarks)
    yield from _unanswered()


def _unanswered() -> Iterator[str]:
    """Protocols that are misspelt on one side, as it seems: either side lacks the other."""
    sides: dict[bool, dict[tuple[str, int], type[Any]]] = {True: {}, False: {}}
    for _, cls in sorted(FLOWS.items()):
        if cls.__protocol__ is not None:
            sides[cls.__initiating__] |= {(cls.__protocol__, v): cls for v in cls.__versions__}
    asked, answered = sides[True], sides[False]
    lone = [each for each in answered if each[0] not in {name for name, _ in asked}]
    for (name, version), cls in asked.items():
        others = [v for protocol, v in answered if protocol == name]
        if not others and lone:
            text = f"no responder here speaks {name!r}, and no initiator {lone[0][0]!r}"
            yield problem(f"{text}: both sides name the same protocol", cls)
        elif others and not {v for protocol, v in asked if protocol == name} & set(others):
            yield problem(f"no responder here speaks version {version} of {name!r}", cls)


def entity_problems() -> Iterator[str]:
    """What is wrong with entities."""
    for _, cls in sorted(ENTITIES.items()):
        if "__dataclass_fields__" not in vars(cls):
            yield problem("an entity is a dataclass: write @dataclass(frozen=True) below", cls)
            continue
        yield from type_problems(cls, cls)
        for name in cls.__entity_key__:
            yield from _key_problems(cls, name)


def _key_problems(cls: type[Any], name: str) -> Iterator[str]:
    if name not in cls.__dataclass_fields__:
        yield problem(f"the key {name!r} is no field of it", cls)
        return
    try:
        member = next(m for m in form_of(cls).members if m.name == name)  # type: ignore[attr-defined]
        form: Form = form_of(member.hint)
    except (SchemaError, StopIteration):
        return
    kinds = form.kinds - {"string", "number", "boolean"}
    if kinds or isinstance(form.base, FloatForm):
        yield problem(f"a key is a text or a whole number, not {form.tag}", cls, name)
