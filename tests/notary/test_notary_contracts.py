"""The notary that verifies contracts: what it refuses that another one would sign.

Corda's `ContractVerifyingNotaryServerFlowImplTest`: docs/reference/corda-test-lists.md.
"""

import copy
from pathlib import Path

import pytest

from host.domain.capability_error import CapabilityError
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.errors import NotaryDistrustedError
from host.ledger.functions.notary_contracts import _refusal
from host.tools.cordapps.project import load_project
from host.tools.testkit.code import native_code
from host.tools.testkit.network import Network
from tests.notary.conftest import ALICE
from tests.notary.requests import NODE, SERVICE
from tests.notary.test_notary_finality import BOB, COINS, coins, pay

FAILURE = "notary-transaction-verification-failure"


@pytest.fixture(scope="module")
def coins_code():
    return native_code(load_project(Path(COINS)))


@pytest.fixture
def network_of(coins_code):
    """Makes a network with a notary of this protocol; its nodes Alice and Bob."""
    opened = []

    def make(protocol):
        network = Network(coins_code)
        opened.append(network)
        network.notary(NODE, service=SERVICE, protocol=protocol)
        return network, network.node(ALICE), network.node(BOB)

    yield make
    for network in opened:
        network.close()


def test_a_transaction_that_contracts_refuse_is_signed_by_one_notary_and_not_by_the_other(
    network_of,
):
    """Alice's host asks no contract: she makes ten of five."""
    for protocol in ("non-validating", "contract-verifying"):
        network, alice, _ = network_of(protocol)
        coin = pay(alice)
        network.parts.believers.add(alice.holding.short_hash)
        made = pay(alice, amount=10, coin=coin)
        if protocol == "non-validating":
            assert made.startswith("SHA-256D:")
            assert coins(alice) == [10]
        else:
            assert made.startswith(f"{FAILURE}: Unable to notarize transaction ")
            assert "moving coins keeps their amount" in made
            assert coins(alice) == [5]


def without_dependencies(payload):
    payload["dependencies"] = []


def without_the_notarys_signature(payload):
    payload["dependencies"][0]["signatures"] = []


def with_a_forged_signature_of_the_notary(payload):
    signature = payload["dependencies"][0]["signatures"][0]
    other = payload["transaction"]["signatures"][0]
    signature["signature"] = other["signature"]


def with_another_state(payload):
    """The proof of the dependency does not hold for what it shows."""
    for group in payload["dependencies"][0]["filtered"]["groups"]:
        for leaf in group.get("leaves", ()):
            leaf["leaf"] = leaf["leaf"].replace('"amount":5', '"amount":7')


def without_a_signatory(payload):
    payload["transaction"]["signatures"] = []


def with_a_forged_signatory(payload):
    other = payload["dependencies"][0]["signatures"][0]
    payload["transaction"]["signatures"][0]["signature"] = other["signature"]


def under_another_id(payload):
    payload["transaction"]["id"] = payload["dependencies"][0]["filtered"]["id"]


def with_more_fields(payload):
    payload["trust"] = True


def as_of_the_other_protocol(payload):
    payload["filtered"] = payload.pop("transaction")


def with_one_changed_output(payload):
    groups = payload["transaction"]["componentGroups"]
    for group in groups:
        group[:] = [leaf.replace('"amount":5', '"amount":50') for leaf in group]


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (without_dependencies, FAILURE),
        (without_the_notarys_signature, FAILURE),
        (with_a_forged_signature_of_the_notary, FAILURE),
        (with_another_state, FAILURE),
        (without_a_signatory, "notary-invalid-signature"),
        (with_a_forged_signatory, "notary-invalid-signature"),
        (under_another_id, FAILURE),
        (with_more_fields, FAILURE),
        (as_of_the_other_protocol, FAILURE),
        (with_one_changed_output, FAILURE),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_request_that_lies_is_refused_and_spends_nothing(network_of, monkeypatch, tamper, code):
    network, alice, bob = network_of("contract-verifying")
    coin = pay(alice)
    handlers = network.parts.ledger._handlers
    honest = handlers["protocol.notary-request"]

    def lie(context, request):
        made = copy.deepcopy(honest(context, request))
        tamper(made["payload"])
        return made

    with monkeypatch.context() as lying:
        lying.setitem(handlers, "protocol.notary-request", lie)
        assert pay(alice, coin=coin).startswith(f"{code}: Unable to notarize transaction ")
    assert pay(alice, coin=coin, to=BOB).startswith("SHA-256D:")
    assert (coins(alice), coins(bob)) == ([], [5])


def without_contracts(network, monkeypatch):
    """From now on the notary's CPI has no contract CPK."""
    catalogue = network.parts.catalogue
    (server,) = [cpi for cpi in catalogue.all() if cpi != catalogue.cpi]
    bare = type(server)(**{**_fields(server), "cpks": server.workflow_cpks()})
    monkeypatch.setitem(catalogue._cpis, server.file_checksum, bare)


def test_a_notary_without_the_contracts_refuses_at_once(network_of, monkeypatch):
    """To wait would not help: only the notary's operator can add code."""
    network, alice, bob = network_of("contract-verifying")
    coin = pay(alice)
    with monkeypatch.context() as upgraded:
        without_contracts(network, upgraded)
        asked_at = network.now()
        refused = pay(alice, coin=coin, to=BOB)
        assert network.now() == asked_at
    assert refused.startswith(f"{FAILURE}: Unable to notarize transaction ")
    assert "names contract CPK" in refused
    assert pay(alice, coin=coin, to=BOB).startswith("SHA-256D:")
    assert (coins(alice), coins(bob)) == ([], [5])


def test_what_a_notary_has_accepted_stays_accepted_when_its_contracts_are_gone(
    network_of, monkeypatch
):
    """Its answer is lost, and it gets another CPI before it is asked again."""
    network, alice, bob = network_of("contract-verifying")
    coin = pay(alice)
    handlers = network.parts.ledger._handlers
    read, lost = handlers["protocol.take-notary-answer"], []

    def lose_the_first(context, request):
        if not lost:
            lost.append(request)
            without_contracts(network, monkeypatch)
            raise CapabilityError("timed-out", "the answer is lost")
        return read(context, request)

    monkeypatch.setitem(handlers, "protocol.take-notary-answer", lose_the_first)
    assert pay(alice, coin=coin, to=BOB).startswith("SHA-256D:")
    assert (len(lost), coins(alice), coins(bob)) == (1, [], [5])


def _fields(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_a_key_that_becomes_distrusted_in_the_middle_decides_nothing():
    """A fatal refusal would make the transaction invalid at its clients for ever."""
    refusal = _refusal(NotaryDistrustedError("its key is distrusted"), signatures_of_it=True)
    assert refusal.rejection.kind is ErrorKind.GENERAL
