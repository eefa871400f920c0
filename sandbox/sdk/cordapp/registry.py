"""What both sides of the SDK share: the classes that a CorDapp declares, and the host's type.

Each base class registers its subclasses here, by name.
"""

from collections.abc import Callable
from typing import Any

CONTRACTS: dict[str, type[Any]] = {}
STATES: dict[str, type[Any]] = {}
COMMANDS: dict[str, type[Any]] = {}
FLOWS: dict[str, type[Any]] = {}
ENTITIES: dict[str, type[Any]] = {}

FLOW_SIDE: dict[str, Callable[..., Any]] = {}
"""What `cordapp.flows` adds to the guest's exports; empty in a contract's bundle."""


Host = Callable[[str, str, str], str]
"""Calls a host function: interface, function, request; answers `ok` or raises HostCallError."""


class HostCallError(Exception):
    """The host answered `err`; `payload` is its JSON text."""

    def __init__(self, payload: str) -> None:
        super().__init__(payload)
        self.payload = payload


class DeclarationError(Exception):
    """A class of the CorDapp is declared in a way that cannot work."""


def name_of(cls: type[Any]) -> str:
    """The name by which host and peers know a class: module and qualified name."""
    return f"{cls.__module__}.{cls.__qualname__}"


def register(kind: dict[str, type[Any]], cls: type[Any]) -> None:
    """Add a CorDapp's class; the SDK's own classes are left out."""
    if cls.__module__.partition(".")[0] != "cordapp":
        kind[name_of(cls)] = cls
