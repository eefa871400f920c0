"""Describes the values that a setting accepts. Pure."""

import difflib
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from host.settings.kinds import ADDRESS
from host.settings.secret import EXPECTED, ConfigSecret


def expected(hint: object) -> str:
    """The accepted values of a type with its limits, such as `a whole number from 1 to 256`."""
    kind, metas = _parts(hint)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        choices = [choice for choice in typing.get_args(kind) if choice is not types.NoneType]
        return " or ".join(expected(choice) for choice in choices)
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return f"a list of texts{_each(kind)} (in the environment: separated by commas)"
    if kind is str:
        return _text(metas)
    if kind is int:
        return "a whole number" + _range(metas)
    others = {bool: "true or false", Path: "a path", ConfigSecret: EXPECTED}
    return others.get(typing.cast("Any", kind), "another value")


def refused(name: str, wanted: str, found: object) -> str:
    """The text of an error."""
    return f"{name}: expected {wanted}, found {found!r:.64}"


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the name that was probably meant, or an empty text."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _parts(hint: object) -> tuple[object, tuple[Meta, ...]]:
    if typing.get_origin(hint) is not Annotated:
        return hint, ()
    kind, *metas = typing.get_args(hint)
    return kind, tuple(meta for meta in metas if isinstance(meta, Meta))


def _text(metas: tuple[Meta, ...]) -> str:
    pattern = next((meta.pattern for meta in metas if meta.pattern is not None), None)
    if pattern is None:
        most = next((meta.max_length for meta in metas if meta.max_length is not None), None)
        return "a text" if most is None else f"a text of at most {most} characters"
    if pattern == ADDRESS:
        return "an address and a port, such as 127.0.0.1:8888 or [::1]:8888"
    return f"a text that matches {pattern}"


def _each(kind: object) -> str:
    """What is expected of each text of a list, if it has a pattern."""
    _, metas = _parts(typing.get_args(kind)[0])
    pattern = next((meta.pattern for meta in metas if meta.pattern is not None), None)
    return "" if pattern is None else f", each of which matches {pattern},"


def _range(metas: tuple[Meta, ...]) -> str:
    least = next((meta.ge for meta in metas if meta.ge is not None), None)
    most = next((meta.le for meta in metas if meta.le is not None), None)
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return "" if least is None else f" of at least {least}"
