"""A cut that somebody answers for ends the warning, and nothing else does."""

import json

import pytest

from host.adapters.os.system import SystemClock
from host.cli import main
from host.nodes.audit_log import chain
from host.nodes.audit_log.acknowledging import (
    AuditNothingToAcknowledgeError,
    AuditReasonInvalidError,
    acknowledge_cuts,
)
from host.nodes.audit_log.administrative import ActQuery
from host.nodes.audit_log.node_log import LOG_NAME, NodeLog
from host.nodes.audit_log.verification import read_entries, verify_log
from host.runtime.wiring.administrative_reading import act_json, register_of
from host.runtime.wiring.schemas import CLUSTER_SCHEMAS, NODE_SCHEMAS
from host.tools.data_check import check_directory
from tests.audit_log.test_audit_log_chain import ALICE, KEY, call, written
from tests.audit_log.test_audit_log_cuts import cut_at, goes_on
from tests.support.data_directories import ALICE as NODE
from tests.support.data_directories import make_directory, parts_of


def acknowledge(folder, entry=None, reason="disk replaced, ticket 7"):
    return acknowledge_cuts(
        folder, entry=entry, user="olga", reason=reason, key=KEY, clock=SystemClock()
    )


@pytest.fixture
def cut(tmp_path):
    """A log that was cut twice."""
    written(tmp_path)
    for number in (1, 2):
        cut_at(tmp_path, 2)
        found = goes_on(tmp_path, 70 + number)
        cut_at(tmp_path, found.last.seq)
        found = goes_on(tmp_path, 80 + number)
    assert len(found.cuts) == 2
    return tmp_path


def test_an_acknowledged_cut_verifies_and_stays_told(cut):
    before = verify_log(cut / LOG_NAME, key=KEY)
    first, second = before.cuts
    assert acknowledge(cut, first.seq) == [first]
    found = verify_log(cut / LOG_NAME, key=KEY)
    assert (list(found.cuts), list(found.acknowledged)) == ([second], [first])
    assert found.problem == second
    acknowledge(cut)
    found = goes_on(cut, 99)
    assert (found.problem, list(found.acknowledged)) == (None, [first, second])
    told = [e for e in read_entries(cut / LOG_NAME) if e["kind"] == "acknowledged"]
    assert [(e["of"], e["user"], e["reason"]) for e in told] == [
        (first.seq, "olga", "disk replaced, ticket 7"),
        (second.seq, "olga", "disk replaced, ticket 7"),
    ]


def test_a_later_cut_is_not_acknowledged_by_an_earlier_answer(cut):
    acknowledge(cut)
    cut_at(cut, verify_log(cut / LOG_NAME, key=KEY).last.seq)
    assert goes_on(cut, 99).problem is not None


@pytest.mark.parametrize("entry", [0, 1, 9999])
def test_what_tells_of_no_cut_cannot_be_acknowledged(cut, entry):
    with pytest.raises(AuditNothingToAcknowledgeError, match=f"entry {entry}"):
        acknowledge(cut, entry)
    acknowledge(cut)
    with pytest.raises(AuditNothingToAcknowledgeError):
        acknowledge(cut)


@pytest.mark.parametrize("reason", ["", "x" * 501, "two\nlines"])
def test_a_reason_is_needed(cut, reason):
    with pytest.raises(AuditReasonInvalidError):
        acknowledge(cut, reason=reason)


def test_an_answer_that_names_another_entry_counts_for_nothing(cut):
    seq = verify_log(cut / LOG_NAME, key=KEY).cuts[0].seq
    log = NodeLog(cut, ALICE, KEY)
    for number, digest in ((seq, "0" * 64), (seq + 1, "0" * 64)):
        log.add([chain.acknowledged(of=number, of_hash=digest, user="x", reason="y", at=1)], now=1)
    log.append(call(200, "later"), now=2)
    log.close()
    assert len(verify_log(cut / LOG_NAME, key=KEY).cuts) == 2


def test_the_command_ends_the_finding_and_is_in_the_administrative_log(tmp_path, capsys):
    folder = make_directory(tmp_path / "d")
    log = folder / "vnodes" / NODE.short_hash / "audit.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    with parts_of(folder) as parts:
        parts.write(NODE, call=9)

    def findings():
        report = check_directory(
            folder, passphrase=None, cluster_schemas=CLUSTER_SCHEMAS, node_schemas=NODE_SCHEMAS
        )
        return [each.code for each in report.findings]

    assert findings() == ["audit-log-cut"]
    capsys.readouterr()
    words = ["audit", "log", "acknowledge", str(folder), "--node", NODE.short_hash]
    with pytest.raises(SystemExit) as left:
        main([*words, "--reason", "restored by hand", "--output", "json"])
    assert left.value.code in (0, None)
    (told,) = json.loads(capsys.readouterr().out)["acknowledged"]
    assert told["code"] == "audit-log-cut"
    assert findings() == []
    with register_of(folder) as register:
        (act,) = [act_json(v) for v in register.page(ActQuery(), before=None, limit=9)]
    assert (act["operation"], act["status"]) == ("audit log acknowledge", 0)
    assert act["parameters"]["reason"] == "restored by hand"
    with pytest.raises(SystemExit) as left:
        main([*words, "--reason", "again"])
    assert left.value.code == 1
    assert "error[audit-nothing-to-acknowledge]" in capsys.readouterr().err
