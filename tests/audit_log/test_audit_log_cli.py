"""`cordbox audit log`: exit codes, and what is printed of good and of bad logs."""

import json

import pytest

from host.adapters.os.system import SystemEntropy
from host.cli import main
from host.domain.clock import SimClock
from host.nodes.audit_log import NodeAuditLogs
from host.nodes.audit_log.node_log import HEAD_NAME, LOG_NAME
from host.nodes.audit_log.service import load_audit_key
from tests.audit_log.test_audit_log_chain import ALICE, BOB, call, lines

A, B = ALICE.short_hash, BOB.short_hash


@pytest.fixture
def data(tmp_path):
    """A data directory with the logs of two nodes, and a node without one."""
    folder = tmp_path / "data"
    key = load_audit_key(
        folder / "secrets", entropy=SystemEntropy(), logs=folder / "vnodes", newest_act=None
    )
    logs = NodeAuditLogs(folder / "vnodes", key=key, clock=SimClock())
    for number in range(3):
        logs.record(call(number))
        logs.record(call(number, flow="flow-2", outcome="key-not-found", holding=BOB))
    logs.close()
    (folder / "vnodes" / ("0" * 12)).mkdir()
    return folder


@pytest.fixture
def run(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as left:
            main(["audit", "log", *map(str, words)])
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return run


def verified(run, *words):
    code, out, _ = run("verify", *words, "--output", "json")
    return code, {one["holding"]: one for one in json.loads(out)["logs"]}


def test_all_logs_of_a_data_directory_are_verified(run, data):
    code, found = verified(run, data)
    assert code == 0
    assert set(found) == {A, B}
    assert all(one["good"] and one["authenticated"] for one in found.values())
    assert (found[A]["entries"], found[B]["entries"]) == (4, 3)  # of B: equal refusals in a row
    code, out, _ = run("verify", data)
    assert code == 0
    assert out.count("good  ") == 2
    assert out.endswith("2 logs verified\n")


@pytest.mark.parametrize("place", ["", f"vnodes/{A}", f"vnodes/{A}/{LOG_NAME}"])
def test_a_node_is_found_from_each_place(run, data, place):
    code, found = verified(run, data / place, "--node", A.lower())
    assert (code, list(found)) == (0, [A])


def test_a_bad_entry_is_named_and_the_other_log_verified(run, data):
    file = data / "vnodes" / A / LOG_NAME
    entries = lines(file)
    entries[2] = entries[2].replace(b"signing.sign", b"signing.sigh")
    file.write_bytes(b"".join(entries))
    code, found = verified(run, data)
    assert code == 1
    assert found[B]["good"]
    problem = found[A]["problem"]
    assert (problem["entry"], problem["code"]) == (2, "audit-hash-wrong")
    code, out, _ = run("verify", data)
    assert code == 1
    assert f"BAD   {A}  entry 2: [audit-hash-wrong]" in out
    assert out.endswith("2 logs verified, 1 of them bad\n")


def test_a_removed_log_is_noticed_by_its_head(run, data):
    (data / "vnodes" / A / LOG_NAME).unlink()
    code, out, _ = run("verify", data)
    assert code == 1
    assert "[audit-log-truncated] the log ends at entry -1" in out


def test_another_nodes_log_in_the_folder_is_noticed(run, data):
    for name in (LOG_NAME, HEAD_NAME):
        (data / "vnodes" / A / name).write_bytes((data / "vnodes" / B / name).read_bytes())
    code, out, _ = run("verify", data, "--node", A)
    assert code == 1
    assert "[audit-holding-wrong]" in out


def test_an_anchor_of_an_earlier_run_must_be_there(run, data):
    _, found = verified(run, data, "--node", A)
    anchor = found[A]["anchor"]
    assert run("verify", data, "--node", A, "--anchor", anchor)[0] == 0
    later = "9" + anchor[1:]
    code, out, _ = run("verify", data, "--node", A, "--anchor", later)
    assert code == 1
    assert "[audit-log-truncated]" in out


def test_without_the_key_it_says_what_is_not_known(run, data):
    file = data / "vnodes" / A / LOG_NAME
    (data / "secrets" / "audit-key").rename(data / "key")
    code, out, _ = run("verify", data)
    assert code == 0
    assert "who wrote the entries is not known" in out
    assert "not known" not in run("verify", file, "--key", data / "key")[1]


@pytest.mark.parametrize(
    "words",
    [
        ["--node", "nonsense"],
        ["--node", "F" * 12],
        ["--anchor", "1:2"],
        ["--anchor", "1:" + "0" * 64],
        ["--key", "missing"],
    ],
)
def test_wrong_usage_is_told_apart(run, data, words):
    assert run("verify", data, *words)[0] == 2


def test_a_place_without_logs_is_wrong_usage(run, tmp_path):
    assert run("verify", tmp_path)[0] == 2
    assert run("verify", tmp_path / "nothing")[0] == 2


def test_entries_are_shown_and_chosen(run, data):
    code, out, _ = run("show", data, "--node", B)
    assert code == 0
    first, *calls = out.splitlines()
    assert f"log of {BOB.x500_name} in group g begins" in first
    first, others = calls
    assert "signing.sign  key-not-found  iou.Issue  flow-2-0" in first
    assert "signing.sign  key-not-found  flow-2  2 more, as in entry 1: calls 1 to 2" in others
    code, out, _ = run("show", data, "--flow", "flow-2", "--last", "1", "--output", "json")
    assert [(e["node"], e["count"]) for e in map(json.loads, out.splitlines())] == [(B, 2)]
    assert run("show", data, "--function", "ledger.record") == (0, "", "no entries\n")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"\x00\xff garbage", "1 line is no entry"),
        (b"a\nb\n", "2 lines are no entries"),
        (b'{"seq": 1}\n[]\n', "2 lines are no entries"),
    ],
)
def test_a_file_that_is_no_log_is_told_of(run, tmp_path, content, lines):
    file = tmp_path / "some.log"
    file.write_bytes(content)
    code, out, err = run("show", file)
    assert (code, out) == (1, "")
    assert f"[audit-log-unreadable]: {file}: {lines} of an audit log" in err


def test_a_line_that_a_host_is_writing_is_no_finding(run, data):
    file = data / "vnodes" / B / "audit.log"
    whole = run("show", data, "--node", B)
    file.write_bytes(file.read_bytes() + b'{"seq": 3, "ki')
    assert run("show", data, "--node", B) == whole
    file.write_bytes(file.read_bytes() + b"\n")
    assert run("show", data, "--node", B)[0] == 1


def test_a_name_with_control_characters_cannot_steer_the_terminal(run, data):
    logs = NodeAuditLogs(data / "vnodes", key=bytes(32), clock=SimClock())
    hostile = call(9, flow="\x1b[2J")
    logs.record(hostile)
    logs.close()
    assert "\x1b" not in run("show", data)[1]


def test_logs_of_several_hosts_are_verified_and_a_call_of_two_counted_once(run, data, tmp_path):
    """A host that took a flow over has repeated the killed one's last call."""
    other = tmp_path / "other"
    key = load_audit_key(
        other / "secrets", entropy=SystemEntropy(), logs=other / "vnodes", newest_act=None
    )
    logs = NodeAuditLogs(other / "vnodes", key=key, clock=SimClock())
    for number in (2, 3, 4):
        logs.record(call(number))
    logs.close()
    code, out, _ = run("verify", data, other, "--output", "json")
    found = json.loads(out)
    assert (code, len(found["logs"])) == (0, 3)
    assert all(one["good"] and one["authenticated"] for one in found["logs"])
    assert found["nodes"] == [{"node": A, "logs": 2, "calls": 5, "repeated": 1}]
    assert f"{A}  5 calls in 2 logs, 1 in more than one\n" in run("verify", data, other)[1]
    idle = tmp_path / "idle"
    idle.mkdir()
    (idle / "cordbox-id").touch()
    assert run("verify", data, idle)[0] == 0
    (log,) = other.glob("vnodes/*/audit.log")
    log.write_bytes(log.read_bytes().replace(b'"call":3', b'"call":9'))
    code, out, _ = run("verify", data, other)
    assert (code, out.count("BAD   ")) == (1, 1)
    assert run("verify", data, other, "--key", data / "secrets" / "audit-key")[0] == 2
