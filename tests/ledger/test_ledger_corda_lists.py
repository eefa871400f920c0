"""Every test of Corda's ledger lists is named once in the page, with a test here or a reason.

`corda_test_names.json` has Corda's names by test class, in Corda's order.
"""

import json
from pathlib import Path

import pytest

from tests.support.corda_lists import NAMED, PAGE, ROOT, functions_of, problem, proofs, wrong_rows

NAMES = json.loads((Path(__file__).parent / "corda_test_names.json").read_text(encoding="utf-8"))
SIZES = {
    "UtxoFinalityFlowV1Test": 23,
    "UtxoReceiveFinalityFlowV1Test": 32,
    "TransactionBackchainReceiverFlowV1Test": 23,
    "TransactionBackchainVerifierImplTest": 10,
    "UtxoTransactionBuilderVerifierTest": 16,
    "UtxoLedgerTransactionVerifierTest": 15,
    "UtxoTransactionEncumbranceVerifierTest": 7,
    "UtxoLedgerTransactionContractVerifierTest": 2,
    "UniquenessCheckerImplDBIntegrationTests": 56,
    "JPABackingStoreImplIntegrationTests": 19,
    "NonValidatingNotaryServerFlowImplTest": 12,
    "ContractVerifyingNotaryServerFlowImplTest": 22,
    "FilteredTransactionImplTest": 27,
    "VerificationRequestProcessorTest": 3,
}


def test_the_lists_are_complete():
    assert {test_class: len(names) for test_class, names in NAMES.items()} == SIZES
    assert all(len(set(names)) == len(names) for names in NAMES.values())


@pytest.mark.parametrize("test_class", SIZES)
def test_every_name_is_proved_or_excused_once(test_class):
    assert wrong_rows(test_class, NAMES[test_class]) == {}


@pytest.mark.parametrize(
    ("proof", "wrong"),
    [
        ("`tests/ledger/test_ledger_decide.py::test_states_are_spent`", None),
        ("`tests/ledger/test_ledger_decide.py::test_that_is_not_there`", "has no"),
        ("`tests/ledger/test_ledger_decide.py`", "without a test"),
        ("`tests/ledger/test_ledger_gone.py::test_a`", "does not exist"),
        ("no", "neither test nor reason"),
        ("there are no composite keys: a notary service has one key", None),
    ],
)
def test_what_proves_nothing_is_found(proof, wrong):
    found = problem(proof)
    assert found is None if wrong is None else wrong in found


def test_a_name_that_is_left_out_is_found():
    page = PAGE.read_text(encoding="utf-8")
    name = NAMES["UtxoFinalityFlowV1Test"][0]
    cut = page.replace(f"UtxoFinalityFlowV1Test: {name} |", "UtxoFinalityFlowV1Test: other |")
    found = proofs(cut, NAMES)["UtxoFinalityFlowV1Test"]
    assert name not in [each for each, _ in found]


def test_every_test_that_the_page_names_exists():
    """Also of lists that are not of the ledger, and of samples."""
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 300
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or (test and test not in functions_of(file))
    ]
    assert missing == []
