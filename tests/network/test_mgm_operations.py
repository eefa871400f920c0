"""What operators of an MGM do: rules, tokens, decisions, suspension and parameters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from host.domain.errors import ConflictError, InvalidInputError, NotFoundError
from host.domain.x500 import MemberX500Name
from host.network.membership.approval import ApprovalRuleInvalidError
from host.network.membership.mgm_operations import MgmRequiredError, OperationsOfMgm
from host.ports.mgm import MgmOperations, RuleKind, TokenStatus
from host.runtime.rpc import RpcClient, RpcServer, Service
from host.runtime.wiring.services import MGM as MGM_SERVICE
from tests.network.dynamic_networks import MGM, Network, identity, member_name

ALICE, BOB = member_name(0), member_name(1)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["here", "elsewhere"])
def operations(
    request: pytest.FixtureRequest, network: Network, tmp_path: Path
) -> Iterator[MgmOperations]:
    """The operations in this process, and as processes of other kinds reach them."""
    here = OperationsOfMgm(network.mgm.access, network.mgm.worker)
    if request.param == "here":
        yield here
        return
    server = RpcServer(tmp_path / "membership-0.sock", b"k" * 32, [Service(MGM_SERVICE, here)])
    server.start()
    client = RpcClient(tmp_path, "membership-*", b"k" * 32)
    yield client.proxy(MGM_SERVICE)
    client.close()
    assert server.stop(10)


def test_rules_and_tokens_decide_who_is_approved_by_hand(
    network: Network, operations: MgmOperations
) -> None:
    mgm = network.mgm_hash
    operations.add_approval_rule(mgm, RuleKind.STANDARD, "^corda.*", "all")
    owner = MemberX500Name.parse(BOB)
    token = operations.generate_pre_auth_token(mgm, owner, ttl_ms=60_000)

    by_hand = network.join(ALICE, 1)
    with_token = network.join(BOB, 1, **{"corda.auth.token": token.token_id})
    network.settle()

    assert network.status(ALICE, by_hand)[0] == "PENDING_MANUAL_APPROVAL"
    assert network.status(BOB, with_token)[0] == "APPROVED"
    (used,) = operations.pre_auth_tokens(mgm, view_inactive=True)
    assert used.status is TokenStatus.CONSUMED
    with pytest.raises(ConflictError):
        operations.revoke_pre_auth_token(mgm, token.token_id, None)
    (open_one,) = operations.registrations(mgm)
    operations.approve(mgm, open_one.registration_id)
    network.settle()
    assert network.status(ALICE, by_hand)[0] == "APPROVED"
    assert network.head(ALICE) == network.head(MGM)


def test_declined_registrations_tell_the_operators_reason(
    network: Network, operations: MgmOperations
) -> None:
    mgm = network.mgm_hash
    rule = operations.add_approval_rule(mgm, RuleKind.STANDARD, ".*", None)
    request = network.join(ALICE, 1)
    network.settle()

    operations.decline(mgm, request, "not now")
    network.settle()
    assert network.status(ALICE, request) == ("DECLINED", "not now")
    for refused in (operations.approve, operations.force_decline):
        with pytest.raises(InvalidInputError):
            refused(mgm, request)
    with pytest.raises(NotFoundError):
        operations.force_decline(mgm, "unknown")
    operations.delete_approval_rule(mgm, RuleKind.STANDARD, rule.rule_id)
    with pytest.raises(NotFoundError):
        operations.delete_approval_rule(mgm, RuleKind.STANDARD, rule.rule_id)


def test_wrong_input_of_operators_is_refused(network: Network, operations: MgmOperations) -> None:
    mgm = network.mgm_hash
    operations.add_approval_rule(mgm, RuleKind.PREAUTH, "a", None)

    with pytest.raises(ConflictError):
        operations.add_approval_rule(mgm, RuleKind.PREAUTH, "a", None)
    with pytest.raises(ApprovalRuleInvalidError):
        operations.add_approval_rule(mgm, RuleKind.STANDARD, "(?=a)", None)
    for entries in ({"corda.epoch": "2"}, {"corda.minimum.platform.version": "4"}):
        with pytest.raises(InvalidInputError):
            operations.update_group_parameters(mgm, entries)
    with pytest.raises(InvalidInputError):
        operations.suspend(mgm, MemberX500Name.parse(ALICE), None, None)
    with pytest.raises(InvalidInputError):
        operations.allow_client_certificate_subject(mgm, ALICE)
    network.join(ALICE, 0)
    with pytest.raises(MgmRequiredError):
        operations.info(identity(ALICE).short_hash)


def test_parameters_are_replaced_with_a_new_epoch(
    network: Network, operations: MgmOperations
) -> None:
    found = operations.update_group_parameters(network.mgm_hash, {"ext.a": "1"})
    again = operations.update_group_parameters(network.mgm_hash, {"ext.a": "1"})

    assert (found.parameters.epoch, found.parameters.custom) == (2, (("ext.a", "1"),))
    assert again.hash == found.hash


def test_policy_and_subjects_and_members_are_those_of_the_mgm(
    network: Network, operations: MgmOperations
) -> None:
    mgm = network.mgm_hash
    assert operations.info(mgm) == network.policy
    network.join(ALICE, 1)
    network.settle()
    name = MemberX500Name.parse(ALICE)
    operations.suspend(mgm, name, 1, "a test")
    with pytest.raises(ConflictError, match="serial 2"):
        operations.activate(mgm, name, 1, None)
    operations.activate(mgm, name, 2, None)
    network.settle()
    assert network.head(ALICE) == network.head(MGM)
    assert [each.status for each in operations.registrations(mgm, view_historic=True)] == [
        "APPROVED"
    ]
    with pytest.raises(InvalidInputError):
        operations.disallow_client_certificate_subject(mgm, ALICE)


def test_every_operation_of_an_mgm_can_be_called_from_another_process() -> None:
    named = {name for name in vars(MgmOperations) if not name.startswith("_")}
    assert set(MGM_SERVICE.methods) == named
