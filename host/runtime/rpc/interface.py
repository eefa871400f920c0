"""The methods that may be called, derived from the annotations of a port."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec

from host.domain.json import JsonObject, JsonValue
from host.domain.workers import WorkerKind

Port_co = TypeVar("Port_co", covariant=True)

_ANY_JSON: Mapping[object, object] = {JsonObject: dict[str, Any]}


class Method:
    """One method: its arguments and its result as JSON.

    Attributes:
        name: the method's name.
        is_repeatable: whether a call whose connection broke may be sent again.
    """

    def __init__(self, interface: str, function: Callable[..., object], *, once: bool) -> None:
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())[1:]
        self.name = function.__name__
        self.is_repeatable = not once
        self._signature = signature.replace(parameters=parameters)
        self._names = tuple(parameter.name for parameter in parameters)
        request = msgspec.defstruct(
            f"{interface}.{self.name}",
            [(parameter.name, _wire_type(parameter.annotation)) for parameter in parameters],
            array_like=True,
            forbid_unknown_fields=True,
            frozen=True,
        )
        self._request = request
        self._decoder = msgspec.json.Decoder(request)
        self._result = msgspec.json.Decoder(_wire_type(signature.return_annotation))

    def encode(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bytes:
        """The arguments of a call.

        Raises:
            TypeError: they do not fit the method's parameters.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return msgspec.json.encode(self._request(**bound.arguments))

    def decode(self, arguments: bytes) -> Mapping[str, object]:
        """The arguments by name.

        Raises:
            msgspec.ValidationError, msgspec.DecodeError: they do not fit the method's parameters.
        """
        request = self._decoder.decode(arguments)
        return {name: getattr(request, name) for name in self._names}

    def decode_result(self, result: bytes) -> object:
        return self._result.decode(result)


class Interface(Generic[Port_co]):
    """A service that workers of one kind offer to the others.

    Attributes:
        name: its name in frames.
        kind: the workers that serve it; None: all of them.
        methods: the methods that may be called, by name.
    """

    def __init__(
        self,
        name: str,
        port: type[Port_co],
        kind: WorkerKind | None,
        methods: Sequence[str],
        *,
        once: Sequence[str] = (),
    ) -> None:
        """Derive the interface.

        Args:
            name: its name in frames.
            port: the class or Protocol whose annotations define the types.
            kind: the workers that serve it; None: all of them.
            methods: the methods that may be called.
            once: those of them that must not be sent again after a broken connection.
        """
        self.name = name
        self.kind = kind
        self.methods = {
            method: Method(name, getattr(port, method), once=method in once) for method in methods
        }


def _wire_type(annotation: object) -> object:
    """`annotation` with any JSON in place of the recursive alias, which decoders do not support."""
    if annotation == JsonValue:
        return Any
    if annotation in (None, inspect.Signature.empty):
        return None
    if annotation in _ANY_JSON:
        return _ANY_JSON[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    converted = tuple(_wire_type(argument) for argument in arguments)
    if origin is None or converted == arguments:
        return annotation
    # The type of `X | Y` cannot be subscribed.
    return reduce(or_, converted) if origin is UnionType else origin[converted]
