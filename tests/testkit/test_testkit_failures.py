"""What pytest shows of failing flows and contracts: own file and line, and all that came before."""

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(600)  # images are made and runtimes compiled on the way
PROJECT = """
[cordapp]
name = "shop"
version = "1.0.0"
vendor = "v"
licence = "l"

[contract]
name = "shop.contracts"
source = "contracts"
modules = ["shop_contracts"]
version = 1

[workflow]
name = "shop.workflows"
source = "workflows"
modules = ["shop_flows"]
version = 1
capabilities = ["sessions", "ledger", "membership"]
"""
CONTRACTS = """
from dataclasses import dataclass

from cordapp.contracts import Command, Contract, ContractState, PublicKey, belongs_to
from cordapp.contracts import UtxoLedgerTransaction


class GoodsContract(Contract):
    def verify(self, transaction: UtxoLedgerTransaction) -> None:
        for goods in transaction.get_output_states(Goods):
            check(goods)


def check(goods: "Goods") -> None:
    try:
        {"pear": 1}[goods.kind]
    except KeyError as exc:
        raise ValueError(f"no price of {goods.kind}") from exc


@belongs_to(GoodsContract)
@dataclass(frozen=True)
class Goods(ContractState):
    kind: str

    @property
    def participants(self) -> list[PublicKey]:
        return []


@dataclass(frozen=True)
class Sell(Command):
    pass
"""
FLOWS = """
import uuid
from dataclasses import dataclass, field

from cordapp.flows import (
    ClientStartableFlow, CordaRuntimeError, FlowSession, ResponderFlow, SubFlow, initiated_by,
    initiating_flow,
)

BOB = "O=Bob, L=London, C=GB"


class Explicit(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        try:
            return price_of(count)
        except ZeroDivisionError as exc:
            raise ValueError("no price") from exc


def price_of(count: int) -> int:
    return 100 // count


class Implicit(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        try:
            return price_of(count)
        except ZeroDivisionError:
            return {}["no price"]


class Suppressed(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        try:
            return price_of(count)
        except ZeroDivisionError:
            raise CordaRuntimeError("price-missing", "no price") from None


class Noted(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        try:
            return price_of(count)
        except ZeroDivisionError as exc:
            exc.add_note("order 17 of today")
            raise


class Grouped(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        problems = []
        for each in ("size", "colour"):
            try:
                raise LookupError(each)
            except LookupError as exc:
                problems.append(exc)
        raise ExceptionGroup("bad goods", problems)


class Nested(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        return self.flow_engine.sub_flow(Inner())


class Inner(SubFlow[int]):
    def call(self) -> int:
        return price_of(0)


@initiating_flow(protocol="sell")
class Asking(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        session = self.flow_messaging.initiate_flow(BOB)
        session.send(count)
        return session.receive(int)


@initiated_by(protocol="sell")
class Answering(ResponderFlow):
    def call(self, session: FlowSession) -> None:
        count = session.receive(int)
        try:
            session.send(price_of(count))
        except ZeroDivisionError as exc:
            raise ValueError("Bob has no price") from exc


class Ungranted(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        self.signing_service.sign(b"data", "key")
        return 1


class Clocked(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        self.flow_engine.sleep(-1)
        return 1


@dataclass
class Order:
    id: uuid.UUID = field(default_factory=uuid.uuid4)


class Identified(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        Order()
        return 1


class Recursive(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        return deep(count)


def deep(count: int) -> int:
    return deep(count + 1)
"""
TESTS = """
import pytest
from shop_contracts import Goods, Sell

NAMES = ["Explicit", "Implicit", "Suppressed", "Noted", "Grouped", "Nested", "Asking", "Clocked"]
NAMES += ["Ungranted", "Recursive", "Identified"]


@pytest.mark.parametrize("name", NAMES)
def test_flow(cordapp_network, name):
    cordapp_network.node("O=Bob, L=London, C=GB")
    cordapp_network.node("O=Alice, L=London, C=GB").start("shop_flows." + name, 0)


def test_contract(cordapp_network):
    key = cordapp_network.node("O=Alice, L=London, C=GB").key
    cordapp_network.verify(outputs=[Goods("apple")], commands=[Sell()], signatories=[key])
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The report of each failing test, by its name and the way in which the code ran."""
    folder = tmp_path_factory.mktemp("shop")
    files = {
        "cordapp.toml": PROJECT,
        "contracts/shop_contracts.py": CONTRACTS,
        "workflows/shop_flows.py": FLOWS,
        "test_shop.py": TESTS,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    words = ["-m", "pytest", "-p", "cordapp_testkit.pytest_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *words, "test_shop.py"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "24 failed" in done.stdout, done.stdout + done.stderr
    found = re.split(r"^_+ test_(\w+)\[(.*?)\] _+$", done.stdout, flags=re.MULTILINE)[1:]
    named = zip(found[::3], found[1::3], found[2::3], strict=True)
    return {tuple(sorted(ids.split("-"))): text for _, ids, text in named}


BOTH = pytest.mark.parametrize("way", ["native", "sandbox"])
LINES = FLOWS.splitlines()


def shown(reports, way, *names):
    report = reports[tuple(sorted((way, *names)))]
    assert "host/" not in report, report
    assert "sdk/cordapp" not in report, report
    return report


def place(line_text, error):
    """How pytest shows a line of the flows and what was raised there."""
    number = next(n for n, line in enumerate(LINES, start=1) if line.strip() == line_text)
    return re.compile(
        rf"^>?\s+{re.escape(line_text)}.*?^workflows/shop_flows.py:{number}: {error}$",
        re.MULTILINE | re.DOTALL,
    )


@BOTH
@pytest.mark.parametrize(
    ("name", "places", "joined"),
    [
        (
            "Explicit",
            [("return 100 // count", "ZeroDivisionError"),
             ('raise ValueError("no price") from exc', "ValueError")],
            "direct cause",
        ),
        (
            "Implicit",
            [("return 100 // count", "ZeroDivisionError"), ('return {}["no price"]', "KeyError")],
            "During handling of the above exception",
        ),
        ("Noted", [("return 100 // count", "ZeroDivisionError")], "order 17 of today"),
        ("Nested", [("return 100 // count", "ZeroDivisionError")], "in call"),
        (
            "Asking",
            [("return 100 // count", "ZeroDivisionError"),
             ('raise ValueError("Bob has no price") from exc', "ValueError"),
             ("return session.receive(int)", "SessionError")],
            "in flow shop_flows.Answering",
        ),
        (
            "Ungranted",
            [('self.signing_service.sign(b"data", "key")', "CordaRuntimeError")],
            "[workflow] in cordapp.toml, or have the host allow it to the node (at shop_flows.py:",
        ),
        ("Clocked", [("self.flow_engine.sleep(-1)", "CordaRuntimeError")], "request-invalid"),
    ],
)  # fmt: skip
def test_a_failing_flow_shows_places_and_causes(reports, way, name, places, joined):
    report = shown(reports, way, name)
    at = 0
    for line, error in places:
        found = place(line, error).search(report, at)
        assert found, (line, error, report)
        at = found.start()
    assert joined in report
    assert "test_shop.py:12: FlowFailedError" in report


@BOTH
def test_a_refused_uuid_names_what_makes_one(reports, way):
    report = shown(reports, way, "Identified")
    assert "Order()" in report
    assert "uuid.uuid4: the sandbox has no randomness" in report
    assert "self.random.uuid() of a flow makes a random UUID" in report
    assert "__init__" not in re.findall(r"  at (.*)", report)[-1]  # a dataclass's, in no file


@BOTH
def test_the_frames_of_a_recursion_are_folded(reports, way):
    report = shown(reports, way, "Recursive")
    assert "RecursionError: maximum recursion depth exceeded" in report
    assert re.search(r"\[Previous line repeated \d{2,} more times\]", report)
    assert (
        report.count(f"at shop_flows.py:{LINES.index('    return deep(count + 1)') + 1} deep") == 3
    )


@BOTH
def test_a_cause_that_was_taken_away_is_not_shown(reports, way):
    report = shown(reports, way, "Suppressed")
    assert not re.search("^E +ZeroDivisionError", report, re.MULTILINE)
    assert "price-missing: no price" in report


@BOTH
def test_the_members_of_a_group_are_shown_with_their_places(reports, way):
    report = shown(reports, way, "Grouped")
    assert "bad goods (2 sub-exceptions)" in report
    assert "LookupError: size" in report
    assert "LookupError: colour" in report
    assert report.count('workflows/shop_flows.py", line') >= 3


@BOTH
def test_a_refusing_contract_shows_places_and_causes(reports, way):
    report = shown(reports, way)
    assert '{"pear": 1}[goods.kind]' in report
    assert "contracts/shop_contracts.py:16: KeyError" in report
    assert "contracts/shop_contracts.py:18: ValueError" in report
    assert "ContractRefusedError: no price of apple" in report
