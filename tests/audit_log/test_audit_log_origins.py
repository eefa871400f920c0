"""The log of a node that has come from another cluster names the end of the log that it had there."""

import msgspec
import pytest

from host.cli import main
from host.nodes.audit_log.node_ends import NodeAuditEnds
from host.nodes.audit_log.problems import Anchor
from host.nodes.audit_log.verification import read_entries, verify_log
from host.ports.node_contents import NodeItemInvalidError
from tests.support.data_directories import ALICE, BOB, make_directory, parts_of


def log_of(folder, holding):
    return folder / "vnodes" / holding.short_hash / "audit.log"


def cordbox(*words):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return ended.value.code


@pytest.fixture
def moved(tmp_path):
    """Two hosts, and what Alice's file has brought from the one to the other, twice."""
    source, target = (make_directory(tmp_path / name) for name in ("source", "target"))
    with parts_of(source) as parts:
        items = list(NodeAuditEnds(parts.logs).dump(ALICE))
    with parts_of(target) as parts:
        for _ in range(2):
            NodeAuditEnds(parts.logs).load(ALICE, items, 1)
        parts.logs.sync()
    return source, target


def test_verify_names_the_end_of_the_log_at_the_source(moved, capsys):
    source, target = moved
    last = list(read_entries(log_of(source, ALICE)))[-1]
    key = (target / "secrets" / "audit-key").read_bytes()
    found = verify_log(log_of(target, ALICE), key=key)
    assert found.problem is None
    assert found.origins == (Anchor(seq=last["seq"], hash=last["hash"]),)
    end = f"{last['seq']}:{last['hash']}"
    assert cordbox("audit", "log", "verify", str(target), "--node", ALICE.short_hash) == 0
    assert f", continues {end}, ends" in capsys.readouterr().out
    assert cordbox("audit", "log", "show", str(target), "--node", ALICE.short_hash) == 0
    assert f"its log ends with {end}" in capsys.readouterr().out
    words = ["audit", "log", "verify", str(source), "--node", ALICE.short_hash]
    assert cordbox(*words, "--anchor", end) == 0
    assert cordbox(*words, "--anchor", f"{last['seq'] + 1}:{last['hash']}") == 1


def test_the_registers_name_the_log_of_another_host_of_the_cluster(tmp_path):
    folder = make_directory(tmp_path / "data")
    with parts_of(folder) as parts:
        (own,) = parts.logs.ends(ALICE.short_hash)
        other = (own.seq + 5, "f" * 64)
        parts.register.note_audit_ends({ALICE.short_hash: other, BOB.short_hash: other})
        assert parts.logs.ends(ALICE.short_hash) == [own, Anchor(seq=other[0], hash=other[1])]
        assert parts.logs.ends(BOB.short_hash)[-1] == Anchor(seq=other[0], hash=other[1])


def test_a_node_without_a_log_brings_nothing(tmp_path):
    folder = make_directory(tmp_path / "data")
    for file in log_of(folder, ALICE).parent.glob("audit*"):
        file.unlink()
    with parts_of(folder) as parts:
        parts.register.note_audit_ends({})
        known = parts.register.audit_end(ALICE.short_hash)
        assert [each.seq for each in parts.logs.ends(ALICE.short_hash)] == [known[0]]
        NodeAuditEnds(parts.logs).load(BOB, [], 1)
        NodeAuditEnds(parts.logs).erase(BOB)


@pytest.mark.parametrize(
    "item",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode([1]),
        msgspec.msgpack.encode([-1, "0" * 64]),
        msgspec.msgpack.encode([2**60, "0" * 64]),
        msgspec.msgpack.encode([1, "G" * 64]),
        msgspec.msgpack.encode([1, "0" * 63]),
    ],
)
def test_an_item_that_names_no_entry_is_refused(item):
    with pytest.raises(NodeItemInvalidError, match="audit logs"):
        NodeAuditEnds(None).load(ALICE, [item], 1)


def test_a_file_names_few_logs():
    item = msgspec.msgpack.encode([1, "0" * 64])
    with pytest.raises(NodeItemInvalidError, match="more than 1000"):
        NodeAuditEnds(None).load(ALICE, [item] * 1001, 1)
