"""The table of host functions against everything that has to agree with it, both ways."""

import ast
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from host.domain.capability_error import CapabilityError
from host.entities import EntityCapability
from host.flow.core import requests
from host.flow.engine.engine_calls import EngineCalls
from host.keys.capabilities import CryptoCapability, SigningCapability
from host.ledger.capability import LedgerCapability
from host.network.membership.capability import MembershipCapability
from host.tools.flows.call_text import _WORDS
from sandbox import host_api_text
from sandbox.host_api import (
    FUNCTIONS,
    HOST_API,
    INTERFACES,
    PRIVILEGED,
    WRITING,
    size,
    stores,
)
from sandbox.host_function import ServedBy, Unit

ROOT = Path(__file__).parents[2]


def test_the_wit_and_the_loader_are_the_tables() -> None:
    for path, current, wanted in host_api_text.texts():
        assert current == wanted, f"python -m sandbox.host_api_text writes {path.name}"


def test_the_wit_and_the_loader_follow_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_api_text, "INTERFACES", INTERFACES[:-1])
    for _, current, wanted in host_api_text.texts():
        assert "external-messaging" in current
        assert "external-messaging" not in wanted
        assert all(name in wanted for name in HOST_API if name != "external-messaging")


def test_the_engine_answers_exactly_what_the_table_gives_it() -> None:
    engine = EngineCalls(Any, Any, Any)
    answered = {f"{interface}.{function}" for interface, function in engine._handlers}
    engines = {f.name for f in FUNCTIONS.values() if f.served_by is ServedBy.ENGINE}
    unjournalled = {f.name for f in FUNCTIONS.values() if not f.journalled}
    assert unjournalled == {"log.write"}, "HostCalls answers the log without a number"
    assert answered == engines - unjournalled


LEDGER_PARTS = (
    "vaults",
    "keys",
    "public_keys",
    "members",
    "cpks",
    "contracts",
    "vault_functions",
)


def capabilities() -> Iterator[Any]:
    yield CryptoCapability()
    yield SigningCapability(None)
    yield MembershipCapability(None)
    yield LedgerCapability(**dict.fromkeys(LEDGER_PARTS))
    yield EntityCapability(None, SimpleNamespace(of=lambda _: {}))


def test_each_capability_answers_exactly_its_functions() -> None:
    served = {f.interface for f in FUNCTIONS.values() if f.served_by is ServedBy.CAPABILITY}
    found = {capability.name: capability for capability in capabilities()}
    assert found.keys() == served
    everything = {function for functions in HOST_API.values() for function in functions}
    for name, capability in found.items():
        answered = {f for f in everything | {"nothing"} if not is_unknown(capability, f)}
        assert answered == set(HOST_API[name])


def is_unknown(capability: Any, function: str) -> bool:
    """Whether the capability says that it has no such function."""
    context = SimpleNamespace(holding=SimpleNamespace(short_hash="A"), cpi=None)
    try:
        capability.call(context, function, {})
    except CapabilityError as refused:
        return "has no function" in refused.message
    except AttributeError:
        return False  # it went on to what this test does not have
    return False


def test_a_function_that_writes_is_a_services_and_audited() -> None:
    assert WRITING <= PRIVILEGED
    assert all(FUNCTIONS[name].served_by is ServedBy.CAPABILITY for name in WRITING)


def test_what_reaches_outside_is_told_by_audits() -> None:
    for interface in INTERFACES:
        reaching = any(f.reaches for f in interface.functions)
        assert reaching == (interface.leaves is not None), interface.name


LARGE: dict[str, tuple[Any, Any]] = {
    "log.write logger": (requests.LogWrite, {"level": "info", "message": ""}),
    "log.write message": (requests.LogWrite, {"level": "info", "logger": "l"}),
    "flow.random bytes": (requests.Random, {}),
    "flow.sleep millis": (requests.Sleep, {}),
    "flow.context key": (requests.ContextPut, {"op": "put", "value": ""}),
    "flow.context value": (requests.ContextPut, {"op": "put", "key": "k"}),
    "flow.sub-flow versions": (requests.SubFlowEnter, {"op": "enter", "flow": "f"}),
    "flow.sub-flow message": (requests.SubFlowFail, {"op": "fail"}),
    "sessions.open counterparty": (requests.SessionOpen, {}),
    "sessions.open timeoutMillis": (requests.SessionOpen, {"counterparty": "c"}),
    "sessions.send messages": (requests.SessionSend, {}),
    "sessions.receive sessions": (requests.SessionReceive, {}),
    "sessions.info session": (requests.SessionInfo, {}),
    "sessions.close sessions": (requests.SessionClose, {}),
    "external-messaging.send channel": (requests.ExternalSend, {"message": ""}),
    "external-messaging.send messageId": (requests.ExternalSend, {"channel": "c", "message": ""}),
    "external-messaging.send message": (requests.ExternalSend, {"channel": "c"}),
}
"""Function and field of each size that the engine checks -> the shape, and its other fields."""
ENTRIES = {"versions": 1, "messages": {"session": "s", "payload": 1}, "sessions": "s"}


def test_every_size_of_the_engine_is_tried() -> None:
    engines = [f for f in FUNCTIONS.values() if f.served_by is ServedBy.ENGINE]
    assert LARGE.keys() == {f"{f.name} {field}" for f in engines for field in f.sizes}


@pytest.mark.parametrize("case", LARGE)
def test_the_engine_takes_a_field_of_its_size_and_refuses_a_larger_one(case: str) -> None:
    name, _, field = case.partition(" ")
    shape, others = LARGE[case]

    def request(most: int) -> str:
        match FUNCTIONS[name].sizes[field][1]:
            case Unit.CHARACTERS:
                value: Any = "x" * most
            case Unit.ENTRIES:
                value = [ENTRIES[field]] * most
            case _:
                value = most
        return json.dumps({**others, field: value})

    most = size(name, field)
    requests.parse(request(most), shape)
    with pytest.raises(CapabilityError):
        requests.parse(request(most + 1), shape)


def test_flows_of_the_sdk_call_every_function_and_no_other() -> None:
    called = set()
    for path in (ROOT / "sandbox" / "sdk" / "cordapp").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                called |= {
                    f"{interface}.{function}"
                    for interface, function in pairwise(texts)
                    if interface in HOST_API
                }
    assert called == FUNCTIONS.keys()


def test_tools_name_no_function_that_does_not_exist() -> None:
    assert _WORDS.keys() <= FUNCTIONS.keys()


def page(name: str) -> str:
    return (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")


def test_the_reference_describes_every_function_and_no_other() -> None:
    text, described = page("host-api.md"), []
    for name in HOST_API:
        section = text.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
        rows = section.partition("| function | request | ok |\n|---|---|---|\n")[2]
        table = rows.partition("\n\n")[0]
        described += [
            f"{name}.{row}" for row in re.findall(r"^\| `([-a-z]+)` \|", table, re.MULTILINE)
        ]
    assert sorted(set(described)) == sorted(FUNCTIONS)
    assert f"the {len(FUNCTIONS)} functions below" in text


def test_the_page_of_the_audit_log_names_every_audited_call_and_no_other() -> None:
    table = page("audit-log.md").partition("| call | why |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([-a-z]+\.[-a-z]+)`", table)) == PRIVILEGED


def test_a_new_function_is_written_by_hand_in_at_most_five_places() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("### Adding a host function\n")[2].partition("\n### ")[0]
    places = re.findall(r"^\d\. ((?:.|\n   )+)", section, re.MULTILINE)
    assert 0 < len(places) <= 5
    for path in re.findall(r"`((?:host|sandbox|docs)/[\w./-]+)`", "".join(places)):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("name", "op", "is_stored"),
    [
        ("persistence.write", "persist", True),
        ("persistence.read", None, False),
        ("ledger.record", None, True),
        ("ledger.record", "finalize", True),
        ("ledger.record", "send-transaction", False),
        ("ledger.record", "send-ledger-transaction", False),
        ("ledger.record", "serve-notarisation", False),
        ("ledger.find", "draft", False),
        ("nothing.of-this", None, False),
        (None, None, False),
    ],
)
def test_calls_that_leave_an_effect_in_the_vault(name, op, is_stored):
    assert stores(name, op) is is_stored
