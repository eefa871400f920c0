"""Values that the ledger's core reads: answers of notaries, metadata, identifiers."""

from dataclasses import replace

import pytest

from host.domain.packages import CodeWorld
from host.ledger.core.message_reading import ProtocolMismatchError
from host.ledger.core.metadata import (
    check_metadata,
    make_metadata,
    named_cpks,
    parameters_hash,
)
from host.ledger.core.model import TransactionIdInvalidError, parse_transaction_id
from host.ledger.core.notary_protocol import ANSWER_BYTES_MAX, read_answer
from host.ledger.errors import PlatformVersionNewerError, TransactionInvalidError
from tests.flow.network import make_cpi

ID = f"SHA-256D:{'AB' * 32}"


def answer(**changes):
    return {"signatures": [], "error": None, **changes}


def error(kind, **details):
    return {"kind": kind, "message": "because", "details": details}


def test_an_answer_has_signatures_or_an_error():
    assert read_answer(answer(signatures=[{"by": "k"}])) == ([{"by": "k"}], None)
    for wrong in (answer(), answer(signatures=[{}], error=error("General")), {"signatures": []}):
        with pytest.raises(ProtocolMismatchError):
            read_answer(wrong)


def test_an_answer_that_is_too_large_is_not_read():
    with pytest.raises(ProtocolMismatchError, match=f"at most {ANSWER_BYTES_MAX}"):
        read_answer(answer(signatures=[{"by": "x" * ANSWER_BYTES_MAX}]))


def test_a_kind_that_nobody_knows_decides_nothing():
    _, found = read_answer(answer(error=error("Astonished")))
    assert (found.kind, found.message) == ("General", "Astonished: because")


@pytest.mark.parametrize(
    ("kind", "lower", "expected"),
    [
        (
            "TimeWindowBeforeLowerBound",
            "2030-01-01T00:00:00.000000Z",
            "2030-01-01T00:00:00.000000Z",
        ),
        ("TimeWindowBeforeLowerBound", "soon", None),
        ("InputStateConflict", "2030-01-01T00:00:00.000000Z", None),
    ],
)
def test_only_who_is_early_is_told_until_when(kind, lower, expected):
    _, found = read_answer(answer(error=error(kind, timeWindowLowerBound=lower)))
    assert (found.kind, found.lower) == (kind, expected)


@pytest.mark.parametrize("text", [ID, ID.lower()])
def test_an_identifier_is_read_in_either_case(text):
    assert parse_transaction_id(text) == ID


@pytest.mark.parametrize("text", ["", "SHA-256D:", ID + "0", "SHA-256:" + "AB" * 32])
def test_what_is_no_identifier_is_refused(text):
    with pytest.raises(TransactionIdInvalidError, match="is not a transaction id"):
        parse_transaction_id(text)


def cpi_with(world):
    made = make_cpi(())
    (cpk,) = made.cpks
    return replace(made, cpks=(replace(cpk, world=world),))


def metadata(**changes):
    return {**make_metadata(cpi_with(CodeWorld.CONTRACT), "SHA-256:AB"), **changes}


def test_metadata_names_packages_and_parameters():
    made = metadata()
    check_metadata(made)
    assert parameters_hash(made) == "SHA-256:AB"
    assert [cpk.identity.name for cpk in named_cpks(made)] == ["cpk"]


def test_a_package_without_contracts_makes_no_transaction():
    with pytest.raises(TransactionInvalidError, match="has no contract CPK"):
        make_metadata(cpi_with(CodeWorld.WORKFLOW), "SHA-256:AB")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schemaVersion": 2}, "schemaVersion must be 1, found 2"),
        ({"more": 1}, "expected fields"),
        ({"platformVersion": "50200"}, "platformVersion must be a whole number"),
        ({"platformVersion": True}, "platformVersion must be a whole number"),
        ({"membershipGroupParametersHash": None}, "must be a text"),
        ({"cpiMetadata": {"name": "x"}}, "cpiMetadata must hold"),
        ({"cpkMetadata": []}, "must name 1 to"),
        ({"cpkMetadata": {}}, "must name 1 to"),
        ({"cpkMetadata": ["x"]}, "of each CPK"),
        ({"cpkMetadata": metadata()["cpkMetadata"] * 2}, "must name a CPK once"),
    ],
)
def test_wrong_metadata_is_refused(changes, problem):
    with pytest.raises(TransactionInvalidError, match=problem):
        check_metadata(metadata(**changes))


def test_the_rules_of_a_newer_platform_are_not_known():
    with pytest.raises(PlatformVersionNewerError, match="is newer than this host's"):
        check_metadata(metadata(platformVersion=10**6))
