"""States of an old version of a contract CPK are spent after nodes were upgraded to the next one."""

from dataclasses import replace

from host.domain.capability_error import CapabilityError
from host.ledger.core.components import from_groups
from host.ledger.core.metadata import named_cpks
from tests.ledger.ledger_nodes import ALICE, BOB, CAROL
from tests.services.support import checksum, contract_cpk, cpi, workflow_cpk


def next_version():
    """A CPI with the same contract CPK in version 2, by the same signers."""
    first = contract_cpk()
    second = replace(
        first,
        identity=replace(first.identity, version="2"),
        file_checksum=checksum("iou-contract 2"),
        code_digest=checksum("code of iou-contract 2"),
    )
    made = cpi(cpks=(second, workflow_cpk()))
    return replace(
        made,
        identity=replace(made.identity, version="2.0"),
        file_checksum=checksum("cpi iou 2.0"),
    )


def cpk_of(nodes, name, transaction_id):
    """The checksum of the contract CPK that a stored transaction names."""
    content = from_groups(nodes.stored(name, transaction_id).signed.groups)
    (named,) = named_cpks(content.metadata)
    return named.file_checksum


def test_states_of_version_1_are_spent_with_version_2_and_the_chain_has_both(nodes):
    old, new = nodes.cpi, next_version()
    nodes.stored_cpks.cpis += [old, new]
    (first,) = nodes.final(1)
    (issued,) = nodes.final(2, inputs=[first])
    nodes.cpis = {ALICE: new, CAROL: new}

    (spent,) = nodes.final(3, others=(CAROL,), inputs=[issued])

    ids = [ref.rpartition(":")[0] for ref in (first, issued, spent)]
    assert [nodes.statuses(each, ALICE, CAROL) for each in ids] == [["V", "V"]] * 3
    old_cpk, new_cpk = (each.contract_cpks()[0].file_checksum for each in (old, new))
    assert [cpk_of(nodes, CAROL, each) for each in ids] == [old_cpk, old_cpk, new_cpk]
    assert {ran for run in nodes.contracts.ran for ran in run} == {old_cpk, new_cpk}
    assert nodes.unconsumed(CAROL) == [3]


def test_a_counterparty_with_the_old_version_refuses_until_it_is_upgraded(nodes):
    old, new = nodes.cpi, next_version()
    nodes.stored_cpks.cpis += [old, new]
    (issued,) = nodes.final(1)
    nodes.cpis = {ALICE: new}

    signed = nodes.build(2, inputs=[issued])
    refused = nodes.finality(signed, BOB).result
    assert isinstance(refused, CapabilityError)
    assert "cpk-unknown" in (refused.code, refused.reason_code, refused.message)
    assert nodes.statuses(signed["id"], BOB) == [None], "nothing is stored of it"

    nodes.cpis[BOB] = new
    (spent,) = nodes.final(3, inputs=[issued])
    assert nodes.statuses(spent.rpartition(":")[0], ALICE, BOB) == ["V", "V"]


def test_another_signers_cpk_of_the_same_name_is_no_version_of_it(nodes):
    old, new = nodes.cpi, next_version()
    (stranger,) = new.contract_cpks()
    identity = replace(stranger.identity, signer_summary_hash=checksum("mallory"))
    other = replace(new, cpks=(replace(stranger, identity=identity), workflow_cpk()))
    nodes.stored_cpks.cpis += [old, other]
    (issued,) = nodes.final(1)
    nodes.cpis = {ALICE: other, CAROL: other}

    signed = nodes.build(2, inputs=[issued], signatories=(ALICE, CAROL))
    refused = nodes.finality(signed, CAROL).result
    assert isinstance(refused, CapabilityError)
    assert nodes.statuses(issued.rpartition(":")[0], CAROL) != ["V"]
