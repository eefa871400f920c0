"""Files of nodes that are refused, forgotten, too large or sent again: nothing of them stays."""

import os
from types import SimpleNamespace

import pytest

from host.adapters.files.container import ContainerInvalidError, Manifest, Section, recipient_of
from host.domain.errors import ConflictError, DiskFullError
from host.domain.vnode import AsyncStatus
from host.network.location.import_ import _check_kept
from host.network.location.machine import Happened, LocationConflictError
from host.network.location.room import check_room
from host.network.location.transfers import WAITING_MAX, ImportsWaitingError
from host.ports.locations import Place
from tests.network.test_move_kills import HASH, Death, Mgm, Side, _filled

GIB = 1024**3


@pytest.fixture
def sides(tmp_path):
    mgm = Mgm()
    made = [Side(tmp_path, name, mgm, Death(0)) for name in ("source", "target")]
    _filled(made[0])
    yield made
    for each in made:
        each.database.close()


@pytest.fixture
def file(sides):
    source, target = sides
    source.moves.leaving.export(HASH, recipient=recipient_of(target.identity))
    return source.moves.leaving.file(source.moves.location(HASH).transfer).read_bytes()


def _left(target):
    return list((target.folder / "transfers").iterdir())


def _refusing(_holding, _items, _version):
    raise ConflictError("the signer of its CPI is not trusted")


def test_a_file_that_was_refused_can_be_sent_again(sides, file):
    _, target = sides
    target.nodes.load = _refusing
    failed = target.imported(file)
    assert (failed.status, failed.error) == (
        AsyncStatus.FAILED,
        "the signer of its CPI is not trusted",
    )
    assert _left(target) == []  # neither the file, nor what was unpacked of it
    del target.nodes.load
    assert target.imported(file).status is AsyncStatus.SUCCEEDED
    assert target.moves.location(HASH).place is Place.IMPORTED
    assert target.imported(file).error.endswith("is on this cluster, or was")


def test_a_node_that_is_taken_back_is_not_activated_by_hand(sides, file):
    source, _ = sides
    parts = source.moves._parts
    parts.places.change(HASH, Happened.CANCEL, epoch=7, location_id="back")
    with pytest.raises(LocationConflictError, match="RECLAIMING"):
        source.moves.arriving.activate(HASH, urls=("https://a.example",), tls_alias="tls")
    assert source.moves.location(HASH).place is Place.RECLAIMING


def test_a_file_of_an_export_that_was_cancelled_meanwhile_does_not_come_to_be(sides):
    source, target = sides
    parts = source.moves._parts
    write = parts.exporter.write

    def cancelled(*args, **values):
        size = write(*args, **values)
        parts.places.change(HASH, Happened.CANCEL, epoch=7, location_id="back")
        return size

    parts.exporter.write = cancelled
    request = source.moves.leaving.export(HASH, recipient=recipient_of(target.identity))
    found = source.moves.transfer(request)
    assert (found.status, "was cancelled" in found.error) == (AsyncStatus.FAILED, True)
    assert _left(source) == []


def test_imports_that_wait_are_few_and_end_after_a_day(sides):
    _, target = sides
    requests = [target.moves.arriving.begin_import() for _ in range(WAITING_MAX)]
    with pytest.raises(ImportsWaitingError):
        target.moves.arriving.begin_import()
    target.clock.advance(86_400_001)
    target.moves.arriving.begin_import()
    assert len(_left(target)) == 1
    assert target.moves.transfer(requests[0]).status is AsyncStatus.ABORTED


def _disk(monkeypatch, free):
    found = SimpleNamespace(f_bavail=free, f_blocks=100 * GIB, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _path: found)


def test_parts_and_contents_leave_room_on_the_disk(sides, file, monkeypatch, tmp_path):
    _, target = sides
    _disk(monkeypatch, GIB + len(file) - 1)
    request = target.moves.arriving.begin_import()
    with pytest.raises(DiskFullError):
        target.moves.arriving.add_part(request, 0, file)
    _disk(monkeypatch, GIB + len(file))
    target.moves.arriving.add_part(request, 0, file)
    _disk(monkeypatch, GIB + 1)
    target.moves.arriving.start(request)
    assert target.moves.transfer(request).error.startswith("files of virtual nodes need ")
    check_room(tmp_path, 1)


def test_keys_that_take_much_memory_are_refused_by_what_the_manifest_says():
    manifest = Manifest(
        header="h",
        facts={},
        sections=(Section(name="keys", bytes=2**40, digest="d"),),
    )
    with pytest.raises(ContainerInvalidError, match="section keys"):
        _check_kept(manifest)
