"""Registration: the states of both sides, the MGM's checks, differences and approval rules."""

from dataclasses import replace

import pytest

from host.domain.ids import EpochMs
from host.domain.x500 import MemberX500Name
from host.network.membership import member_side, mgm_side
from host.network.membership.approval import (
    ApprovalRuleInvalidError,
    check_expression,
    is_manual,
)
from host.network.membership.checks import GroupFacts, registration_fault
from host.network.membership.diff import changed_entries, forbidden_changes
from host.network.membership.member_side import MemberInput
from host.network.membership.mgm_side import MgmInput
from host.network.membership.registration import RegistrationStatus as Status
from host.network.membership.times import NetworkTimes
from host.ports.mgm import PreAuthToken, TokenStatus

ALICE = "O=Alice, L=London, C=GB"
SERVICE = "O=Notary Service, L=London, C=GB"
GROUP = "83d48afa-ebb3-4ae3-91c7-3615e6f86f5f"
NOW = EpochMs(1000)
MEMBER = {
    "corda.name": ALICE,
    "corda.groupId": GROUP,
    "corda.session.keys.0.pem": "S",
    "corda.ledger.keys.0.pem": "L",
    "corda.endpoints.0.connectionURL": "https://alice.example:8080",
    "corda.endpoints.0.protocolVersion": "1",
    "corda.cpi.version": "1",
}
NOTARY = {
    **{key: value for key, value in MEMBER.items() if "ledger" not in key},
    "corda.notary.keys.0.pem": "N",
    "corda.roles.0": "notary",
    "corda.notary.service.name": SERVICE,
    "corda.notary.service.flow.protocol.name": "com.example.notary",
}
FACTS = GroupFacts(
    group_id=GROUP,
    mgm="O=MGM, L=London, C=GB",
    newest=None,
    newest_serial=0,
    members=frozenset({"O=MGM, L=London, C=GB"}),
    services={},
    token=None,
    subjects=None,
    now=NOW,
)
TOKEN = PreAuthToken(
    token_id="t",  # an id
    owner=MemberX500Name.parse(ALICE),
    status=TokenStatus.AVAILABLE,
    ttl_at=EpochMs(1001),
)
FIRST = {"corda.serial": "0"}
WITH_TOKEN = {**FIRST, "corda.auth.token": "t"}
AGAIN = replace(FACTS, newest=MEMBER, newest_serial=2, members=FACTS.members | {ALICE})


def _without(context: dict[str, str], *keys: str) -> dict[str, str]:
    return {key: value for key, value in context.items() if key not in keys}


@pytest.mark.parametrize(
    ("member", "registration", "facts"),
    [
        (MEMBER, FIRST, FACTS),
        (NOTARY, FIRST, FACTS),
        (MEMBER, WITH_TOKEN, replace(FACTS, token=TOKEN)),
        (MEMBER, {"corda.serial": "2"}, AGAIN),
        ({**MEMBER, "ext.a": "b", "corda.cpi.version": "2"}, {"corda.serial": "3"}, AGAIN),
        (
            {**MEMBER, "corda.tls.certificate.subject": "CN=a"},
            FIRST,
            replace(FACTS, subjects=frozenset({"CN=a"})),
        ),
        (
            {**MEMBER, "cordbox.location.id": "x", "cordbox.location.epoch": "1"},
            {"corda.serial": "2"},
            AGAIN,
        ),
    ],
)
def test_valid_registrations_pass(
    member: dict[str, str], registration: dict[str, str], facts: GroupFacts
) -> None:
    assert registration_fault(member, registration, facts) is None


@pytest.mark.parametrize(
    ("member", "registration", "facts", "told"),
    [
        ({**MEMBER, "corda.name": FACTS.mgm}, FIRST, FACTS, "registering an MGM"),
        (MEMBER, FIRST, replace(FACTS, services={ALICE: "N"}), "notary service"),
        (MEMBER, {}, FACTS, "serial is missing"),
        (MEMBER, {"corda.serial": "-1"}, FACTS, "serial is missing"),
        (MEMBER, {"corda.serial": "1"}, FACTS, "must have serial 0"),
        (MEMBER, FIRST, AGAIN, "registered already"),
        (MEMBER, {"corda.serial": "1"}, AGAIN, "below the newest"),
        (MEMBER, WITH_TOKEN, FACTS, "unknown"),
        (
            MEMBER,
            WITH_TOKEN,
            replace(FACTS, token=replace(TOKEN, status=TokenStatus.CONSUMED)),
            "used",
        ),
        (
            MEMBER,
            WITH_TOKEN,
            replace(FACTS, token=replace(TOKEN, owner=MemberX500Name.parse(SERVICE))),
            "of another",
        ),
        (MEMBER, WITH_TOKEN, replace(FACTS, token=replace(TOKEN, ttl_at=NOW)), "expired"),
        ({**MEMBER, "corda.groupId": "x"}, FIRST, FACTS, "Group ID"),
        (
            {**MEMBER, "corda.session.keys.0.pem": "T"},
            {"corda.serial": "2"},
            AGAIN,
            "[corda.session.keys.0.pem] cannot be",
        ),
        (
            _without(MEMBER, "corda.endpoints.0.connectionURL"),
            FIRST,
            FACTS,
            "no endpoints",
        ),
        (_without(MEMBER, "corda.endpoints.0.protocolVersion"), FIRST, FACTS, "protocolVersion"),
        (
            {**MEMBER, "corda.endpoints.0.connectionURL": "http://alice.example"},
            FIRST,
            FACTS,
            "https",
        ),
        (
            {**MEMBER, "corda.endpoints.0.connectionURL": "https://u:p@alice.example"},
            FIRST,
            FACTS,
            "user information",
        ),
        (
            {**MEMBER, "corda.endpoints.0.connectionURL": "https://alice.example:99999"},
            FIRST,
            FACTS,
            "no URL",
        ),
        (_without(MEMBER, "corda.session.keys.0.pem"), FIRST, FACTS, "no session keys"),
        (_without(MEMBER, "corda.ledger.keys.0.pem"), FIRST, FACTS, "no ledger keys"),
        ({**MEMBER, "corda.roles.0": "king"}, FIRST, FACTS, "Unknown role"),
        ({**NOTARY, "corda.ledger.keys.0.pem": "L"}, FIRST, FACTS, "must not have ledger"),
        (_without(NOTARY, "corda.notary.keys.0.pem"), FIRST, FACTS, "at least one notary key"),
        ({**NOTARY, "corda.notary.service.name": " "}, FIRST, FACTS, "non-empty service name"),
        ({**NOTARY, "corda.notary.service.name": ALICE}, FIRST, FACTS, "has its name"),
        ({**NOTARY, "corda.notary.service.name": FACTS.mgm}, FIRST, FACTS, "has its name"),
        (NOTARY, FIRST, replace(FACTS, services={SERVICE: "other"}), "already exists"),
        (
            _without(NOTARY, "corda.notary.service.flow.protocol.name"),
            FIRST,
            FACTS,
            "no flow protocol",
        ),
        (
            {**NOTARY, "corda.notary.service.flow.protocol.version.0": "one"},
            FIRST,
            FACTS,
            "whole number",
        ),
        (MEMBER, FIRST, replace(FACTS, subjects=frozenset()), "subject is missing"),
        (
            {**MEMBER, "corda.tls.certificate.subject": "CN=b"},
            FIRST,
            replace(FACTS, subjects=frozenset({"CN=a"})),
            "not allowed",
        ),
        (
            {**MEMBER, "cordbox.location.id": "x"},
            {"corda.serial": "2"},
            AGAIN,
            "location-taken",
        ),
    ],
)
def test_registrations_are_declined_with_a_reason(
    member: dict[str, str], registration: dict[str, str], facts: GroupFacts, told: str
) -> None:
    assert told in (registration_fault(member, registration, facts) or "")


def test_differences_name_what_is_added_changed_or_removed() -> None:
    after = {**_without(MEMBER, "corda.cpi.version"), "ext.a": "1", "corda.registration.id": "r"}

    assert changed_entries(MEMBER, after) == ["corda.cpi.version", "ext.a"]
    assert forbidden_changes(MEMBER, after) == []


def test_backchain_flag_may_be_added_and_not_changed() -> None:
    flag = "corda.notary.service.backchain.required"

    assert forbidden_changes(NOTARY, {**NOTARY, flag: "true"}) == []
    assert forbidden_changes({**NOTARY, flag: "true"}, {**NOTARY, flag: "false"}) == [flag]


@pytest.mark.parametrize("regex", ["", "  ", "(", r"(a)\1", "a(?=b)", "x" * 1001, "(a{999}){999}"])
def test_expressions_that_are_none_or_not_linear_are_refused(regex: str) -> None:
    with pytest.raises(ApprovalRuleInvalidError):
        check_expression(regex)


def test_rules_are_searched_in_names_of_entries() -> None:
    changed = ["corda.endpoints.0.connectionURL", "ext.a"]

    assert is_manual(["nothing", "^corda.*"], changed)
    assert not is_manual(["^ext$"], changed)
    assert not is_manual([".*"], [])
    assert is_manual(["("], changed)


def test_statuses_at_the_member_only_rise() -> None:
    for status in Status:
        for told in [*Status, "nonsense"]:
            found = member_side.updated(status, str(told))
            if found is not None:
                assert member_side.RANKS[found] > member_side.RANKS[status]
                assert member_side.is_open(status)
    assert member_side.updated(Status.SENT_TO_MGM, "DECLINED") is Status.DECLINED
    assert member_side.updated(Status.APPROVED, "DECLINED") is None
    assert member_side.updated(Status.NEW, "FAILED") is None


def test_ended_and_unknown_requests_are_denied() -> None:
    assert not member_side.answers_verification(None)
    assert not member_side.answers_verification(Status.INVALID)
    assert member_side.answers_verification(Status.NEW)
    assert (
        member_side.step(Status.NEW, MemberInput.VERIFICATION_ASKED)
        is Status.PENDING_MEMBER_VERIFICATION
    )
    assert member_side.step(Status.APPROVED, MemberInput.UNSENT) is None


def test_path_of_a_request_at_the_mgm() -> None:
    path = [Status.RECEIVED_BY_MGM]
    for happened in (
        MgmInput.FIRST_OF_NAME,
        MgmInput.CHECKS_HOLD,
        MgmInput.VERIFIED_MANUAL,
        MgmInput.APPROVED,
    ):
        found = mgm_side.step(path[-1], happened)
        assert found is not None
        path.append(found)

    assert path == [
        Status.RECEIVED_BY_MGM,
        Status.STARTED_PROCESSING_BY_MGM,
        Status.PENDING_MEMBER_VERIFICATION,
        Status.PENDING_MANUAL_APPROVAL,
        Status.APPROVED,
    ]


def test_nothing_happens_out_of_order_or_after_the_end() -> None:
    for status in Status:
        steps = [each for each in MgmInput if mgm_side.step(status, each) is not None]
        assert len(steps) <= (3 if status is Status.PENDING_MEMBER_VERIFICATION else 2)
        assert bool(steps) == (status in mgm_side.OPEN)
        assert mgm_side.step(status, MgmInput.APPROVED) is None or status.value.startswith("PEND")


def test_only_approval_by_hand_never_expires() -> None:
    endless = [s for s in mgm_side.OPEN if mgm_side.due_at(s, NOW, NetworkTimes()) is None]

    assert endless == [Status.PENDING_MANUAL_APPROVAL]
    assert (
        mgm_side.due_at(Status.PENDING_MEMBER_VERIFICATION, NOW, NetworkTimes())
        == NOW + 20 * 60_000
    )
    assert mgm_side.due_at(Status.APPROVED, NOW, NetworkTimes()) is None
