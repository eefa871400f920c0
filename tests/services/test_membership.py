import json
import threading
from dataclasses import replace

import pytest

from cpi.package.group_policy_generation import generate_static_policy
from host.adapters.sqlite.database import Database
from host.domain.capability_error import CapabilityError
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.group_parameters import (
    GroupParametersInvalidError,
    SignedGroupParameters,
    group_parameters_hash,
    group_parameters_json,
    signed_bytes,
)
from host.domain.ids import ShortHash
from host.domain.json import canonical_json
from host.domain.membership import MemberStatus
from host.domain.vnode import VirtualNode
from host.domain.x500 import MemberX500Name
from host.keys import SCHEMA as KEYS
from host.keys import SchemePublicKeys, SoftKeyStore
from host.network.membership import (
    SCHEMA,
    MemberDirectory,
    MembershipCapability,
    MembershipService,
    RegistrationStatus,
)
from host.network.membership.directory import add_member
from host.network.membership.errors import GroupParametersUnknownError
from host.network.membership.registration import static_network
from host.network.membership.static_mgm import StaticMgm
from host.ports.keys import KeyCategory
from tests.services.support import (
    ALICE,
    BOB,
    CLAIMANT,
    GROUP_ID,
    NOW,
    MemoryMasterKeys,
    context,
    cpi,
    holding,
)

EC, SPEC = "CORDA.ECDSA.SECP256R1", "SHA256withECDSA"
CHARLIE = "O=Charlie, L=London, C=GB"
SERVICE = "O=MyNotaryService, L=London, C=GB"
CONTEXT = {"corda.key.scheme": EC}
NOTARY = {
    **CONTEXT,
    "corda.roles.0": "notary",
    "corda.notary.service.name": "C=GB, L=London, O=MyNotaryService",
    "corda.notary.service.flow.protocol.name": "com.r3.corda.notary.plugin.nonvalidating",
    "corda.notary.service.flow.protocol.version.0": "1",
    "corda.notary.service.backchain.required": "False",
}


class Stored:
    """Virtual nodes and packages that a test has put there."""

    def __init__(self, records):
        self.records = records
        self.nodes = {}

    def add(self, name, record, group_id=GROUP_ID):
        node = VirtualNode(
            holding=holding(name, group_id),
            cpi_checksum=record.file_checksum,
            granted_capabilities=(),
            created_at=NOW,
        )
        self.nodes[node.holding.short_hash] = node

    def get(self, key):
        return self.nodes.get(key) or self.records.get(key)

    def all(self):
        return list(self.records.values())

    def cpis_of_group(self, group_id):
        nodes = [n for n in self.nodes.values() if n.holding.group_id == group_id]
        return sorted({n.cpi_checksum for n in nodes})

    def founders(self, group_id):
        """Who signed the first of the group's CPIs."""
        of_group = [r for r in self.records.values() if r.group_id == group_id]
        return of_group[0].identity.signer_summary_hash if of_group else None


@pytest.fixture(scope="session")
def policy():
    return generate_static_policy(
        names=["C=GB, L=London, O=Alice", "C=GB,L=London,O=Bob"],
        group_id=GROUP_ID,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )


class World:
    def __init__(self, database, clock, entropy, policy):
        self.database = database
        self.record = cpi(group_policy=policy)
        self.stored = Stored({self.record.file_checksum: self.record})
        for name in (ALICE, BOB, CHARLIE):
            self.stored.add(name, self.record)
        self.clock = clock
        self.keys = SoftKeyStore(database, masters=MemoryMasterKeys(), clock=clock, entropy=entropy)
        self.members = MemberDirectory(database, public_keys=SchemePublicKeys())
        self.service = MembershipService(
            database=database,
            virtual_nodes=self.stored,
            packages=self.stored,
            keys=self.keys,
            public_keys=SchemePublicKeys(),
            clock=clock,
            entropy=entropy,
            claimant=CLAIMANT,
        )

    def register(self, name, context=CONTEXT):
        return self.service.register(holding(name).short_hash, context)

    def lookup(self, viewer, /, **request):
        return MembershipCapability(self.members).call(context(viewer), "lookup", request)


@pytest.fixture
def world(tmp_path, clock, entropy, policy):
    with Database.open(tmp_path / "cluster.sqlite", [KEYS, SCHEMA]) as database:
        yield World(database, clock, entropy, policy)


def test_registration_is_approved_at_once_and_seen_by_all(world, clock):
    clock.advance(7)
    done = world.register(ALICE)
    assert (done.status, done.reason, done.serial) == (RegistrationStatus.APPROVED, None, 1)
    assert (done.context, done.sent_at) == (CONTEXT, NOW + 7)
    assert world.service.request(holding(ALICE).short_hash, done.registration_id) == done
    assert list(world.service.requests(holding(ALICE).short_hash)) == [done]
    for viewer in (ALICE, BOB, CHARLIE):
        (member,) = world.members.active(holding(viewer))
        assert member.name == MemberX500Name.parse(ALICE)
    world.register(BOB)
    assert [str(m.name) for m in world.members.active(holding(CHARLIE))] == [ALICE, BOB]
    first = world.members.active(holding(CHARLIE), limit=1)
    behind = world.members.active(holding(CHARLIE), after=ALICE, limit=9)
    assert [str(m.name) for m in (*first, *behind)] == [ALICE, BOB]
    assert list(world.members.active(holding(CHARLIE), after=BOB)) == []


def test_the_policy_of_a_network_is_read_once_for_all_its_members(world):
    static_network.cache_clear()
    for name in (ALICE, BOB):
        assert world.register(name).status is RegistrationStatus.APPROVED
    assert world.register(CHARLIE).status is RegistrationStatus.INVALID
    assert static_network.cache_info().misses == 1


def test_the_member_context_carries_cordas_keys(world):
    done = world.register(ALICE, {**CONTEXT, "ext.department": "treasury"})
    (key,) = world.keys.list(holding(ALICE).short_hash)
    (member,) = world.members.active(holding(BOB))
    assert (key.category, key.scheme) == (KeyCategory.LEDGER, EC)
    expected = {
        "corda.name": ALICE,
        "corda.groupId": GROUP_ID,
        "corda.platformVersion": "50200",
        "corda.softwareVersion": "5.2.0.0",
        "corda.cpi.name": "iou",
        "corda.cpi.version": "1.0",
        "corda.registration.id": done.registration_id,
        "corda.ledger.keys.0.pem": key.public_key,
        "corda.ledger.keys.0.hash": SchemePublicKeys().digest(key.public_key),
        "corda.ledger.keys.0.signature.spec": "SHA256withECDSA",
        "corda.session.keys.0.pem": key.public_key,
        "corda.endpoints.0.connectionURL": "https://localhost:1080",
        "corda.endpoints.0.protocolVersion": "1",
        "ext.department": "treasury",
    }
    assert expected.items() <= dict(member.member_context).items()
    assert dict(member.mgm_context) == {
        "corda.status": "ACTIVE",
        "corda.serial": "1",
        "corda.creationTime": "2025-11-21T04:40:00.000000Z",
        "corda.modifiedTime": "2025-11-21T04:40:00.000000Z",
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"corda.key.scheme": None}, "Key scheme must be specified"),
        ({"corda.key.scheme": "CORDA.OTHER"}, "CORDA.OTHER"),
        ({"corda.other": "x"}, "'corda.other' is not defined"),
        ({"ext.": "x"}, "not defined"),
        ({"ext.a_b": "x"}, "not defined"),
        ({"ext.a": "x" * 801}, "longer than 800"),
        ({"corda.roles.0": "king"}, "king"),
        ({"corda.roles.0": "notary"}, "corda.notary.service.flow.protocol.name"),
        ({**NOTARY, "corda.notary.service.name": ""}, "non-empty service name"),
        ({**NOTARY, "corda.notary.service.name": "x"}, "corda.notary.service.name"),
        ({**NOTARY, "corda.notary.service.name": ALICE}, "name of a member"),
        ({**NOTARY, "corda.notary.service.backchain.required": "yes"}, "'true' or 'false'"),
        ({**NOTARY, "corda.notary.service.flow.protocol.version.0": "a"}, "whole number"),
    ],
)
def test_a_wrong_context_is_invalid_with_a_reason_and_leaves_no_member(world, changes, reason):
    wrong = {k: v for k, v in {**CONTEXT, **changes}.items() if v is not None}
    done = world.register(ALICE, wrong)
    assert done.status is RegistrationStatus.INVALID
    assert reason in done.reason
    assert list(world.members.active(holding(ALICE))) == []
    assert world.register(ALICE).status is RegistrationStatus.APPROVED


def test_a_name_outside_the_static_network_is_invalid(world):
    done = world.register(CHARLIE)
    assert done.status is RegistrationStatus.INVALID
    assert "not listed in the static member list" in done.reason
    assert list(world.keys.list(holding(CHARLIE).short_hash)) == []


def test_a_second_registration_is_invalid_and_changes_nothing(world, clock):
    world.register(ALICE)
    before = list(world.members.active(holding(ALICE)))
    clock.advance(1)
    again = world.register(ALICE)
    assert again.status is RegistrationStatus.INVALID
    assert "registered already" in again.reason
    assert list(world.members.active(holding(ALICE))) == before
    requests = world.service.requests(holding(ALICE).short_hash)
    assert [request.status for request in requests] == ["INVALID", "APPROVED"]


def test_a_notary_enters_the_group_parameters(world, clock):
    world.register(ALICE)
    first = world.members.parameters(holding(BOB)).parameters
    assert (first.epoch, first.notaries, first.minimum_platform_version) == (1, (), 50000)
    clock.advance(1000)
    assert world.register(BOB, NOTARY).status is RegistrationStatus.APPROVED
    second = world.members.parameters(holding(ALICE)).parameters
    assert (second.epoch, second.modified_at) == (2, first.modified_at + 1000)
    (notary,) = second.notaries
    keys = {key.category: key for key in world.keys.list(holding(BOB).short_hash)}
    assert set(keys) == {KeyCategory.LEDGER, KeyCategory.NOTARY}
    assert notary.public_key == keys[KeyCategory.NOTARY].public_key
    assert (str(notary.name), notary.protocol_versions, notary.backchain_required) == (
        SERVICE,
        (1,),
        False,
    )
    info = dict(world.members.lookup(holding(ALICE), MemberX500Name.parse(BOB)).member_context)
    assert info["corda.roles.0"] == "notary"
    assert info["corda.notary.service.name"] == SERVICE
    assert info["corda.notary.keys.0.pem"] == notary.public_key


def test_every_version_of_group_parameters_is_kept_and_signed(world, clock):
    world.register(ALICE)
    first = world.members.parameters(holding(ALICE))
    world.register(BOB, NOTARY)
    second = world.members.parameters(holding(BOB))
    assert (first.parameters.epoch, second.parameters.epoch) == (1, 2)
    assert world.members.parameters(holding(CHARLIE), first.hash) == first
    assert world.members.parameters_history(holding(ALICE)) == [second, first]
    assert world.members.parameters_history(holding(ALICE), before=2) == [first]
    assert world.members.parameters_history(holding(ALICE), limit=1) == [second]
    assert first.hash == group_parameters_hash(first.parameters)
    (key,) = world.keys.list("p2p")
    assert (key.alias, key.category) == (f"static-mgm-{GROUP_ID}", KeyCategory.SESSION_INIT)
    for signed in (first, second):
        assert signed.signer_key == key.public_key
        data = b" " * 64 + b"cordbox/v1/group-parameters\0" + signed.content
        assert SchemePublicKeys().verify(key.public_key, data, signed.signature, signed.spec)
    with pytest.raises(GroupParametersUnknownError, match="SHA-256:0"):
        world.members.parameters(holding(ALICE), "SHA-256:0")


def forged(world, name, **changes):
    """Parameters of a later epoch by a key of the cluster, and what is changed of them."""
    key = world.keys.create("p2p", KeyCategory.SESSION_INIT, name, EC)
    newest = world.members.parameters(holding(ALICE)).parameters
    content = canonical_json(group_parameters_json(replace(newest, epoch=9)))
    return SignedGroupParameters(
        **{
            "content": content,
            "signature": world.keys.sign("p2p", key.public_key, signed_bytes(content), SPEC),
            "signer_key": key.public_key,
            "spec": SPEC,
            "at": NOW,
            **changes,
        }
    )


def test_parameters_from_elsewhere_are_kept_if_the_mgm_signed_them(world):
    world.register(ALICE)
    newest = world.members.parameters(holding(ALICE))
    later = StaticMgm(keys=world.keys, public_keys=SchemePublicKeys(), clock=world.clock).sign(
        replace(newest.parameters, epoch=7)
    )
    world.members.keep_parameters(holding(BOB), later)
    world.members.keep_parameters(holding(BOB), replace(later, at=NOW + 5))
    assert world.members.parameters(holding(ALICE)) == later
    assert world.members.parameters(holding(ALICE), newest.hash) == newest
    good = later.content
    for wrong in (
        forged(world, "stranger"),
        forged(world, "thief", signer_key=newest.signer_key),
        replace(later, signature=b"x"),
        replace(later, content=good.replace(b'"epoch":7', b'"epoch":8')),
        replace(later, content=good.replace(b'"epoch":7', b'"epoch": 7')),
        replace(later, content=good.replace(b'"epoch":7', b'"epoch":0')),
        replace(later, content=good + b" "),
        replace(later, content=b"{}"),
        replace(later, content=b" " * 300_000),
        replace(later, content=good.replace(GROUP_ID.encode(), b"0" * 36)),
        replace(later, spec="NONE"),
        replace(later, signer_key="no key"),
    ):
        with pytest.raises(InvalidInputError):
            world.members.keep_parameters(holding(ALICE), wrong)
    stranger = holding(ALICE, "00000000-0000-4000-8000-000000000000")
    with pytest.raises(GroupParametersInvalidError):
        world.members.keep_parameters(stranger, later)
    assert len(world.members.parameters_history(holding(ALICE))) == 2


def test_parameters_of_a_hash_are_read_once(world, monkeypatch):
    """Each transaction names some; they never change."""
    world.register(ALICE)
    newest = world.members.parameters(holding(ALICE))
    assert world.members.parameters(holding(ALICE), newest.hash) == newest
    with pytest.raises(GroupParametersUnknownError):
        world.members.parameters(
            holding(ALICE, "00000000-0000-4000-8000-000000000000"), newest.hash
        )
    monkeypatch.setattr(world.members, "_database", None)
    assert world.members.parameters(holding(BOB), newest.hash) == newest


def test_a_member_that_comes_while_another_changes_the_parameters_follows_upon_them(
    world, monkeypatch
):
    """Keys are asked outside the transaction: what was signed must still follow."""
    world.register(ALICE)
    sign, times = StaticMgm.sign, []

    def interrupted(mgm, parameters):
        times.append(parameters.epoch)
        if len(times) == 1:
            newest = world.members.parameters(holding(ALICE)).parameters
            custom = (("ext.x", "1"),)
            between = sign(mgm, replace(newest, epoch=newest.epoch + 1, custom=custom))
            world.members.keep_parameters(holding(ALICE), between)
        return sign(mgm, parameters)

    monkeypatch.setattr(StaticMgm, "sign", interrupted)
    assert world.register(BOB, NOTARY).status is RegistrationStatus.APPROVED
    assert times == [2, 3]
    newest = world.members.parameters(holding(ALICE)).parameters
    assert (newest.epoch, newest.custom, len(newest.notaries)) == (3, (("ext.x", "1"),), 1)


def test_a_notary_service_has_one_node(world):
    assert world.register(ALICE, NOTARY).status is RegistrationStatus.APPROVED
    second = world.register(BOB, NOTARY)
    assert (second.status, "exists already" in second.reason) == (RegistrationStatus.INVALID, True)
    assert world.members.parameters(holding(ALICE)).parameters.epoch == 2


def test_an_interrupted_registration_is_finished_with_the_same_keys(world):
    class Crash(BaseException):
        pass

    def crash(*_args, **_kwargs):
        raise Crash

    finish, world.service._finish = world.service._finish, crash
    with pytest.raises(Crash):
        world.register(ALICE)
    assert list(world.members.active(holding(ALICE))) == []
    keys = list(world.keys.list(holding(ALICE).short_hash))
    world.service._finish = finish
    assert world.service.resume_interrupted() == 1
    assert world.service.resume_interrupted() == 0
    (request,) = world.service.requests(holding(ALICE).short_hash)
    assert request.status is RegistrationStatus.APPROVED
    assert list(world.keys.list(holding(ALICE).short_hash)) == keys


def test_registrations_at_once_leave_one_member(world):
    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(world.register(ALICE).status))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["APPROVED", "INVALID", "INVALID", "INVALID"]
    assert len(world.members.active(holding(ALICE))) == 1
    assert len(world.keys.list(holding(ALICE).short_hash)) == 1


def test_unknown_nodes_and_requests_are_not_found(world):
    with pytest.raises(NotFoundError):
        world.service.register(ShortHash("0" * 12), CONTEXT)
    with pytest.raises(NotFoundError):
        world.service.requests(ShortHash("0" * 12))
    done = world.register(ALICE)
    with pytest.raises(NotFoundError):
        world.service.request(holding(BOB).short_hash, done.registration_id)


def test_too_large_a_context_is_not_stored(world):
    with pytest.raises(InvalidInputError):
        world.register(ALICE, {"a": "x" * 300_000})
    assert list(world.service.requests(holding(ALICE).short_hash)) == []


def test_a_policy_that_is_not_static_is_invalid(world):
    record = cpi(name="broken", group_policy="{}")
    world.stored.records[record.file_checksum] = record
    world.stored.add(ALICE, record)
    done = world.register(ALICE)
    assert done.status is RegistrationStatus.INVALID


def test_groups_do_not_see_each_other(world):
    world.register(ALICE)
    stranger = holding(ALICE, "00000000-0000-4000-8000-000000000000")
    assert list(world.members.active(stranger)) == []
    assert world.members.lookup(stranger, MemberX500Name.parse(ALICE)) is None
    with pytest.raises(GroupParametersUnknownError):
        world.members.parameters(stranger)


def test_a_suspended_member_sees_itself_only(world):
    suspended = world.record.group_policy.replace('"ACTIVE"', '"SUSPENDED"', 1)
    record = cpi(name="suspending", group_policy=suspended)
    world.stored.records[record.file_checksum] = record
    world.stored.add(ALICE, record)
    assert world.register(ALICE).status is RegistrationStatus.APPROVED
    name = MemberX500Name.parse(ALICE)
    assert world.members.lookup(holding(ALICE), name).status is MemberStatus.SUSPENDED
    assert world.members.lookup(holding(BOB), name) is None
    assert list(world.members.active(holding(BOB))) == []


def test_flows_look_members_up(world):
    world.register(ALICE)
    world.register(BOB, NOTARY)
    everybody = world.lookup(ALICE, by="all")
    alice, bob = everybody["results"]
    assert everybody["more"] is False
    assert world.lookup(ALICE, by="all", limit=1) == {"results": [alice], "more": True}
    behind = world.lookup(ALICE, by="all", after=ALICE, limit=1)
    assert behind == {"results": [bob], "more": False}
    assert world.lookup(ALICE, by="all", after=BOB) == {"results": [], "more": False}
    assert alice["name"] == ALICE
    assert world.lookup(ALICE, by="me") == alice
    assert world.lookup(ALICE, by="name", name="C=GB,L=London,O=Bob") == bob
    key = bob["ledgerKeys"][0].replace("\n", "\r\n")
    assert world.lookup(ALICE, by="key", key=key) == bob
    assert world.lookup(ALICE, by="name", name=CHARLIE) is None
    parameters = world.lookup(ALICE, by="group-parameters")
    assert parameters == {
        "groupId": GROUP_ID,
        "epoch": 2,
        "modifiedTime": "2025-11-21T04:40:00.000000Z",
        "minimumPlatformVersion": 50000,
        "notaries": [
            {
                "name": SERVICE,
                "protocol": "com.r3.corda.notary.plugin.nonvalidating",
                "protocolVersions": [1],
                "key": dict(bob["memberContext"])["corda.notary.keys.0.pem"],
                "backchainRequired": False,
            }
        ],
        "custom": {},
    }


def test_an_unregistered_node_finds_nothing(world):
    assert world.lookup(ALICE, by="me") is None
    assert world.lookup(ALICE, by="all") == {"results": [], "more": False}


def test_a_large_group_is_read_in_pages(world):
    """No page is longer than a guest may take, nor reads more of the group than it needs."""
    world.register(ALICE)
    (alice,) = world.members.active(holding(ALICE))
    names = [f"O=Member {number:03}, L=London, C=GB" for number in range(120)]
    large = (("large", "x" * 200_000),)
    for name in names:
        member = replace(
            alice, name=MemberX500Name.parse(name), member_context=large, ledger_keys=(name,)
        )
        world.database.transact(lambda connection, m=member: add_member(connection, m))
    read = []
    active = world.members.active

    def counted(viewer, **request):
        found = active(viewer, **request)
        read.append(len(found))
        return found

    world.members.active = counted
    after, seen = "", []
    while True:
        page = world.lookup(ALICE, by="all", after=after or None, limit=1000)
        assert len(json.dumps(page)) < 4 * 1024 * 1024
        assert sum(read) <= 50
        seen += [member["name"] for member in page["results"]]
        if not page["more"]:
            break
        after, read[:] = seen[-1], []
    assert seen == [ALICE, *names]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "request-invalid"),
        ({"by": "all", "limit": 0}, "request-invalid"),
        ({"by": "all", "limit": 1001}, "request-invalid"),
        ({"by": "all", "after": ""}, "request-invalid"),
        ({"by": "all", "after": 1}, "request-invalid"),
        ({"by": "me", "limit": 1}, "request-invalid"),
        ({"by": "age"}, "request-invalid"),
        ({"by": "me", "name": ALICE}, "request-invalid"),
        ({"by": "name"}, "request-invalid"),
        ({"by": "name", "name": "Bob"}, "x500-name-invalid"),
        ({"by": "key", "key": "k"}, "public-key-invalid"),
        ({"by": "group-parameters"}, "group-parameters-unknown"),
    ],
)
def test_malformed_lookups_are_refused(world, request_, code):
    with pytest.raises(CapabilityError) as refused:
        world.lookup(ALICE, **request_)
    assert refused.value.code == code


class TestGroupsOfOthers:
    """A joiner must be in the member list of those who are in the group."""

    EVIL = "O=Evil, L=London, C=GB"

    def other(self, *names, signer="SHA-256:EVIL", group_id=GROUP_ID):
        text = generate_static_policy(
            names=names,
            group_id=group_id,
            endpoint_url="https://localhost:1080",
            endpoint_protocol=1,
        )
        record = cpi(group_policy=text, name=f"{signer} {len(names)}")
        identity = replace(record.identity, signer_summary_hash=signer)
        checksum = f"SHA-256:{sum(map(ord, signer + str(names))):064X}"
        return replace(record, identity=identity, file_checksum=checksum)

    def join(self, world, record, name):
        world.stored.records[record.file_checksum] = record
        world.stored.add(name, record)
        return world.register(name)

    def test_a_name_of_their_own_list_alone_is_refused(self, world):
        world.register(ALICE)
        done = self.join(world, self.other(self.EVIL, CHARLIE), self.EVIL)
        assert done.status is RegistrationStatus.INVALID
        assert done.reason.startswith(f"member-not-listed: {self.EVIL} is not in the member list")
        assert world.keys.list(holding(self.EVIL).short_hash) == []
        assert len(world.members.active(holding(BOB))) == 1

    def test_before_a_founders_node_is_there_their_newest_cpi_is_asked(self, world):
        world.stored.nodes.clear()
        record = self.other(self.EVIL, BOB)
        assert self.join(world, record, self.EVIL).status is RegistrationStatus.INVALID
        assert self.join(world, record, BOB).status is RegistrationStatus.APPROVED

    def test_the_founders_own_newer_list_waits_for_the_members_that_are_there(self, world):
        """A member of version 2 joins when the nodes that are there have version 2, too."""
        signer = world.record.identity.signer_summary_hash
        newer = self.other(ALICE, BOB, CHARLIE, signer=signer)
        assert "member-not-listed" in self.join(world, newer, CHARLIE).reason
        for name in (ALICE, BOB):
            world.stored.add(name, newer)
        assert world.register(CHARLIE).status is RegistrationStatus.APPROVED

    def test_one_that_was_forced_in_keeps_nobody_out(self, world):
        taken = self.other(BOB)
        assert self.join(world, taken, BOB).status is RegistrationStatus.APPROVED
        assert world.register(ALICE).status is RegistrationStatus.APPROVED

    def test_a_name_that_is_taken_stays_so(self, world):
        world.register(ALICE)
        done = self.join(world, self.other(ALICE, BOB), ALICE)
        assert done.status is RegistrationStatus.INVALID
        assert "has been registered already" in done.reason

    def test_a_member_of_an_unreadable_name_keeps_nobody_out(self, world):
        text = world.record.group_policy.replace("L=London, O=Alice", "L=London, O=Al\\\\")
        assert text != world.record.group_policy
        world.record = replace(world.record, group_policy=text)
        world.stored.records = {world.record.file_checksum: world.record}
        assert world.register(BOB).status is RegistrationStatus.APPROVED
        assert world.register(ALICE).status is RegistrationStatus.INVALID
