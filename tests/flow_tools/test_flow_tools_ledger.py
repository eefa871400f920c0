"""`cordbox ledger` against a real host: what it exports is what `contract verify` judges again."""

import json

import pytest

from host.tools.network.operations import nodes_by_name
from tests.flow_tools.conftest import ALICE, BOB

pytestmark = pytest.mark.slow
UNKNOWN = f"SHA-256D:{'0' * 64}"


@pytest.fixture
def ledger(network, cordbox):
    """Runs `cordbox ledger` against the network."""
    return lambda command, *words: cordbox("ledger", command, *words, *network.words())


@pytest.fixture
def issued(flow):
    """An IOU of 7 that was issued and settled in part: the ids of the two transactions."""
    body = json.dumps({"counterparty": BOB, "amount": 7})
    done = flow("start", ALICE, "iou_flows.IssueIou", body, "--wait").json
    body = json.dumps({"linear_id": done["linear_id"], "amount": 3})
    settled = flow("start", ALICE, "iou_flows.SettleIou", body, "--wait").json
    return done["transaction_id"], settled["transaction_id"]


@pytest.fixture
def verify(network, cordbox, tmp_path):
    """Runs `cordbox contract verify` with the CPI that the host runs."""
    cpi, certificate = tmp_path / "app.cpi", tmp_path / "signer.pem"
    with network.host.client() as client:
        node = nodes_by_name(client, network.folder.group_id)[ALICE]
        cpi.write_bytes(client.ask("GET", f"/virtualnode/{node}/cpi"))
        usage = "/certificate/cluster/code-signer"
        (alias, *_) = client.get(usage)
        certificate.write_bytes(client.ask("GET", f"{usage}/{alias}"))

    def run(file):
        return cordbox("contract", "verify", str(cpi), str(file), "--certificate", str(certificate))

    return run


def test_what_is_exported_is_judged_again(ledger, issued, verify, tmp_path):
    file = tmp_path / "transactions.jsonl"
    done = ledger("export", BOB, *issued, "-o", str(file))
    assert (done.code, done.out, done.err) == (0, "", "2 transactions\n")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["id"] for line in lines] == list(issued)
    assert lines[1]["inputs"][0]["state"] == lines[0]["outputs"][0]
    verified = verify(file)
    assert verified.out == f"{file}:1: accepted\n{file}:2: accepted\n"
    assert verified.code == 0


def test_a_changed_amount_is_refused(ledger, issued, verify, tmp_path):
    transaction = json.loads(ledger("export", ALICE, issued[1]).out)
    transaction["outputs"][0]["value"]["paid"] = 6
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(transaction))
    verified = verify(file)
    assert verified.code == 1
    assert verified.out.startswith(f"{file}: refused\n")


def test_both_nodes_export_the_same_bytes(ledger, issued):
    assert ledger("export", ALICE, *issued).out == ledger("export", BOB, *issued).out


def test_a_whole_ledger_is_exported_in_the_order_of_recording(ledger, issued):
    listed = [each["id"] for each in ledger("list", ALICE, "--output", "json").json]
    assert listed[:2] == [issued[1], issued[0]]
    lines = [json.loads(line)["id"] for line in ledger("export", ALICE).out.splitlines()]
    assert lines == listed[::-1]
    of_type = ledger("export", ALICE, "--state-type", "iou_contracts.Iou")
    assert [json.loads(line)["id"] for line in of_type.out.splitlines()] == lines
    assert ledger("export", ALICE, "--state-type", "iou_contracts.Other").out == ""
    assert ledger("export", ALICE, "--until", "2026-01-01").out == ""
    assert len(ledger("export", ALICE, "--since", "2026-01-01").out.splitlines()) == len(lines)
    cut = ledger("list", ALICE, "--limit", "1")
    assert issued[1] in cut.out
    assert "more than 1 transactions: see --limit" in cut.err


def test_a_transaction_shows_that_both_nodes_came_to_one_outcome_by_one_code(ledger, issued):
    """Real runs in real sandboxes: their digests are what finality compares."""
    done = ledger("show", ALICE, issued[0], "--output", "json")
    assert (done.code, done.err) == (0, "")
    shown = done.json
    assert (shown["status"], shown["parties"]) == ("V", [BOB])
    own, other = shown["verifications"]
    assert (own["party"], other["party"]) == (None, BOB)
    assert own["fuel"] > 0
    assert {**own, "party": BOB} == other
    assert other["differs"] is False
    assert f"accepted     by {BOB}" in ledger("show", ALICE, issued[0]).out.splitlines()
    there = ledger("show", BOB, issued[0], "--output", "json").json
    assert [v["outcome"] for v in there["verifications"]] == [own["outcome"]]


def test_what_is_unknown_has_a_code_and_writes_no_file(ledger, issued, tmp_path):
    file = tmp_path / "new.jsonl"
    for words, code in (
        ((ALICE, UNKNOWN), "not-found"),
        ((ALICE, "nonsense"), "transaction-id-invalid"),
        ((ALICE, issued[0], "../../hello"), "transaction-id-invalid"),
        (("0123456789AB",), "not-found"),
        (("../hello",), "short-hash-invalid"),
    ):
        done = ledger("export", *words, "-o", str(file))
        assert done.code == 1
        assert done.err.startswith(f"error[{code}]: "), done.err
        assert list(tmp_path.iterdir()) == []
    file.write_text("mine")
    assert "error[file-exists]" in ledger("export", ALICE, "-o", str(file)).err
    assert file.read_text() == "mine"
