"""Contracts in other languages: built from source, and judged beside the Python contract."""

import json
import shutil
from pathlib import Path

import pytest

from cordapp_testkit import FlowFailedError, Network
from cpi.crypto.keys import load_signing_key
from cpi.package.verify import read_package
from host.cli import main
from host.domain.packages import CodeWorld
from host.guests.contracts import transaction_text
from host.runtime.plugin_loading import make_plugin_manager
from host.tools.cordapps.build import build_cordapp, prepare_cordapp
from host.tools.cordapps.project import ProjectInvalidError, load_project
from host.tools.cordapps.toolchains import (
    ToolchainFailedError,
    ToolchainMissingError,
    component_builder,
)
from host.tools.testkit.code import sandboxed_code
from plugins import toolchains
from sandbox.limits import Limits
from sandbox.world import World
from tests.support.keystores import PASSWORD, make_keystore

pytestmark = pytest.mark.slow
SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
TRANSACTIONS = SAMPLES / "iou" / "receipts" / "transactions.jsonl"
CONTRACTS = {"c": "iou_c", "rust": "iou_rust", "javascript": "iou_js"}
REPRODUCIBLE = ("c", "rust")


@pytest.fixture(scope="module")
def contract_of(builder, sandbox):
    def contract(language: str):
        source = SAMPLES / CONTRACTS[language] / "contract"
        wasm = builder(language, CodeWorld.CONTRACT, source)
        return sandbox.guest(World.CONTRACT, sandbox.admit(World.CONTRACT, wasm).digest)

    return contract


@pytest.fixture(scope="module")
def python_contract(sandbox):
    prepared = prepare_cordapp(load_project(SAMPLES / "iou"), sandbox, lambda _: None)
    digest = prepared.cpks[0].code.descriptor.code_digest
    return sandbox.guest(World.CONTRACT, digest)


def verdict_of(guest, transaction: str) -> tuple[bool, str, str]:
    answer = guest.call("verify", transaction, limits=Limits())
    if not answer.is_error:
        return True, "", ""
    (failure,) = json.loads(answer.value)["failures"]
    return False, failure["type"], failure["message"]


@pytest.mark.parametrize("language", CONTRACTS)
def test_a_contract_gives_the_verdicts_of_the_python_contract(
    language, contract_of, python_contract
):
    guest = contract_of(language)
    transactions = TRANSACTIONS.read_text(encoding="utf-8").splitlines()
    verdicts = [verdict_of(guest, transaction) for transaction in transactions]
    expected = [verdict_of(python_contract, transaction) for transaction in transactions]
    assert [v[0] for v in verdicts] == [e[0] for e in expected]
    assert {v[0] for v in verdicts} == {True, False}
    for verdict, wanted in zip(verdicts, expected, strict=True):
        if wanted[1] == "RequirementError":
            assert verdict == wanted


@pytest.mark.parametrize("language", REPRODUCIBLE)
def test_golden_receipts_hold(language, contract_of):
    """Fuel, code, engine and outcome to the digit; another compiler makes other code."""
    guest = contract_of(language)
    golden = {
        receipt["runs"][0]["receipt"]["input"]["argument"]: receipt["runs"][0]["receipt"]
        for file in (SAMPLES / CONTRACTS[language] / "receipts").glob("*.json")
        for receipt in [json.loads(file.read_text(encoding="utf-8"))]
    }
    transactions = TRANSACTIONS.read_text(encoding="utf-8").splitlines()
    assert len(golden) == len(transactions) > 0
    for transaction in transactions:
        argument = transaction_text(json.loads(transaction))
        found = json.loads(guest.call("verify", argument, limits=Limits()).receipt)
        expected = golden[found["input"]["argument"]]
        if expected["code"] != found["code"]:
            pytest.skip(f"this compiler makes {found['code']['component']}")
        assert found == expected


def first_transaction() -> dict:
    return json.loads(TRANSACTIONS.read_text(encoding="utf-8").splitlines()[0])


def altered(change) -> str:
    transaction = first_transaction()
    change(transaction)
    return json.dumps(transaction)


def lender_as_escapes(transaction) -> None:
    """The borrower once more, which `json` then writes with other escapes."""
    value = transaction["outputs"][0]["value"]
    value["borrower"] = value["lender"] = "O=Zo\u00eb \U0001f600, L=London, C=GB"


HOSTILE = {
    "another state beside it": lambda t: t["outputs"].append({**t["outputs"][0], "type": "a.B"}),
    "another contract": lambda t: t["outputs"][0].update(contract="a.B"),
    "a text for the amount": lambda t: t["outputs"][0]["value"].update(amount="100"),
    "a fraction": lambda t: t["outputs"][0]["value"].update(amount=1.5),
    "an amount beyond 53 bits": lambda t: t["outputs"][0]["value"].update(amount=2**53),
    "an amount beyond 64 bits": lambda t: t["outputs"][0]["value"].update(amount=10**30),
    "no value": lambda t: t["outputs"][0].pop("value"),
    "a number for the currency": lambda t: t["outputs"][0]["value"].update(currency=3),
    "a lower-case currency": lambda t: t["outputs"][0]["value"].update(currency="gbp"),
    "no participants": lambda t: t["outputs"][0].update(participants=[]),
    "one participant twice": lambda t: t["outputs"][0].update(
        participants=t["outputs"][0]["participants"][:1] * 2
    ),
    "no signatories": lambda t: t.update(signatories=[]),
    "no outputs": lambda t: t.update(outputs=[]),
    "two outputs": lambda t: t.update(outputs=t["outputs"] * 2),
    "inputs that are no list": lambda t: t.update(inputs={}),
    "inputs left out": lambda t: t.pop("inputs"),
    "no commands": lambda t: t.update(commands=[]),
    "equal names": lender_as_escapes,
}


@pytest.mark.parametrize("language", CONTRACTS)
def test_what_no_iou_may_be_is_refused_by_a_verdict(language, contract_of):
    guest = contract_of(language)
    assert verdict_of(guest, json.dumps(first_transaction())) == (True, "", "")
    accepted = [name for name, change in HOSTILE.items() if verdict_of(guest, altered(change))[0]]
    assert not accepted


@pytest.mark.parametrize("language", CONTRACTS)
@pytest.mark.parametrize(
    "document", ["", "{", "[]", "null", "1", '"', '{"commands"', '{"a":[[[[', "\\", "}" * 50]
)
def test_what_is_no_transaction_is_never_accepted(language, document, contract_of):
    answer = contract_of(language).call("verify", document, limits=Limits())
    assert answer.is_error


@pytest.mark.parametrize("language", CONTRACTS)
def test_both_spellings_of_one_text_are_equal(language, contract_of):
    transaction = first_transaction()
    name = "O=Zo\u00eb \U0001f600, L=London, C=GB"
    transaction["outputs"][0]["value"].update(borrower=name, lender=name)
    plain = json.dumps(transaction, ensure_ascii=False)
    mixed = plain.replace(name, json.dumps(name)[1:-1], 1)
    assert mixed != plain
    assert verdict_of(contract_of(language), mixed)[2] == "Borrower and lender must differ"


@pytest.mark.parametrize("language", REPRODUCIBLE)
def test_the_same_sources_elsewhere_give_the_same_component(language, builder, tmp_path):
    source = SAMPLES / CONTRACTS[language] / "contract"
    copy = shutil.copytree(source, tmp_path / "elsewhere")
    here = builder(language, CodeWorld.CONTRACT, source)
    assert builder(language, CodeWorld.CONTRACT, copy) == here


@pytest.fixture(scope="module")
def keystore(tmp_path_factory):
    return make_keystore(tmp_path_factory.mktemp("keystore"), "s")


def exit_code(arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


@pytest.mark.parametrize("language", REPRODUCIBLE)
def test_the_command_builds_a_package_that_its_sources_prove(
    language, builder, keystore, tmp_path, capsys
):
    builder(language, CodeWorld.CONTRACT, SAMPLES / CONTRACTS[language] / "contract")
    project = SAMPLES / CONTRACTS[language]
    signing = ["--keystore", str(keystore), "--password", PASSWORD]
    build = ["cordapp", "build", str(project), *signing, "--output-dir", str(tmp_path)]
    assert exit_code(build) == 0
    (package,) = tmp_path.glob("*.cpb")
    assert package.stat().st_size < 40 * 1024
    (cpk,) = read_package(package.read_bytes()).cpks
    assert cpk.descriptor.form == "component"
    assert [c["name"] for c in cpk.descriptor.contracts] == ["iou_contracts.IouContract"]
    assert exit_code(["cordapp", "rebuild", str(project), "--check", str(package)]) == 0
    assert "VERIFIED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("language", "named"),
    [
        ("c", "clang and lld"),
        ("rust", "libstd-rust-dev-wasm32"),
        ("javascript", "npm install componentize-qjs"),
    ],
)
def test_a_missing_tool_is_named_with_its_package(language, named, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchains, "SYSTEM_RUSTC", str(tmp_path / "rustc"))
    (tmp_path / "index.js").write_text("")
    (tmp_path / "lib.rs").write_text("")
    with pytest.raises(ToolchainMissingError, match=named):
        toolchains.build_component(language, CodeWorld.CONTRACT, tmp_path)


def test_an_unknown_language_is_refused(tmp_path):
    build = component_builder(make_plugin_manager(("toolchains",)))
    told = "language 'cobol': no plugin builds it, expected c, javascript, rust"
    with pytest.raises(ToolchainMissingError, match=told):
        build("cobol", CodeWorld.CONTRACT, tmp_path)


def test_without_toolchains_a_build_says_so(sandbox, keystore, tmp_path):
    key = load_signing_key(keystore, password=PASSWORD, alias="s")
    with pytest.raises(ToolchainMissingError, match="language 'c'"):
        build_cordapp(SAMPLES / "iou_c", (key,), tmp_path / "out", sandbox, lambda _: None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("language", "file", "text", "named"),
    [
        ("c", "a.c", "int broken(", "a.c:1"),
        ("rust", "lib.rs", "fn broken(", "lib.rs:1"),
        ("javascript", "index.js", "export function verify( {", "componentize-qjs refuses"),
    ],
)
def test_what_the_compiler_says_comes_back(language, file, text, named, builder, tmp_path):
    (tmp_path / file).write_text(text)
    with pytest.raises(ToolchainFailedError, match=named):
        builder(language, CodeWorld.CONTRACT, tmp_path)


@pytest.mark.parametrize("language", CONTRACTS)
def test_a_folder_without_the_main_file_is_refused(language, builder, tmp_path):
    with pytest.raises(ToolchainFailedError, match=r"is (not )?there"):
        builder(language, CodeWorld.CONTRACT, tmp_path)


@pytest.mark.parametrize(
    "keys",
    [
        'language = "c"',
        'language = "c"\ncomponent = "a.wasm"',
        'language = "c"\nsource = "."\nmodules = ["a"]',
        'language = "C!"\nsource = "."',
        'source = "."',
        'component = "a.wasm"\nsource = "."',
        'component = "a.wasm"\nmodules = ["a"]',
        "",
    ],
)
def test_a_project_names_its_code_in_one_way(keys, tmp_path):
    (tmp_path / "a.wasm").write_bytes(b"")
    (tmp_path / "cordapp.toml").write_text(
        '[cordapp]\nname = "a"\nversion = "1"\nvendor = "a"\nlicence = "a"\n'
        f'[contract]\nname = "a"\nversion = 1\n{keys}\n'
    )
    with pytest.raises(ProjectInvalidError):
        load_project(tmp_path)


@pytest.fixture(scope="module")
def javascript_code(builder, sandbox):
    return sandboxed_code(load_project(SAMPLES / "iou_js"), sandbox, build_component=builder)


ALICE, BOB = "O=Alice, L=London, C=GB", "O=Bob, L=Paris, C=FR"
ASKED = {"counterparty": BOB, "amount": 100}


def test_flows_in_javascript_issue_an_iou_that_both_nodes_hold(javascript_code):
    with Network(javascript_code) as network:
        alice, bob = network.node(ALICE), network.node(BOB)
        issued = alice.start("iou_js.IssueIou", ASKED)
        (held,) = alice.start("iou_js.ListIous", {})
        assert held["linear_id"] == issued["linearId"]
        assert held["stateRef"] == f"{issued['transactionId']}:0"
        assert (held["borrower"], held["lender"], held["amount"]) == (ALICE, BOB, 100)
        assert bob.start("iou_js.ListIous", {}) == [held]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount": 0}, "An IOU's amount must be positive"),
        ({"currency": "pounds"}, "ISO 4217"),
        ({"amount": 1_000_001}, "lends at most 1000000, asked for 1000001"),
        ({"counterparty": "O=Nobody, L=Rome, C=IT"}, "is no member of the group"),
    ],
)
def test_an_iou_that_somebody_refuses_is_stored_nowhere(javascript_code, changes, message):
    with Network(javascript_code) as network:
        alice, bob = network.node(ALICE), network.node(BOB)
        with pytest.raises(FlowFailedError, match=message):
            alice.start("iou_js.IssueIou", {**ASKED, **changes})
        assert alice.start("iou_js.ListIous", {}) == bob.start("iou_js.ListIous", {}) == []


def test_one_component_in_javascript_gives_one_receipt(contract_of):
    guest, transaction = contract_of("javascript"), json.dumps(first_transaction())
    receipts = {guest.call("verify", transaction, limits=Limits()).receipt for _ in range(20)}
    assert len(receipts) == 1
