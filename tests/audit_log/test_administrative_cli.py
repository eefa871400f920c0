"""`cordbox audit admin`: who did what, from a data directory or from a running host."""

import json
import sqlite3

import pytest

from host.cli import main
from host.nodes.audit_log.administrative import ActQuery
from host.runtime.wiring.administrative_reading import act_json, register_of
from host.runtime.wiring.offline_acts import offline_act


@pytest.fixture
def data(tmp_path):
    for name in ("alice", "bob", "alice"):
        with offline_act(tmp_path, "user reset-password", parameters={"loginName": name}):
            pass
    return tmp_path


@pytest.fixture
def run(capsys):
    def run(*words):
        with pytest.raises(SystemExit) as left:
            main(["audit", "admin", *map(str, words)])
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return run


def test_a_data_directory_tells_newest_first(run, data):
    code, out, _ = run(data)
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 3
    assert all("CLI user reset-password  0 ok" in line for line in lines)
    assert ['"bob"' in line for line in lines] == [False, True, False]
    code, out, _ = run(data, "--output", "json", "--last", "2")
    acts = [json.loads(line) for line in out.splitlines()]
    assert [act["parameters"]["loginName"] for act in acts] == ["alice", "bob"]
    with register_of(data) as register:
        views = register.page(ActQuery(), before=None, limit=2)
    assert acts == [act_json(view) for view in views]


def test_acts_are_filtered(run, data):
    with register_of(data) as register:
        last, *_ = register.page(ActQuery(), before=None, limit=9)
    user = last.act.user
    assert len(run(data, "--by", user)[1].splitlines()) == 3
    assert run(data, "--by", "nobody")[1] == ""
    assert run(data, "--resource", "restore")[1] == ""
    assert run(data, "--until", "2001-01-01")[1] == ""
    assert len(run(data, "--since", "2001-01-01T00:00:00Z")[1].splitlines()) == 3
    assert run(data, "--since", "yesterday")[0] == 2


def test_the_chain_is_verified_with_the_hosts_key(run, data):
    code, out, _ = run(data, "--verify")
    assert (code, out.startswith("good  7 entries, ends 6:")) == (0, True)
    anchor = json.loads(run(data, "--verify", "--output", "json")[1])["anchor"]
    assert run(data, "--verify", "--anchor", anchor)[0] == 0
    assert run(data, "--verify", "--anchor", "6:" + "0" * 64)[0] == 1
    with sqlite3.connect(data / "cluster.sqlite") as raw:
        raw.execute("UPDATE administrative_log SET entry = replace(entry, 'bob', 'eve')")
    raw.close()
    code, out, _ = run(data, "--verify")
    assert code == 1
    assert "BAD   entry 3: [administrative-entry-changed]" in out
    (data / "secrets" / "audit-key").rename(data / "key")
    assert "who wrote the entries is not known" in run(data, "--verify")[1]


def test_wrong_usage_and_places_without_a_log(run, data, tmp_path_factory):
    assert run("--verify")[0] == 2
    assert run(data, "--anchor", "1:2")[0] == 2
    assert run(data, "--verify", "--anchor", "x")[0] == 2
    empty = tmp_path_factory.mktemp("empty")
    code, _, err = run(empty)
    assert code == 1
    assert "administrative-log-unreadable" in err
    assert list(empty.iterdir()) == []


def test_control_characters_cannot_steer_the_terminal(run, data):
    with offline_act(data, "user reset-password", parameters={"loginName": "\x1b[2J"}):
        pass
    assert "\x1b" not in run(data)[1]
