"""Classes that a CorDapp declares, by name. Each base class registers its subclasses here."""

from collections.abc import Callable
from typing import Any

CONTRACTS: dict[str, type[Any]] = {}
STATES: dict[str, type[Any]] = {}
COMMANDS: dict[str, type[Any]] = {}
FLOWS: dict[str, type[Any]] = {}
ENTITIES: dict[str, type[Any]] = {}

FLOW_SIDE: dict[str, Callable[..., Any]] = {}
"""What `cordapp.flows` adds to the guest's exports; empty in a contract's bundle."""


class DeclarationError(Exception):
    """A class of the CorDapp is declared in a way that cannot work."""


def name_of(cls: type[Any]) -> str:
    """The name by which host and peers know a class: module and qualified name."""
    return f"{cls.__module__}.{cls.__qualname__}"


def register(kind: dict[str, type[Any]], cls: type[Any]) -> None:
    """Add a CorDapp's class; the SDK's own classes are left out."""
    if cls.__module__.partition(".")[0] != "cordapp":
        kind[name_of(cls)] = cls
