"""A static group leaves one cluster and arrives at another, as its tables and places tell."""

from dataclasses import replace
from types import SimpleNamespace

import msgspec
import pytest

from cpi.package.group_policy_generation import generate_static_policy
from host.adapters.sqlite.database import Database
from host.domain.errors import ConflictError, NotFoundError
from host.domain.membership import MemberInfo
from host.domain.vnode import AsyncStatus, VirtualNode
from host.domain.x500 import MemberX500Name
from host.keys import SCHEMA as KEYS
from host.keys import SchemePublicKeys
from host.keys.errors import KeyImportError
from host.network.location.claims import ClaimInvalidError
from host.network.location.groups import StaticGroups
from host.network.location.leaving import refuse_static
from host.network.location.machine import Happened, LocationConflictError
from host.network.location.places import NodePlaces
from host.network.location.signing import NodeCannotLeaveError
from host.network.location.tables import SCHEMA as LOCATIONS
from host.network.location.transfers import Transfers
from host.network.membership import SCHEMA
from host.network.membership.group_contents import StaticGroup, StaticGroupExistsError
from host.network.membership.joining import JoinChecks
from host.network.membership.registration import RegistrationStatus
from host.network.membership.service import MembershipService
from host.network.membership.static_mgm import alias_of_group
from host.ports.keys import KeyCategory, KeyQuery
from host.ports.locations import Place
from host.ports.node_contents import NodeItemInvalidError
from tests.services.support import ALICE, BOB, CLAIMANT, GROUP_ID, NOW, holding
from tests.services.test_membership import CONTEXT, NOTARY, World

NAMES = (ALICE, BOB)
HASHES = [holding(name).short_hash for name in NAMES]
FIRST, SECOND = "age1first", "age1second"
RECIPIENT = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"


class Cluster(World):
    """A world whose nodes have places; what is loaded of a node is its group."""

    def __init__(self, folder, clock, entropy, policy, *, has_nodes):
        folder.mkdir()
        database = Database.open(folder / "cluster.sqlite", [KEYS, SCHEMA, LOCATIONS])
        super().__init__(database, clock, entropy, policy)
        self.states = {}
        if not has_nodes:
            self.stored.nodes.clear()
        self.places = NodePlaces(database, clock)
        self.service = MembershipService(
            database=database,
            virtual_nodes=self.stored,
            packages=self.stored,
            keys=self.keys,
            public_keys=SchemePublicKeys(),
            clock=clock,
            entropy=entropy,
            claimant=CLAIMANT,
            locations=self.places,
        )
        self.content = StaticGroup(
            database,
            self.keys,
            SchemePublicKeys(),
            is_needed=self._has_others,
            works=lambda node: any(
                self.places.place(each.holding.short_hash) is Place.HERE
                for each in self.stored.nodes.values()
                if each.holding != node
            ),
            checks=JoinChecks(self.stored, self.stored, self.places),
        )
        ids = iter(f"{number:036}" for number in range(100))
        self.is_dynamic = False
        parts = SimpleNamespace(
            database=database,
            places=self.places,
            transfers=Transfers(database, claimant=CLAIMANT, clock=clock),
            claims=SimpleNamespace(is_dynamic=lambda _node: self.is_dynamic),
            nodes=SimpleNamespace(
                all=lambda: list(self.stored.nodes.values()),
                set_state=self.set,
                leaving=lambda node: lambda _connection: self.set(node, "PAUSED"),
            ),
            keys=self.keys,
            erased=(self.content,),
            folder=folder / "transfers",
            node=self.stored.nodes.__getitem__,
            let_work=self.let_work,
            new_id=lambda: next(ids),
            delete_files=lambda _node: None,
        )
        self.parts = parts
        self.begun, self.are_written = [], True
        self.groups = StaticGroups(parts, SimpleNamespace(begin=self.begin))

    def begin(self, request):
        self.begun.append(request)
        if self.are_written:
            self.parts.transfers.set(request, status="SUCCEEDED")

    def set(self, node, state):
        self.states[node] = state

    def let_work(self, node):
        assert self.places.place(node) is Place.HERE
        self.set(node, "ACTIVE")
        self.places.note_over(node)

    def _has_others(self, node):
        others = [each.holding for each in self.stored.nodes.values() if each.holding != node]
        return any(self.places.place(each.short_hash) is not Place.MOVED for each in others)

    def places_of(self):
        return [self.places.place(each) for each in HASHES]

    def load(self, items, names=NAMES, export_id="e"):
        for name in names:
            node = VirtualNode(
                holding=holding(name),
                cpi_checksum=self.record.file_checksum,
                granted_capabilities=(),
                created_at=NOW,
            )
            self.stored.nodes[node.holding.short_hash] = node
            self.places.change(node.holding.short_hash, Happened.IMPORT, transfer="t", epoch=0)
            self.content.load(node.holding, items[name], 1)
            self.places.change(node.holding.short_hash, Happened.LOADED, location_id=export_id)


@pytest.fixture
def clusters(tmp_path, clock, entropy):
    """The source, with Alice, and Bob who is a notary; and an empty target."""
    policy = generate_static_policy(
        names=list(NAMES),
        group_id=GROUP_ID,
        endpoint_url="https://localhost:1080",
        endpoint_protocol=1,
    )
    made = [
        Cluster(tmp_path / name, clock, entropy, policy, has_nodes=name == "source")
        for name in ("source", "target")
    ]
    source = made[0]
    for node in list(source.stored.nodes):
        if node not in HASHES:
            del source.stored.nodes[node]
    for name, context in ((ALICE, CONTEXT), (BOB, NOTARY)):
        assert source.register(name, context).status is RegistrationStatus.APPROVED
    yield made
    for each in made:
        each.database.close()


def _items(source):
    return {name: list(source.content.dump(holding(name))) for name in NAMES}


def _exported(source):
    return source.groups.export(GROUP_ID, recipient=RECIPIENT)


def test_a_group_is_the_same_at_its_new_place_and_goes_on(clusters):
    source, target = clusters
    before = source.members.parameters(holding(ALICE))
    export, items = _exported(source), _items(source)
    assert source.places_of() == [Place.EXPORTED] * 2
    assert sorted(source.begun) == sorted(export.requests.values())
    assert source.states == dict.fromkeys(HASHES, "PAUSED")
    target.load(items, export_id=export.export_id)
    source.groups.given(GROUP_ID, export_id=export.export_id, recipient=FIRST)
    target.groups.activate(GROUP_ID, is_forced=True, is_uniqueness_current=True)
    assert target.states == dict.fromkeys(HASHES, "ACTIVE")
    assert target.members.parameters(holding(BOB)) == before
    assert target.members.lookup(holding(ALICE), holding(BOB).x500_name) is not None
    assert target.service.register(HASHES[0], CONTEXT).reason.startswith("The member")
    target.groups.activate(GROUP_ID, is_forced=True, is_uniqueness_current=True)  # repeated
    # Nothing of it is left at its source, but what prevents that it begins anew there.
    assert not any(_items(source).values())
    assert source.keys.query("p2p", KeyQuery()) == []
    source.groups.given(GROUP_ID, export_id=export.export_id, recipient=FIRST)  # repeated
    assert source.register(ALICE).reason.startswith("static-group-elsewhere")


def test_of_two_targets_and_a_cancel_one_wins(clusters):
    source, _ = clusters
    export = _exported(source)
    with pytest.raises(LocationConflictError, match="another export"):
        source.groups.given(GROUP_ID, export_id="older", recipient=FIRST)
    with pytest.raises(ClaimInvalidError, match="no MGM"):
        source.groups.cancel(GROUP_ID)
    source.groups.given(GROUP_ID, export_id=export.export_id, recipient=FIRST)
    with pytest.raises(LocationConflictError, match="given to another"):
        source.groups.given(GROUP_ID, export_id=export.export_id, recipient=SECOND)
    with pytest.raises(LocationConflictError):
        source.groups.cancel(GROUP_ID, is_forced=True)
    assert source.places_of() == [Place.MOVED] * 2


def test_a_group_that_came_back_is_given_to_nobody(clusters):
    source, _ = clusters
    export = _exported(source)
    with pytest.raises(LocationConflictError, match="EXPORTED"):
        _exported(source)
    source.groups.cancel(GROUP_ID, is_forced=True)
    assert source.states == dict.fromkeys(HASHES, "ACTIVE")
    with pytest.raises(LocationConflictError):
        source.groups.given(GROUP_ID, export_id=export.export_id, recipient=FIRST)
    assert source.places_of() == [Place.HERE] * 2


def test_a_group_of_which_files_are_missing_comes_back_by_itself_and_cannot_be_given(clusters):
    source, _ = clusters
    source.are_written = False
    export = _exported(source)
    with pytest.raises(LocationConflictError, match="never written"):
        source.groups.given(GROUP_ID, export_id=export.export_id, recipient=FIRST)
    source.groups.cancel(GROUP_ID)
    assert source.places_of() == [Place.HERE] * 2
    assert source.states == dict.fromkeys(HASHES, "ACTIVE")
    ended = {source.parts.transfers.get(each).status for each in export.requests.values()}
    assert ended == {AsyncStatus.ABORTED}


def test_a_group_works_only_whole_of_one_export_and_on_an_operators_word(clusters):
    source, target = clusters
    items = _items(source)
    target.load(items, (ALICE,))
    words = {"is_forced": True, "is_uniqueness_current": True}
    with pytest.raises(LocationConflictError, match="not imported"):
        target.groups.activate(GROUP_ID, **words)
    target.load(items, (BOB,), export_id="other")
    with pytest.raises(LocationConflictError, match="different exports"):
        target.groups.activate(GROUP_ID, **words)
    for missing, word in (("is_forced", "unfenced"), ("is_uniqueness_current", "uniqueness")):
        with pytest.raises(ClaimInvalidError, match=word):
            target.groups.activate(GROUP_ID, **{**words, missing: False})
    assert target.places_of() == [Place.IMPORTED] * 2


def test_what_is_erased_of_an_import_leaves_the_others_group(clusters):
    source, target = clusters
    items = _items(source)
    target.load(items)
    target.content.erase(holding(ALICE))
    assert _items(target) == items
    del target.stored.nodes[HASHES[0]]
    target.content.erase(holding(BOB))
    target.content.erase(holding(BOB))
    assert not any(_items(target).values())


def test_another_group_of_its_id_stays(clusters):
    source, target = clusters
    item = _items(source)[ALICE]
    for node in list(source.stored.nodes.values()):
        target.stored.nodes[node.holding.short_hash] = node
    target.register(ALICE)
    with pytest.raises(StaticGroupExistsError, match="another key"):
        target.content.load(holding(ALICE), item, 1)


@pytest.mark.parametrize("change", [b"x", None, {"parameters": 1}, {"members": ["{}"]}])
def test_a_malformed_group_is_refused(clusters, change):
    source, target = clusters
    (item,) = _items(source)[ALICE]
    if isinstance(change, dict):
        change = msgspec.msgpack.encode({**msgspec.msgpack.decode(item), **change})
    with pytest.raises(NodeItemInvalidError):
        target.content.load(
            holding(ALICE if change else "O=Eve, L=London, C=GB"), [change or item], 1
        )
    assert not any(_items(target).values())


def test_single_nodes_and_groups_with_an_mgm_are_told_apart(clusters):
    source, _ = clusters
    with pytest.raises(ClaimInvalidError, match="--group"):
        refuse_static(source.parts, HASHES[0])
    with pytest.raises(NotFoundError):
        source.groups.nodes("none")
    source.is_dynamic = True
    with pytest.raises(NodeCannotLeaveError, match="one by one"):
        _exported(source)
    refuse_static(source.parts, HASHES[0])


def _as(item, change):
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(item), **change})


def _with_eve(item):
    """The members of an item, and one more, who has keys of her own."""
    members = msgspec.msgpack.decode(item)["members"]
    eve = replace(
        msgspec.json.decode(members[0], type=MemberInfo),
        name=MemberX500Name.parse("O=Eve, L=London, C=GB"),
        ledger_keys=(),
    )
    return [*members, msgspec.json.encode(eve).decode()]


def test_who_lacks_the_key_of_a_group_adds_no_member_to_it(clusters):
    source, target = clusters
    (item,) = _items(source)[ALICE]
    whole = msgspec.msgpack.decode(item)
    other = target.keys.create(HASHES[0], KeyCategory.SESSION_INIT, "x", "CORDA.ECDSA.SECP256R1")
    (stolen,) = target.keys.export_keys(HASHES[0])
    assert other.public_key == stolen.public_key
    key = {**whole["key"], "private_key": stolen.private_key}
    with pytest.raises(KeyImportError):
        target.content.load(holding(ALICE), [_as(item, {"key": key})], 1)
    assert not any(_items(target).values())


def test_a_file_adds_no_member_to_a_group_that_is_here(clusters):
    source, target = clusters
    items = _items(source)
    target.load(items, (ALICE,))
    (item,) = items[BOB]
    for change in (
        {"members": _with_eve(item)},
        {"members": msgspec.msgpack.decode(item)["members"][1:]},
    ):
        with pytest.raises((StaticGroupExistsError, NodeItemInvalidError)):
            target.load({BOB: [_as(item, change)]}, (BOB,))
        target.places.forget(HASHES[1])
    assert _items(target)[ALICE] == items[ALICE]


def test_members_of_a_file_are_those_that_the_founders_list(clusters):
    source, target = clusters
    (item,) = _items(source)[ALICE]
    with pytest.raises(NodeItemInvalidError, match="member-not-listed: O=Eve"):
        target.content.load(holding(ALICE), [_as(item, {"members": _with_eve(item)})], 1)
    assert not any(_items(target).values())


def test_no_file_joins_a_group_whose_nodes_work_here(clusters):
    source, target = clusters
    items = _items(source)
    node = next(iter(source.stored.nodes.values()))
    target.stored.nodes[node.holding.short_hash] = node
    name = next(n for n in NAMES if holding(n) != node.holding)
    with pytest.raises(StaticGroupExistsError, match="work on this cluster"):
        target.content.load(holding(name), items[name], 1)
    assert not any(_items(target).values())


def test_a_member_that_registers_while_its_group_is_exported_is_not_admitted(
    tmp_path, clock, entropy, clusters
):
    made, target = clusters
    source = Cluster(tmp_path / "race", clock, entropy, made.record.group_policy, has_nodes=True)
    assert source.register(ALICE, CONTEXT).status is RegistrationStatus.APPROVED
    make, found = source.service._member_keys.make, []

    def exported(*args):
        keys = make(*args)
        found.append(source.groups.export(GROUP_ID, recipient=RECIPIENT))
        items = {ALICE: list(source.content.dump(holding(ALICE)))}
        source.groups.given(GROUP_ID, export_id=found[0].export_id, recipient=FIRST)
        target.load(items, (ALICE,), export_id=found[0].export_id)
        return keys

    source.service._member_keys.make = exported
    late = source.register(BOB, CONTEXT)
    assert (late.status, late.reason.partition(":")[0]) == (
        RegistrationStatus.INVALID,
        "static-group-elsewhere",
    )
    assert list(found[0].requests) == [HASHES[0]]
    # The group can come back, though the late registration has left a key of its name.
    assert [key.alias for key in source.keys.query("p2p", KeyQuery())] == [alias_of_group(GROUP_ID)]
    items = {ALICE: list(target.content.dump(holding(ALICE)))}
    source.stored.nodes.clear()
    source.content.load(holding(ALICE), items[ALICE], 1)
    assert list(source.content.dump(holding(ALICE))) == items[ALICE]
    source.database.close()


def test_of_a_group_that_cannot_leave_no_node_is_paused(clusters):
    source, _ = clusters

    def leaving(node):
        def leave(_connection):
            if node == HASHES[1]:
                raise ConflictError("an operation on it has not ended")

        return leave

    source.parts.nodes.leaving = leaving
    with pytest.raises(ConflictError, match="not ended"):
        _exported(source)
    assert (source.begun, source.states) == ([], {})
    assert source.places_of() == [Place.HERE] * 2
