"""Moves that fail or are given up: a node works on at its source, and nothing is left at a target."""

import os
from dataclasses import replace

import pytest

from host.adapters.files.container import recipient_of
from host.domain.errors import ConflictError, DiskFullError, NotFoundError
from host.domain.vnode import AsyncStatus
from host.network.location.export import Exporter
from host.network.location.import_ import Importer
from host.network.location.leaving import CANCELLED
from host.network.location.machine import LocationConflictError
from host.network.location.service import NodeMoves
from host.network.location.uploads import PartialFile
from host.ports.locations import Place
from tests.network.test_move_kills import HASH, URL, Death, Mgm, Side, _filled


class Failing:
    """Contents that fail when they are read, or loaded, until `error` is None."""

    name, version = "failing", 1

    def __init__(self, error=None, begun=lambda: None):
        self.error, self._begun = error, begun

    def dump(self, _holding):
        self._begun()
        yield b"first"
        if self.error is not None:
            raise self.error

    def load(self, _holding, items, _version):
        assert next(iter(items)) == b"first"
        self._begun()
        if self.error is not None:
            raise self.error

    def erase(self, _holding):
        pass


def _side(folder, name, mgm, failing, **changes):
    """A cluster whose nodes have other contents beside their own."""
    side = Side(folder, name, mgm, Death(0))
    parts = side.moves._parts
    contents = (*parts.exporter._contents, failing)
    public_keys = parts.exporter._public_keys
    parts = replace(
        parts,
        exporter=Exporter(contents, side.keys, public_keys),
        importer=Importer(contents, public_keys),
        **changes,
    )
    side.moves = NodeMoves(parts)
    return side


@pytest.fixture
def closing():
    made = []
    yield made
    for each in made:
        each.database.close()


@pytest.fixture
def world(tmp_path, closing):
    """A source with the node, and a target; both have contents that may be told to fail."""
    mgm, failing = Mgm(), (Failing(), Failing())
    for name, fails in zip(("source", "target"), failing, strict=True):
        closing.append(_side(tmp_path, name, mgm, fails))
    source, target = closing
    _filled(source)
    return source, target, failing


def _export(source, target):
    request = source.moves.leaving.export(HASH, recipient=recipient_of(target.identity))
    return request, source.moves.transfer(request)


def _import(source, target):
    """Load the node's file at the target; gives the file, and how the import ended."""
    request, _ = _export(source, target)
    data = source.moves.leaving.file(request).read_bytes()
    return data, target.imported(data)


def _files(side):
    folder = side.folder / "transfers"
    return [each for each in folder.rglob("*") if each.is_file()] if folder.exists() else []


@pytest.mark.parametrize(
    "error", [DiskFullError("full"), OSError(28, "No space left"), ValueError()]
)
def test_a_node_whose_file_cannot_be_written_works_on(world, error):
    source, target, (failing, _) = world
    failing.error = error
    _, ended = _export(source, target)
    assert ended.status is AsyncStatus.FAILED
    assert (source.place(), source.nodes.states) == (Place.HERE, ["PAUSED", "ACTIVE"])
    assert _files(source) == []
    failing.error = None
    assert _export(source, target)[1].status is AsyncStatus.SUCCEEDED


def test_an_export_whose_file_is_not_whole_is_cancelled_at_once_without_its_mgm(world):
    source, target, (failing, _) = world
    failing._begun = lambda: source.moves.leaving.cancel(HASH)
    _, ended = _export(source, target)
    assert (ended.status, ended.error) == (AsyncStatus.ABORTED, CANCELLED)
    assert (source.place(), source.nodes.states) == (Place.HERE, ["PAUSED", "ACTIVE"])
    assert _files(source) == []
    failing._begun = lambda: None
    assert _export(source, target)[1].status is AsyncStatus.SUCCEEDED
    # Now a copy may exist, and the MGM decides.
    assert source.moves.leaving.cancel(HASH) is Place.RECLAIMING


def test_the_file_of_a_node_that_came_back_is_deleted(world):
    source, target, _ = world
    request, _ = _export(source, target)
    source.moves.leaving.cancel(HASH)
    source.moves.watch.look()
    assert source.place() is Place.HERE
    assert _files(source) == []
    with pytest.raises(NotFoundError):
        source.moves.leaving.file(request)


@pytest.mark.parametrize("at", ["node", "keys", "failing"])
def test_of_an_import_that_fails_nothing_is_left_and_it_can_be_repeated(world, monkeypatch, at):
    source, target, _ = world
    content = next(c for c in target.moves._parts.importer._contents if c.name == at)
    load = content.load

    def full(holding, items, version):
        load(holding, items, version)
        raise DiskFullError("full")

    monkeypatch.setattr(content, "load", full)
    data, ended = _import(source, target)
    assert (ended.status, ended.error) == (AsyncStatus.FAILED, "full")
    assert target.nodes.rows == {}
    assert target.moves._parts.places.location(HASH) is None
    assert target.contents() == [[], []]
    assert _files(target) == []
    monkeypatch.undo()
    assert target.imported(data).status is AsyncStatus.SUCCEEDED
    assert target.place() is Place.IMPORTED


def test_a_node_is_not_deleted_while_it_is_loaded(world):
    source, target, (_, failing) = world

    def deleted():
        with pytest.raises(LocationConflictError, match="being loaded"):
            target.moves.arriving.give_up(HASH)

    failing._begun = deleted
    assert _import(source, target)[1].status is AsyncStatus.SUCCEEDED
    target.moves.arriving.give_up(HASH)
    assert target.nodes.rows == {}
    with pytest.raises(NotFoundError):
        target.moves.arriving.give_up(HASH)


def test_a_node_that_its_mgm_may_let_work_is_not_deleted(world):
    """Its source would learn that it works elsewhere, and erase it, too."""
    source, target, _ = world
    _import(source, target)
    granted = target.moves._parts.claims.mgm
    target.moves._parts.places.note_claim(HASH, epoch=1, location_id="l")
    for epoch, location_id in ((0, None), (1, "l")):
        granted.epoch, granted.location_id = epoch, location_id
        with pytest.raises(LocationConflictError, match="may still grant"):
            target.moves.arriving.give_up(HASH)
    granted.location_id = "of another copy"
    target.moves.arriving.give_up(HASH)
    assert target.nodes.rows == {}


def test_a_node_that_works_is_not_deleted(world):
    source, target, _ = world
    _import(source, target)
    target.moves.arriving.activate(HASH, urls=(URL,), tls_alias="tls")
    target.moves.watch.look()
    for side in (source, target):
        with pytest.raises(LocationConflictError, match="only one that was imported"):
            side.moves.arriving.give_up(HASH)


def test_a_file_is_loaded_once_though_it_is_started_twice(tmp_path, closing, world):
    source, target, _ = world
    request, _ = _export(source, target)
    works = []
    other = _side(tmp_path, "other", Mgm(), Failing(), background=works.append)
    closing.append(other)
    received = other.received(source.moves.leaving.file(request).read_bytes())
    other.moves.arriving.start(received)
    with pytest.raises(NotFoundError, match="waits"):
        other.moves.arriving.start(received)
    with pytest.raises(ConflictError, match="ACCEPTED"):
        other.moves.arriving.delete_import(received)
    assert len(works) == 1


def test_the_file_of_an_import_that_was_not_started_is_deleted(world):
    _, target, _ = world
    arriving = target.moves.arriving
    request = target.received(b"part")
    arriving.delete_import(request)
    arriving.delete_import(request)
    assert target.moves.transfer(request).status is AsyncStatus.ABORTED
    assert _files(target) == []
    with pytest.raises(NotFoundError):
        arriving.add_part(request, 4, b"more")


def test_an_export_is_no_import_that_could_be_deleted(world):
    source, target, _ = world
    request, _ = _export(source, target)
    with pytest.raises(NotFoundError, match="no import"):
        source.moves.arriving.delete_import(request)


def test_an_export_that_would_fill_the_disk_is_refused_before_it_is_written(world):
    source, target, _ = world
    source.moves = NodeMoves(replace(source.moves._parts, used_bytes=lambda _node: 2**60))
    _, ended = _export(source, target)
    assert ended.status is AsyncStatus.FAILED
    assert ended.error.startswith("files of virtual nodes need ")
    assert source.place() is Place.HERE


def test_another_process_goes_on_with_an_export_and_the_first_one_ends_nothing(world):
    source, target, (failing, _) = world

    def taken():
        table = "UPDATE node_transfer SET claimed_by = 'rest-1/7'"
        source.database.transact(lambda connection: connection.exec_driver_sql(table))

    failing._begun = taken
    _, ended = _export(source, target)
    assert ended.status is AsyncStatus.IN_PROGRESS
    assert source.place() is Place.EXPORTED


def test_a_part_that_did_not_fit_can_be_sent_again(tmp_path, monkeypatch):
    file = PartialFile(tmp_path / "file")
    assert file.add(0, b"abc") == 3
    write = os.write

    def full(descriptor, data):
        if len(data) < 3:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:1])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.add(3, b"def")
    monkeypatch.undo()
    assert file.add(3, b"def") == 6
    assert (tmp_path / "file").read_bytes() == b"abcdef"
