"""A node moves whichever commit is the last one of a process of its source, or of its target.

Both clusters have real registers, keys and files; what its MGM says is a compare-and-set. After
each death the process starts again on the same data, and the operator repeats `vnode move`.
"""

import os
from dataclasses import dataclass, field

from host.adapters.files.container import cluster_identity, recipient_of
from host.adapters.sqlite.database import Database
from host.database.claims import Claimant
from host.database.node_tables import NodeTables
from host.domain.clock import SimClock
from host.domain.ids import Checksum
from host.domain.vnode import AsyncStatus, VirtualNode
from host.keys import SCHEMA as KEYS
from host.keys import SchemePublicKeys, SoftKeyStore
from host.keys.node_keys import NodeKeys
from host.network.location.claims import PlaceClaims
from host.network.location.export import FILE_NAME, Exporter
from host.network.location.import_ import Importer
from host.network.location.parts import MoveParts
from host.network.location.places import NodePlaces
from host.network.location.service import NodeMoves
from host.network.location.tables import SCHEMA as LOCATIONS
from host.network.location.transfers import Transfers
from host.network.membership.relocation import Listed
from host.nodes.quotas.tables import OVERRIDE, USAGE
from host.nodes.quotas.tables import SCHEMA as QUOTAS
from host.ports.keys import KeyCategory
from host.ports.locations import Place
from tests.services.support import ALICE, NOW, CountingEntropy, MemoryMasterKeys, holding

NODE = holding(ALICE)
HASH = NODE.short_hash
STEP = 1 if os.environ.get("CORDBOX_DEATHS") == "all" else 4
"""Of the commits, so many are passed over between those that are the last ones."""
URL = "https://target.example:8080"


class DeadError(BaseException):
    """The process ends; nothing catches it."""


@dataclass
class Death:
    """The process that does the commit with a number ends after it."""

    at: int
    commits: int = 0

    def count(self):
        self.commits += 1
        if self.commits == self.at:
            raise DeadError


class Mortal:
    """A database whose process ends after a commit."""

    def __init__(self, database, death):
        self._database, self._death = database, death

    def __getattr__(self, name):
        return getattr(self._database, name)

    def transact(self, work):
        done = self._database.transact(work)
        self._death().count()
        return done


@dataclass
class Mgm:
    """Grants the next epoch to the first that claims it."""

    epoch: int = 0
    location_id: str | None = None

    def claim(self, epoch, location_id):
        if epoch == self.epoch + 1:
            self.epoch, self.location_id = epoch, location_id


class Claims(PlaceClaims):
    """The real judgement of what the list says; the list is the MGM's."""

    def __init__(self, mgm):
        object.__setattr__(self, "mgm", mgm)

    __slots__ = ("mgm",)

    def is_dynamic(self, _node):
        return True

    def is_mgm(self, _node):
        return False

    def listed(self, _node):
        return Listed(epoch=self.mgm.epoch, location_id=self.mgm.location_id, member=None)

    def ask_for_list(self, _node):
        pass

    def set_up(self, _node, tls_alias):
        assert tls_alias == "tls"

    def send(self, _node, *, epoch, location_id, urls, token):
        del urls, token
        self.mgm.claim(epoch, location_id)

    def answer(self, short_hash, location):
        found = super().answer(short_hash, location) if location.location_id is None else None
        if found is not None:
            return found
        listed = self.listed(short_hash)
        if (listed.epoch, listed.location_id) == (location.epoch, location.location_id):
            return super().answer(short_hash, location)
        from host.network.location.claims import Answer

        return (Answer.TAKEN, "taken") if listed.epoch >= location.epoch else (Answer.NONE, None)


@dataclass
class Nodes:
    """Rows of nodes, which survive; and as contents of a node's file."""

    rows: dict = field(default_factory=dict)
    states: list = field(default_factory=list)
    name, version = "node", 1

    def get(self, short_hash):
        return self.rows.get(short_hash)

    def set_state(self, _node, state):
        self.states.append(state)

    def leaving(self, node):
        return lambda _connection: self.set_state(node, "PAUSED")

    def all(self):
        return list(self.rows.values())

    def add(self):
        self.rows[HASH] = VirtualNode(
            holding=NODE, cpi_checksum=Checksum("c"), granted_capabilities=(), created_at=NOW
        )

    def dump(self, _holding):
        yield b"row"

    def load(self, _holding, items, _version):
        assert list(items) == [b"row"]
        assert HASH not in self.rows, "what an interrupted import left was not erased"
        self.add()

    def erase(self, _holding):
        self.rows.pop(HASH, None)


class Side:
    """A cluster on a folder; `start` is a new process of it."""

    def __init__(self, folder, name, mgm, death):
        self.folder, self.name, self.mgm, self.death = folder / name, name, mgm, death
        (self.folder / "secrets").mkdir(parents=True, mode=0o700)
        self.database = Database.open(self.folder / "a.sqlite", [LOCATIONS, KEYS, QUOTAS])
        self.nodes, self.clock, self.runs = Nodes(), SimClock(NOW), 0
        self.entropy = CountingEntropy()
        self.entropy.count = 1000 if name == "target" else 0
        self.identity = cluster_identity(self.folder / "secrets")
        self.start()

    def start(self):
        self.runs += 1
        database = Mortal(self.database, lambda: self.death)
        self.keys = SoftKeyStore(
            self.database, masters=MemoryMasterKeys(), clock=self.clock, entropy=self.entropy
        )
        mortal_keys = SoftKeyStore(
            database, masters=MemoryMasterKeys(), clock=self.clock, entropy=self.entropy
        )
        rows = {OVERRIDE: "short_hash", USAGE: "short_hash"}
        contents = (self.nodes, NodeTables("quota", database, rows), NodeKeys(mortal_keys))
        claimant = Claimant(place="rest-0", run=str(self.runs))
        self.moves = NodeMoves(
            MoveParts(
                database=database,
                places=NodePlaces(database, self.clock),
                transfers=Transfers(database, claimant=claimant, clock=self.clock),
                claims=Claims(self.mgm),
                nodes=self.nodes,
                keys=self.keys,
                exporter=Exporter(contents, self.keys, SchemePublicKeys()),
                importer=Importer(contents, SchemePublicKeys()),
                folder=self.folder / "transfers",
                identity=lambda: self.identity,
                erased=contents[1:],
                used_bytes=lambda _node: 0,
                is_quiet=lambda _node: True,
                wait=lambda: None,
                clock=self.clock,
                entropy=self.entropy,
                background=lambda work: work(),
            )
        )
        self.moves.runs.resume_interrupted()

    def place(self):
        found = None if self.nodes.get(HASH) is None else self.moves.location(HASH)
        return None if self.nodes.get(HASH) is None else found.place if found else Place.HERE

    def received(self, data):
        """Have a file, or its beginning, come; gives the import's request."""
        request = self.moves.arriving.begin_import()
        self.moves.arriving.add_part(request, 0, data)
        return request

    def imported(self, data):
        """Load a file; how that ended."""
        request = self.received(data)
        self.moves.arriving.start(request)
        return self.moves.transfer(request)

    def contents(self):
        """What the node has here, beside its row."""
        rows = {OVERRIDE: "short_hash", USAGE: "short_hash"}
        kept = (NodeTables("quota", self.database, rows), NodeKeys(self.keys))
        return [list(each.dump(NODE)) for each in kept]


def _filled(side):
    side.nodes.add()
    side.keys.create(HASH, KeyCategory.SESSION_INIT, "session", "CORDA.ECDSA.SECP256R1")

    def fill(connection):
        row = {"short_hash": HASH, "counter": "runs", "value": 7, "first_at": 1, "last_at": 2}
        connection.execute(USAGE.insert(), [row])
        connection.execute(OVERRIDE.insert(), [{"short_hash": HASH, "name": "a", "value": 1}])

    side.database.transact(fill)


class Operator:
    """Repeats `vnode move`: what was done before is skipped. `request` is noted beside the file."""

    def __init__(self, source, target):
        self.source, self.target, self.request = source, target, None

    def move(self):
        source, target = self.source.moves, self.target.moves
        if self.target.place() in {None, Place.IMPORTING}:
            self._carry()
        if self.target.place() is Place.IMPORTED:
            target.arriving.activate(HASH, urls=(URL,), tls_alias="tls")
            target.watch.look()
        source.watch.look()

    def _carry(self):
        source = self.source.moves
        if self.source.place() is Place.HERE:
            recipient = recipient_of(self.target.identity)
            source.leaving.export(HASH, recipient=recipient)
        self.request = source.location(HASH).transfer
        assert source.transfer(self.request).status is AsyncStatus.SUCCEEDED
        if self.target.place() is Place.IMPORTING:
            return  # its process went on with it when it started
        found = self.target.imported(source.leaving.file(self.request).read_bytes())
        assert found.status is AsyncStatus.SUCCEEDED, found.error


def _moved(folder, death):
    """Move a node; returns whether a process died."""
    mgm = Mgm()
    sides = [Side(folder, name, mgm, Death(0)) for name in ("source", "target")]
    source, target = sides
    try:
        _filled(source)
        before = source.contents()
        for each in sides:
            each.death = death
        operator, died = Operator(source, target), False
        is_over = False
        while not is_over:
            try:
                for each in sides:
                    each.start()
                    each.moves.watch.look()
                is_over = (source.place(), target.place()) == (Place.MOVED, Place.HERE)
                if not is_over:
                    operator.move()
            except DeadError:
                died = True
        assert (mgm.epoch, target.moves.location(HASH).epoch) == (1, 1)
        assert target.contents() == before
        assert source.contents() == [[], []]
        assert target.nodes.states[-1] == "ACTIVE"
        assert source.nodes.states == ["PAUSED"] * len(source.nodes.states)
        assert not list((source.folder / "transfers").glob(f"*/{FILE_NAME}"))
        return died
    finally:
        for each in sides:
            each.database.close()


def test_whichever_commit_is_the_last_of_a_process_the_node_moves_once(tmp_path):
    number, deaths = 1, 0
    while _moved(tmp_path / str(number), Death(number)):
        number, deaths = number + STEP, deaths + 1
    assert deaths * STEP >= 20
