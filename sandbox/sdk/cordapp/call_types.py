"""The types of what `call` of a flow takes and gives.

Annotations of `call` come first; where one is missing, the type arguments of the flow's base class
count: of `class Ask(ClientStartableFlow[Request, int])`, `call` takes a Request and gives an int.
"""

import inspect
import sys
from functools import cache
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints


class CallTypes(NamedTuple):
    """Type expressions; Any where the type may be anything."""

    taken: Any
    given: Any
    remarks: tuple[str, ...] = ()
    """What a developer may not have meant."""


def call_types(cls: type[Any]) -> CallTypes:
    """The types of a flow's `call`.

    Raises:
        NameError, TypeError: an annotation names what is not known when the flow runs.
    """
    key: Any = cls
    return _found(key)


@cache
def _found(cls: Any) -> CallTypes:
    owner = next(each for each in cls.__mro__ if "call" in vars(each))
    known = _known(cls, owner)
    hints = {
        name: _filled(hint, known)
        for name, hint in get_type_hints(owner.call, include_extras=True).items()
    }
    base = _base(cls)
    arguments = () if base is None else tuple(_resolved(a, cls) for a in _arguments(cls, base))
    taken, given = arguments if len(arguments) == 2 else (None, arguments[0] if arguments else None)
    remarks = list[str]()
    taken = _chosen(hints.get(_first_parameter(owner)), taken, "takes", remarks)
    given = _chosen(hints.get("return"), given, "gives", remarks)
    is_base = getattr(cls, "__parameters__", ())  # whose subclasses say the types
    return CallTypes(taken, given, () if is_base else tuple(remarks))


def _chosen(annotated: Any, declared: Any, what: str, remarks: list[str]) -> Any:
    one, other = (_is_known(hint) for hint in (annotated, declared))
    if one and other and Any not in (annotated, declared) and annotated != declared:
        remarks.append(
            f"{what} {_name(annotated)}, and the class says {_name(declared)}:"
            " the annotation counts"
        )
    if not one and not other:
        remarks.append(f"{what} any JSON value: annotate it, or give the base class its types")
    return annotated if one else declared if other else Any


def _is_known(hint: Any) -> bool:
    is_open = isinstance(hint, TypeVar) or (get_args(hint) and getattr(hint, "__parameters__", ()))
    return hint is not None and not is_open


def _name(hint: Any) -> str:
    return hint.__qualname__ if isinstance(hint, type) and not get_args(hint) else str(hint)


def _first_parameter(owner: type[Any]) -> str:
    """The name of the first argument after `self`."""
    try:
        names = list(inspect.signature(vars(owner)["call"]).parameters)
    except (TypeError, ValueError):  # no function, which the build refuses
        return ""
    skipped = 0 if isinstance(vars(owner)["call"], staticmethod) else 1
    return next(iter(names[skipped:]), "")


def _base(cls: type[Any]) -> type[Any] | None:
    """The class of the SDK whose parameters are the types of `call`."""
    own = (each for each in cls.__mro__ if each.__module__ == "cordapp.flows")
    return next((each for each in own if getattr(each, "__parameters__", ())), None)


def _known(cls: type[Any], owner: type[Any]) -> dict[Any, Any]:
    """What stands for each type parameter of `owner`, of which `cls` is or derives."""
    arguments = (_resolved(each, cls) for each in _arguments(cls, owner))
    return dict(zip(getattr(owner, "__parameters__", ()), arguments, strict=False))


def _arguments(cls: Any, base: type[Any]) -> tuple[Any, ...]:
    """What `cls`, a class or one with its parameters, gives for the parameters of `base`."""
    origin, arguments = get_origin(cls) or cls, get_args(cls)
    if origin is base:
        return arguments
    known = dict(zip(getattr(origin, "__parameters__", ()), arguments, strict=False))
    for parent in vars(origin).get("__orig_bases__", origin.__bases__):
        above = get_origin(parent) or parent
        if isinstance(above, type) and issubclass(above, base):
            return tuple(_filled(each, known) for each in _arguments(parent, base))
    return ()


def _filled(hint: Any, known: dict[Any, Any]) -> Any:
    """A type expression with what is known of its type parameters."""
    if isinstance(hint, TypeVar):
        return known.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ()) if get_args(hint) else ()
    if not any(each in known for each in parameters):
        return hint
    return hint[tuple(known.get(each, each) for each in parameters)]


def _resolved(hint: Any, cls: type[Any]) -> Any:
    """A type argument whose names in quotes are looked up in the module of `cls`."""

    def holder() -> None:
        pass

    holder.__annotations__ = {"hint": hint}
    names = vars(sys.modules[cls.__module__])
    return get_type_hints(holder, globalns=names, include_extras=True)["hint"]
