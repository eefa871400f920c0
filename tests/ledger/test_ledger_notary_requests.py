"""What a notary accepts to be asked.

Corda's `NonValidatingNotaryServerFlowImplTest`: docs/reference/corda-test-lists.md.
"""

import json

import pytest

from host.ledger.core.components import Group
from host.ledger.core.filtered import filter_transaction
from host.ledger.core.filtered_json import filtered_json
from host.ledger.core.model import Notary, TimeWindow
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.notary.model import Check
from host.ledger.notary.requests import (
    FOR_NOTARY,
    RequestRefusedError,
    check_notary,
    read_filtered_request,
)
from tests.ledger.transactions import NOTARY, WINDOW, ref, transaction

ALICE = "O=Alice, L=London, C=GB"
METADATA = {"ledgerModel": "utxo", "membershipGroupParametersHash": "SHA-256:AB"}


def asked(signed=None, keep=FOR_NOTARY, check="WRITE", **others):
    signed = signed or transaction(
        inputs=[ref(1), ref(2)], references=[ref(3)], outputs=4, metadata=METADATA
    )
    filtered = filtered_json(filter_transaction(signed, keep))
    payload = json.loads(json.dumps({"check": check, "filtered": filtered, **others}))
    return read_filtered_request(payload, originator=ALICE)


def refused(message, **options):
    with pytest.raises(RequestRefusedError, match=message) as error:
        asked(**options)
    assert error.value.rejection.kind is ErrorKind.TRANSACTION_VERIFICATION_FAILURE
    assert error.value.rejection.kind.is_fatal


@pytest.mark.parametrize("check", list(Check))
def test_a_request_is_read(check):
    found = asked(check=check.value)
    assert (found.notary, found.parameters_hash) == (NOTARY, "SHA-256:AB")
    request = found.uniqueness
    assert (request.check, request.inputs, request.references) == (
        check,
        (ref(1), ref(2)),
        (ref(3),),
    )
    assert (request.output_count, request.lower, request.upper) == (4, None, WINDOW.until)
    assert request.originator == ALICE


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (Group.NOTARY, "does not show its notary"),
        (Group.INPUTS, "does not show all of its inputs"),
        (Group.REFERENCES, "does not show all of its references"),
        (Group.OUTPUTS, "does not show the number of its outputs"),
    ],
)
def test_a_part_that_is_not_shown_is_refused(group, message):
    refused(message, keep={key: value for key, value in FOR_NOTARY.items() if key is not group})


@pytest.mark.parametrize("group", [Group.INPUTS, Group.REFERENCES])
def test_inputs_and_references_are_shown_and_not_counted(group):
    refused("does not show all of its", keep={**FOR_NOTARY, group: None})


def test_one_hidden_input_is_refused():
    refused("does not show all of its inputs", keep={**FOR_NOTARY, Group.INPUTS: [0]})


def test_the_notarys_key_is_shown():
    refused("expected a text", keep={**FOR_NOTARY, Group.NOTARY: [0, 2]})


def test_the_window_is_shown():
    refused("does not show its time window", keep={**FOR_NOTARY, Group.NOTARY: [0, 1]})


def test_a_transaction_without_notary_is_refused():
    signed = transaction(notary=None, window=None, metadata=METADATA)
    refused("does not show its notary", signed=signed)


@pytest.mark.parametrize(
    "window",
    [TimeWindow(starts="yesterday", until=WINDOW.until), TimeWindow(starts=None, until="9999")],
)
def test_bounds_that_are_no_instants_are_refused(window):
    """They are compared as texts with the notary's time."""
    refused("no instants", signed=transaction(window=window, metadata=METADATA))


def test_metadata_name_the_parameters():
    refused("names no group parameters", signed=transaction(metadata={"ledgerModel": "utxo"}))


@pytest.mark.parametrize(
    "payload",
    [None, 5, [], {}, {"check": "WRITE"}, {"check": "ERASE", "filtered": {}}, {"filtered": {}}],
)
def test_anything_else_is_refused(payload):
    with pytest.raises(RequestRefusedError):
        read_filtered_request(payload, originator=ALICE)
    with pytest.raises(RequestRefusedError, match="unknown field 'more'"):
        asked(more=1)


def test_a_forged_proof_is_refused():
    signed = transaction(inputs=[ref(1)], metadata=METADATA)
    filtered = dict(filtered_json(filter_transaction(signed, FOR_NOTARY)))
    filtered["id"] = transaction(inputs=[ref(2)], metadata=METADATA).id
    with pytest.raises(RequestRefusedError, match="the groups are those of"):
        read_filtered_request({"check": "WRITE", "filtered": filtered}, originator=ALICE)


def test_the_notary_that_is_named_answers():
    assert check_notary(NOTARY, service=NOTARY.name, keys=["other", NOTARY.key]) == NOTARY.key
    with pytest.raises(RequestRefusedError, match="this is 'O=Other"):
        check_notary(NOTARY, service="O=Other, L=London, C=GB", keys=[NOTARY.key])
    with pytest.raises(RequestRefusedError, match="no key") as error:
        check_notary(Notary(name=NOTARY.name, key="x"), service=NOTARY.name, keys=[NOTARY.key])
    assert error.value.rejection.kind is ErrorKind.GENERAL
