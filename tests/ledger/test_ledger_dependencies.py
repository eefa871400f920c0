"""What is shown of dependencies: to receivers, and to notaries that verify contracts."""

from dataclasses import replace

import pytest

from host.domain.capability_error import CapabilityError
from host.domain.membership import GroupParameters, NotaryInfo
from host.domain.x500 import MemberX500Name
from host.keys import SchemePublicKeys
from host.ledger.core.components import Group, from_groups
from host.ledger.core.filtered import filter_transaction
from host.ledger.core.filtered_json import filtered_json
from host.ledger.core.messages import Dependency
from host.ledger.core.model import StateRef
from host.ledger.functions.filtered_dependencies import read_dependencies
from tests.ledger.transactions import NOTARY, transaction
from tests.services.support import holding

ALICE = "O=Alice, L=London, C=GB"
METADATA = {"membershipGroupParametersHash": "SHA-256:AB"}
KEEP = {Group.NOTARY: range(3), Group.OUTPUTS_INFO: [0], Group.OUTPUTS: [0]}


class Members:
    """A group whose one notary is that of the transactions."""

    def parameters(self, _holding, _named):
        info = NotaryInfo(
            name=MemberX500Name.parse(NOTARY.name),
            protocol="p",
            protocol_versions=(1,),
            public_key=NOTARY.key,
            backchain_required=False,
        )
        found = GroupParameters.__new__(GroupParameters)
        object.__setattr__(found, "notaries", (info,))
        return type("Signed", (), {"parameters": found})()


def refusal(keep, notary=NOTARY):
    """How a transaction is refused that names the first output of another one."""
    made = transaction(notary=notary, metadata=METADATA)
    content = from_groups(transaction(inputs=[StateRef(made.id, 0)], metadata=METADATA).groups)
    shown = Dependency(filtered=filtered_json(filter_transaction(made, keep)), signatures=[])
    with pytest.raises(CapabilityError) as refused:
        read_dependencies(
            content,
            [shown],
            members=Members(),
            holding=holding(ALICE),
            public_keys=SchemePublicKeys(),
        )
    return refused.value.code, refused.value.message


def without(group):
    return {kept: indexes for kept, indexes in KEEP.items() if kept is not group}


@pytest.mark.parametrize(
    ("keep", "notary", "code", "message"),
    [
        (KEEP, NOTARY, "dependencies-mismatch", "has no signature of its notary"),
        (without(Group.NOTARY), NOTARY, "dependencies-mismatch", "does not show the notary"),
        (KEEP | {Group.NOTARY: [0, 2]}, NOTARY, "filtered-invalid", "expected a text"),
        (KEEP | {Group.NOTARY: [1, 2]}, NOTARY, "dependencies-mismatch", "not show the notary"),
        (
            KEEP,
            replace(NOTARY, name="O=Other, L=London, C=GB"),
            "dependencies-mismatch",
            "does not show the notary",
        ),
        (KEEP, replace(NOTARY, key="other"), "dependencies-mismatch", "names a notary key"),
        (KEEP | {Group.OUTPUTS: None}, NOTARY, "dependencies-mismatch", "are not those"),
        (without(Group.OUTPUTS), NOTARY, "dependencies-mismatch", "are not those"),
        (without(Group.OUTPUTS_INFO), NOTARY, "filtered-invalid", "show different components"),
    ],
)
def test_what_is_hidden_or_of_another_notary_is_refused(keep, notary, code, message):
    found = refusal(keep, notary)
    assert found[0] == code
    assert message in found[1]
