"""Files of nodes on their way: nothing of somebody's is overwritten, and what was begun goes on."""

import json
from types import SimpleNamespace

import pytest

from host.domain.errors import ConflictError, NotFoundError, UnavailableError
from host.tools.network import group_moves, moves, moving, node_files
from host.tools.network.location_files import LocationFileError, read_location
from host.tools.network.node_files import ExportedElsewhereError, FileTakenError

NODE, GROUP, KEY, OTHER_KEY = "73CA12902F5A", "group", "age1a", "age1b"
CONTENT = b"0123456789"
PLACE = {"epoch": 0, "listedEpoch": None, "proof": None, "errorReason": None}


class Host:
    """A host that answers as REST does, of one node; parts have four bytes."""

    url = "https://host"

    def __init__(self, key=KEY):
        self.key, self.exports, self.received, self.stages = key, {}, {}, {}
        self.place, self.request, self.asked, self.failures = "HERE", None, [], 0

    def get(self, path):
        if path.endswith("/transferkey"):
            return {"recipient": self.key}
        if path.startswith("/maintenance/group"):
            nodes = [{"holdingIdentityShortHash": NODE, **self._location()}]
            export = "e" if self.place == "EXPORTED" else None
            return {"groupId": GROUP, "exportId": export, "recipient": self.key, "nodes": nodes}
        if path.endswith("/location"):
            return {"holdingIdentityShortHash": NODE, **self._location()}
        request = path.rpartition("/")[2]
        if request not in {**self.exports, **self.received}:
            raise NotFoundError("none", kind="transfer", named=request)
        is_export = request in self.exports
        return {
            "requestId": request,
            "kind": "export" if is_export else "import",
            "holdingIdentityShortHash": NODE,
            "status": "SUCCEEDED" if is_export else self.stages[request][0],
            "stage": "done" if is_export else self.stages[request][1],
            "bytesDone": 0,
            "bytesTotal": len(CONTENT),
            "errorReason": None,
            "recipient": self.exports.get(request),
        }

    def _location(self):
        return {**PLACE, "place": self.place, "requestId": self.request}

    def post(self, path, body=None):
        self.asked.append(path)
        if path.endswith("/export"):
            self.place, self.request = "EXPORTED", f"r{len(self.exports)}"
            self.exports[self.request] = body["recipient"]
            made = {"requestId": self.request, "holdingIdentityShortHash": NODE}
            return {**made, "exportId": "e", "exports": [made]}
        if path.endswith("/start"):
            self.stages[path.split("/")[3]] = ("SUCCEEDED", "done")
            return {}
        request = f"i{len(self.received)}"
        self.received[request], self.stages[request] = b"", ("ACCEPTED", "waiting")
        return {"requestId": request}

    def ask(self, _method, _path, params):
        if self.failures:
            self.failures -= 1
            return b""
        return CONTENT[params["offset"] : params["offset"] + 4]

    def upload(self, _method, path, files, fields):
        request = path.split("/")[3]
        data, offset = files["part"][1], int(fields["offset"])
        if data and self.failures:
            self.failures -= 1
            raise UnavailableError("away")
        there = len(self.received[request])
        if offset + len(data) > there:
            assert offset == there
            self.received[request] += data
        return {"size": len(self.received[request])}

    def send(self, method, path):
        self.asked.append(f"{method} {path}")


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setattr(node_files, "PART_BYTES", 4)
    monkeypatch.setattr(node_files, "POLL_SECONDS", 0)
    return Host()


def quiet(_stage, _done, _total):
    pass


def export(host, file, recipient=KEY, identity=None):
    return node_files.exported(
        host, NODE, file, recipient=recipient, identity=identity, report=quiet
    )


def test_a_file_that_is_there_is_not_touched(host, tmp_path):
    file = tmp_path / "thesis"
    file.write_bytes(b"of somebody")
    with pytest.raises(FileTakenError, match="thesis is there"):
        export(host, file)
    assert (host.place, file.read_bytes()) == ("HERE", b"of somebody")


def test_what_was_interrupted_goes_on_and_is_no_second_export(host, tmp_path):
    file = tmp_path / "node"
    host.failures = 1
    with pytest.raises(UnavailableError):
        export(host, file, "first", "sealed")
    file.write_bytes(CONTENT[:3])
    assert export(host, file, "of another call", "sealed") == ("r0", len(CONTENT))
    assert file.read_bytes() == CONTENT
    assert list(host.exports) == ["r0"]
    node_files.forget(file)
    assert [each.name for each in tmp_path.iterdir()] == ["node"]


def test_an_export_whose_note_was_not_written_goes_on_for_its_key_alone(host, tmp_path):
    host.post(f"/maintenance/virtualnode/{NODE}/export", {"recipient": KEY})
    with pytest.raises(ExportedElsewhereError, match="another key"):
        export(host, tmp_path / "node", OTHER_KEY)
    assert export(host, tmp_path / "node")[0] == "r0"


def test_the_file_of_an_export_that_was_cancelled_is_replaced(host, tmp_path):
    file = tmp_path / "node"
    export(host, file)
    file.write_bytes(b"older")
    host.place, host.request = "HERE", None
    assert export(host, file)[0] == "r1"
    assert file.read_bytes() == CONTENT


def test_a_file_is_sent_on_from_where_it_was(host, tmp_path):
    file = tmp_path / "node"
    file.write_bytes(CONTENT)
    host.received["i0"], host.stages["i0"] = CONTENT[:5], ("ACCEPTED", "waiting")
    state = file.stat()
    note = [host.url, "i0", state.st_size, state.st_mtime_ns]
    (tmp_path / "node.import").write_text(json.dumps(note))
    host.failures = 2
    assert node_files.loaded(host, file, None, quiet) == ("i0", NODE)
    assert host.received == {"i0": CONTENT}
    assert not (tmp_path / "node.import").exists()


@pytest.mark.parametrize(
    "note",
    [b"x", b"[]", b'["https://other", "i0", 1, 2]', b'["https://host", "gone"]', b"[1, [], {}]"],
)
def test_another_note_begins_anew(host, tmp_path, note):
    file = tmp_path / "node"
    file.write_bytes(CONTENT)
    (tmp_path / "node.import").write_bytes(note)
    assert node_files.loaded(host, file, None, quiet) == ("i0", NODE)


def test_an_import_that_was_started_is_waited_for(host, tmp_path):
    file = tmp_path / "node"
    file.write_bytes(CONTENT)
    request = node_files.send(host, file, None, quiet)
    host.stages[request] = ("IN_PROGRESS", "vault")
    assert node_files.send(host, file, None, quiet) == request
    host.stages[request] = ("FAILED", "vault")
    assert node_files.send(host, file, None, quiet) == "i1"


def test_a_move_deletes_its_own_file_alone(host, tmp_path, monkeypatch):
    target, file = Host(OTHER_KEY), tmp_path / "thesis"
    target.place = "HERE"
    monkeypatch.setattr(moving, "tell_moved", lambda *_: None)
    place = moves.NewPlace(endpoints=(), tls_alias=None, token=None)
    file.write_bytes(b"of somebody")
    moves.move(host, target, NODE, file, place=place, report=quiet)
    assert file.read_bytes() == b"of somebody"


def test_a_node_or_group_does_not_move_to_where_it_is(host, tmp_path):
    place = moves.NewPlace(endpoints=(), tls_alias=None, token=None)
    with pytest.raises(moves.SameClusterError):
        moves.move(host, Host(), NODE, tmp_path / "a", place=place, report=quiet)
    with pytest.raises(moves.SameClusterError):
        group_moves.move(host, Host(), GROUP, tmp_path / "a", quiet)


def test_a_folder_of_somebody_is_not_emptied(host, tmp_path):
    (tmp_path / "thesis").write_bytes(b"of somebody")
    target = Host(OTHER_KEY)
    target.place = "MOVED"
    with pytest.raises(group_moves.GroupFilesError, match="not empty"):
        group_moves.move(host, target, GROUP, tmp_path, quiet)
    assert host.place == "HERE"
    group_moves.forget(tmp_path)
    assert (tmp_path / "thesis").read_bytes() == b"of somebody"


def _export_group(host, folder, recipient=KEY):
    return group_moves.export(host, GROUP, folder, recipient=recipient, identity=None, report=quiet)


def test_the_export_of_a_group_goes_on_too(host, tmp_path):
    host.failures = 1
    with pytest.raises(UnavailableError):
        _export_group(host, tmp_path / "files")
    assert _export_group(host, tmp_path / "files")["exportId"] == "e"
    assert (tmp_path / "files" / f"{NODE}.cbxnode").read_bytes() == CONTENT
    with pytest.raises(ExportedElsewhereError):
        _export_group(host, tmp_path / "new", OTHER_KEY)
    host.place, host.request = "HERE", None
    assert _export_group(host, tmp_path / "files")["exports"][0]["requestId"] == "r1"
    (tmp_path / "files" / group_moves.NOTE).write_text("{")
    with pytest.raises(group_moves.GroupFilesError, match="which export"):
        _export_group(host, tmp_path / "files")


def test_a_group_is_given_by_what_its_new_host_says(host, tmp_path):
    found = SimpleNamespace(**host.get(f"/maintenance/group/{GROUP}/location"))
    with pytest.raises(ConflictError, match="not of one export"):
        group_moves.give(host, GROUP, vars(found))
    assert group_moves.delete_imports(host, GROUP) == [NODE]
    assert host.asked[-1].startswith("DELETE")
    for content in (b"{", b"[]", b"\xff"):
        (tmp_path / "location").write_bytes(content)
        with pytest.raises(LocationFileError, match="cordbox vnode location"):
            read_location(tmp_path / "location", moving.NodeLocation)
