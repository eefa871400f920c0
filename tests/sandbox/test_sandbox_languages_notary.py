"""Contracts and flows in other languages, in networks with the notaries that Cordbox ships."""

import shutil
from pathlib import Path

import pytest

from cordapp_testkit import FlowFailedError, Network
from host.domain.packages import CodeWorld
from host.ledger.vault import verifications
from host.tools.cordapps.project import load_project
from host.tools.notary_server import CONTRACT_VERIFYING, NON_VALIDATING
from host.tools.testkit.code import sandboxed_code
from tests.sandbox.facts_in_languages import FACTS

pytestmark = pytest.mark.slow
SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
ALICE, BOB, CHARLIE = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))
PYTHON_FLOWS_OVER = """
[cordapp]
name = "iou-{language}-python"
version = "1.0.0"
vendor = "Cordbox samples"
licence = "Apache-2.0"

[contract]
name = "com.cordbox.samples.iou.{language}.contracts"
language = "{language}"
source = "contract"
version = 1

[workflow]
name = "com.cordbox.samples.iou.{language}.workflows"
source = "workflows"
modules = ["iou_flows"]
version = 1
capabilities = ["sessions", "ledger", "membership", "persistence"]
"""


@pytest.fixture(scope="module")
def iou_js(builder, sandbox):
    return sandboxed_code(load_project(SAMPLES / "iou_js"), sandbox, build_component=builder)


@pytest.fixture(scope="module", params=["c", "rust"])
def python_flows(request, builder, sandbox, tmp_path_factory):
    """The flows of the sample `iou` over its contract in another language, as one CorDapp."""
    language = request.param
    folder = tmp_path_factory.mktemp(language)
    shutil.copytree(SAMPLES / f"iou_{language}" / "contract", folder / "contract")
    shutil.copytree(SAMPLES / "iou" / "workflows", folder / "workflows")
    shutil.copy(SAMPLES / "iou" / "contracts" / "iou_contracts.py", folder / "workflows")
    (folder / "cordapp.toml").write_text(PYTHON_FLOWS_OVER.format(language=language))
    return sandboxed_code(load_project(folder), sandbox, build_component=builder)


def parties(network):
    return [network.node(name) for name in (ALICE, BOB, CHARLIE)]


def signers(node, transaction_id) -> int:
    """How many have signed what the node has recorded; the notary is one of them."""
    return len(node.signed_transaction(transaction_id)["signatures"])


def verdicts(network, node, transaction_id):
    """Who has judged the transaction by which code, with which outcome; `""` is the node itself."""
    with network.parts.vaults.read(node.holding.short_hash) as connection:
        found = verifications.list_of(connection, transaction_id)
    return {party: (each.code, each.outcome, each.verdict) for party, each in found}


def held_in_javascript(node):
    return [(iou["lender"], iou["paid"]) for iou in node.start("iou_js.ListIous", {})]


def held_in_python(node):
    return [(iou["lender"], iou["paid"]) for iou in node.start("iou_flows.ListIous", {})]


def test_flows_in_javascript_issue_sell_and_settle_with_a_notary(iou_js):
    with Network(iou_js) as network:
        notary = network.notary()
        alice, bob, charlie = parties(network)
        issued = alice.start("iou_js.IssueIou", {"counterparty": BOB, "amount": 100})
        linear_id = issued["linearId"]
        assert signers(bob, issued["transactionId"]) == 3
        window = bob.transaction(issued["transactionId"])["timeWindow"]
        assert window == {"from": None, "until": "2026-01-01T01:00:00.000000Z"}
        sold = bob.start("iou_js.TransferIou", {"linearId": linear_id, "newLender": CHARLIE})
        # Charlie's host has verified the issue, which Charlie had never seen.
        assert signers(charlie, issued["transactionId"]) == 3
        assert [signers(node, sold["transactionId"]) for node in (alice, bob, charlie)] == [4] * 3
        alice.start("iou_js.SettleIou", {"linearId": linear_id, "amount": 30})
        assert held_in_javascript(alice) == held_in_javascript(charlie) == [(CHARLIE, 30)]
        assert held_in_javascript(bob) == []
        alice.start("iou_js.SettleIou", {"linearId": linear_id, "amount": 70})
        assert held_in_javascript(alice) == held_in_javascript(charlie) == []
        assert [flow.status for flow in notary.flows] == ["COMPLETED"] * 4


@pytest.mark.parametrize(
    ("node", "flow", "request_body", "code", "message"),
    [
        (ALICE, "TransferIou", {"newLender": CHARLIE}, "iou-not-lender", f"Only {BOB} sells"),
        (BOB, "SettleIou", {"amount": 1}, "iou-not-borrower", f"Only {ALICE} settles"),
        (ALICE, "SettleIou", {"amount": 101}, None, "cannot exceed what is outstanding"),
        (ALICE, "SettleIou", {"amount": 1, "linearId": "?"}, "iou-not-found", "no open IOU"),
        (BOB, "TransferIou", {"newLender": "O=X, L=Rome, C=IT"}, "member-unknown", "no member"),
    ],
)
def test_what_flows_in_javascript_refuse_is_never_notarised(
    iou_js, node, flow, request_body, code, message
):
    with Network(iou_js) as network:
        notary = network.notary()
        alice, bob, charlie = parties(network)
        issued = alice.start("iou_js.IssueIou", {"counterparty": BOB, "amount": 100})
        request = {"linearId": issued["linearId"], **request_body}
        with pytest.raises(FlowFailedError, match=message) as failed:
            network.nodes[node].start(f"iou_js.{flow}", request)
        assert failed.value.type == (code or "contract-verification-failed")
        assert held_in_javascript(alice) == held_in_javascript(bob) == [(BOB, 0)]
        assert held_in_javascript(charlie) == []
        assert len(notary.flows) == 1


def test_a_lender_in_javascript_refuses_what_its_own_rules_forbid(iou_js):
    with Network(iou_js) as network:
        notary = network.notary()
        alice, bob, _ = parties(network)
        with pytest.raises(FlowFailedError, match="lends at most 1000000") as failed:
            alice.start("iou_js.IssueIou", {"counterparty": BOB, "amount": 1_000_001})
        assert failed.value.type == "finality-refused"
        assert bob.flows[-1].error.type == "iou-too-large"
        assert held_in_javascript(alice) == held_in_javascript(bob) == []
        assert notary.flows == []


def test_a_lender_in_javascript_signs_no_iou_with_the_key_of_somebody_else(
    builder, sandbox, tmp_path
):
    """The borrower's flow is another one here; the lender's is that of the sample."""
    copy = shutil.copytree(SAMPLES / "iou_js", tmp_path / "iou_js")
    index = copy / "workflow" / "index.js"
    honest = "lender_key: memberKey(counterparty),"
    assert honest in index.read_text()
    index.write_text(index.read_text().replace(honest, f'lender_key: memberKey("{CHARLIE}"),'))

    def build(language, world, source):
        here = source if world is CodeWorld.WORKFLOW else SAMPLES / "iou_js" / "contract"
        return builder(language, world, here)

    code = sandboxed_code(load_project(copy), sandbox, build_component=build)
    with Network(code) as network:
        notary = network.notary()
        alice, bob, _ = parties(network)
        with pytest.raises(FlowFailedError, match="keys that are not its parties'"):
            alice.start("iou_js.IssueIou", {"counterparty": BOB, "amount": 100})
        assert bob.flows[-1].error.type == "iou-not-as-proposed"
        assert held_in_javascript(bob) == notary.flows == []


@pytest.mark.parametrize("protocol", [NON_VALIDATING, CONTRACT_VERIFYING])
def test_a_contract_in_another_language_judges_what_a_notary_makes_final(python_flows, protocol):
    with Network(python_flows) as network:
        notary = network.notary(protocol=protocol)
        alice, bob, charlie = parties(network)
        issued = alice.start("iou_flows.IssueIou", {"counterparty": BOB, "amount": 100})
        linear_id = issued["linear_id"]
        request = {"linear_id": linear_id, "new_lender": CHARLIE}
        sold = bob.start("iou_flows.TransferIou", request)["transaction_id"]
        alice.start("iou_flows.SettleIou", {"linear_id": linear_id, "amount": 30})
        assert held_in_python(alice) == held_in_python(charlie) == [(CHARLIE, 30)]
        assert held_in_python(bob) == []
        assert [signers(node, sold) for node in (alice, bob, charlie)] == [4] * 3
        component = python_flows.cpks[0].code_digest
        found = verdicts(network, bob, sold)
        assert set(found) == {"", ALICE, CHARLIE}
        assert set(found.values()) == {(component, found[""][1], "accepted")}
        alice.start("iou_flows.SettleIou", {"linear_id": linear_id, "amount": 70})
        assert held_in_python(alice) == held_in_python(charlie) == []
        assert [flow.status for flow in notary.flows] == ["COMPLETED"] * 4


def test_a_contract_in_another_language_refuses_at_every_node_that_asks_it(python_flows):
    with Network(python_flows) as network:
        network.notary(protocol=CONTRACT_VERIFYING)
        alice, bob, _ = parties(network)
        request = {"counterparty": BOB, "amount": 0}
        told = "An IOU's amount must be positive"
        with pytest.raises(FlowFailedError, match=told) as failed:
            alice.start("iou_flows.IssueIou", request)
        assert failed.value.type == "contract-verification-failed"
        alice.accept_every_transaction()
        with pytest.raises(FlowFailedError, match=told) as failed:
            alice.start("iou_flows.IssueIou", request)
        assert failed.value.type == "finality-refused"
        bob.accept_every_transaction()
        with pytest.raises(FlowFailedError, match=told) as failed:
            alice.start("iou_flows.IssueIou", request)
        assert failed.value.type.startswith("notary-")
        assert held_in_python(alice) == held_in_python(bob) == []


@pytest.mark.parametrize("language", FACTS)
def test_a_state_of_the_consensual_ledger_judges_in_other_languages(
    builder, sandbox, tmp_path, language
):
    """The flows are in Python; each party's sandbox runs the component, with equal outcomes."""
    sample, file, source = FACTS[language]
    shutil.copytree(SAMPLES / sample / "contract", tmp_path / "contract")
    (tmp_path / "contract" / file).write_text(source)
    demo = SAMPLES / "consensual_demo"
    shutil.copytree(demo / "workflows", tmp_path / "workflows")
    shutil.copy(demo / "contracts" / "consensual_demo_contracts.py", tmp_path / "workflows")
    text = PYTHON_FLOWS_OVER.format(language=language)
    (tmp_path / "cordapp.toml").write_text(text.replace("iou_flows", "consensual_demo_flows"))
    code = sandboxed_code(load_project(tmp_path), sandbox, build_component=builder)
    flow = "consensual_demo_flows.ConsensualDemoFlow"
    with Network(code) as network:
        alice, bob, _ = parties(network)
        made = alice.start(flow, {"input": "text", "members": [BOB]})
        found = [verdicts(network, node, made) for node in (alice, bob)]
        assert found[0].keys() == {"", BOB}
        assert found[0][""] == found[0][BOB] == found[1][""]
        with pytest.raises(FlowFailedError, match=f"State verification failed in {language}"):
            alice.start(flow, {"input": "invalid", "members": [BOB]})
