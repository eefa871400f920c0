"""The modules that the check of messages follows from a CorDapp's own."""

import sys
from types import ModuleType

import attr  # noqa: F401  # looked at
import pytest
import rfc8785  # noqa: F401  # looked at

from cordapp import message_checks


def test_a_method_of_a_built_in_type_that_a_package_keeps_belongs_to_no_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As attrs keeps `object.__setattr__`, which has no `__module__`."""
    module = ModuleType("keeps_a_slot")
    module.kept = object.__setattr__  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keeps_a_slot", module)
    monkeypatch.setattr(message_checks, "tree_of", lambda name: name == "keeps_a_slot" or None)
    monkeypatch.setattr(message_checks, "_mentions_messages", lambda name: name == "keeps_a_slot")
    assert message_checks._reached(["keeps_a_slot"]) == ["keeps_a_slot"]


def test_modules_that_send_and_receive_nothing_are_not_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A CorDapp may bring large packages, and the guest that parses them has a limit."""
    parsed: list[str] = []
    monkeypatch.setattr(message_checks, "tree_of", parsed.append)
    assert message_checks._reached(["attr", "rfc8785"]) == []
    assert parsed == []
