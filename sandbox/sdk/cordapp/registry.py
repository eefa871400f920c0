"""What both sides of the SDK share: the classes that a CorDapp declares, and the host's type.

Each base class registers its subclasses here, by name.
"""

from collections.abc import Callable
from typing import Any

CONTRACTS: dict[str, type[Any]] = {}
STATES: dict[str, type[Any]] = {}
COMMANDS: dict[str, type[Any]] = {}
QUERIES: dict[str, type[Any]] = {}
FLOWS: dict[str, type[Any]] = {}
ENTITIES: dict[str, type[Any]] = {}

FLOW_SIDE: dict[str, Callable[..., Any]] = {}
"""What `cordapp.flows` adds to the guest's exports; empty in a contract's bundle."""

CONSENSUAL_STATES: dict[str, type[Any]] = {}

CONSENSUAL_SIDE: dict[str, Callable[..., Any]] = {}
"""What `cordapp.consensual` adds, for CorDapps that import it."""

VAULT_SIDE: dict[str, Callable[..., Any]] = {}
"""What `cordapp.vault` adds, for CorDapps that import it."""


Host = Callable[[str, str, str], str]
"""Calls a host function: interface, function, request; answers `ok` or raises HostCallError."""

_CODE_CHARACTERS_MAX = 100


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


def code_of(exc: BaseException) -> dict[str, str]:
    """`{"code": text}` of an exception that has a code, `reason_code` before `code`; else `{}`."""
    if isinstance(exc, SystemExit):  # its `code` is an exit status
        return {}
    found = (getattr(exc, name, None) for name in ("reason_code", "code"))
    return next(({"code": str(code)} for code in found if _is_code(code)), {})


def _is_code(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _CODE_CHARACTERS_MAX and value.isascii()
