"""`cordbox ledger show` and `list` against a host that answers what the test says."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from host.cli import main

NODE = "0123456789AB"
ID = f"SHA-256D:{'A' * 64}"
OWN = {
    "party": None,
    "cpk": "SHA-256:C",
    "code": "SHA-256:D",
    "outcome": "SHA-256:1",
    "run": "SHA-256:2",
    "engine": "SHA-256:3",
    "fuel": 7,
    "verdict": "accepted",
    "differs": False,
}
SHOWN = {
    "id": ID,
    "status": "V",
    "reason": None,
    "origin": "finality",
    "createdAt": "2026-01-01T00:00:00Z",
    "recordedAt": "2026-01-02T00:00:00Z",
    "signatures": [
        {"keyId": "0123456789AB", "isNotary": False, "timestamp": "2026-01-01T00:00:00.000000Z"},
        {"keyId": "BA9876543210", "isNotary": True, "timestamp": "2026-01-01T00:00:01.000000Z"},
    ],
    "parties": ["O=Bob, L=London, C=GB"],
    "visible": [0, 2],
    "verifications": [OWN, {**OWN, "party": "O=Bob, L=London, C=GB"}],
    "around": None,
}


@contextmanager
def answering(answers):
    """A host that answers by the path's last part; `asked` gets the requests."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # the base class's name
            asked.append(self.path)
            path, _, _ = self.path.partition("?")
            body = json.dumps(answers[path.rpartition("/")[2]]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def ledger(capsys):
    """Runs `cordbox ledger`: exit status, output, errors."""

    def run(url, *words, group="ledger"):
        with pytest.raises(SystemExit) as leaving:
            main((group, *words, "--url", url, "--password", "p"))
        printed = capsys.readouterr()
        return int(leaving.value.code or 0), printed.out, printed.err

    return run


def test_a_transaction_is_shown_with_who_verified_it(ledger):
    with answering({ID: SHOWN}) as (url, asked):
        code, out, err = ledger(url, "show", NODE, ID.lower())
        as_json = ledger(url, "show", NODE, ID, "--output", "json")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == [f"transaction  {ID}", "status       verified"]
    assert "visible      0, 2" in lines
    assert "accepted     by this node" in lines
    assert "accepted     by O=Bob, L=London, C=GB" in lines
    assert "signed       2026-01-01T00:00:01.000000Z  key BA9876543210 (notary)" in lines
    assert json.loads(as_json[1]) == SHOWN
    assert asked[0].endswith(f"/ledger/{NODE}/transaction/{ID}")


def test_transactions_before_and_after_are_shown_if_asked_for(ledger):
    near = {"before": [{"id": "B", "status": None}], "after": [{"id": "A", "status": "V"}]}
    with answering({ID: {**SHOWN, "around": {**near, "isCut": True}}}) as (url, asked):
        code, out, _ = ledger(url, "show", NODE, ID, "--around")
    assert code == 0
    assert out.splitlines()[-3:] == [
        "before       B  not here",
        "after        A  verified",
        "there are more",
    ]
    assert asked[0].endswith(f"/transaction/{ID}?around=true")


@pytest.mark.parametrize("output", ["text", "json"])
def test_another_outcome_of_a_counterparty_is_an_alarm(ledger, output):
    other = {**OWN, "party": "O=Bob, L=London, C=GB", "outcome": "SHA-256:9", "differs": True}
    with answering({ID: {**SHOWN, "verifications": [OWN, other]}}) as (url, _):
        code, out, err = ledger(url, "show", NODE, ID, "--output", output)
    assert code == 1
    assert "O=Bob, L=London, C=GB verified CPK SHA-256:C with outcome SHA-256:9" in err
    assert ("DIFFERS" in out) == (output == "text")


def test_the_reason_of_an_invalid_transaction_is_shown(ledger):
    invalid = {**SHOWN, "status": "I", "reason": "notary", "recordedAt": None, "verifications": []}
    with answering({ID: invalid}) as (url, _):
        code, out, _ = ledger(url, "show", NODE, ID)
    assert code == 0
    assert "status       invalid (notary)" in out.splitlines()
    assert "recorded     -" in out.splitlines()


def test_transactions_of_the_statuses_asked_for_are_listed(ledger):
    item = {"id": ID, "timestamp": "2026-01-01T00:00:00Z", "status": "U"}
    with answering({"transaction": {"transactions": [item]}}) as (url, asked):
        words = ("list", NODE, "--status", "unverified", "--status", "invalid")
        code, out, _ = ledger(url, *words)
        ledger(url, "list", NODE)
    assert code == 0
    assert out.splitlines()[1].split() == ["2026-01-01T00:00:00.000000Z", "unverified", ID]
    assert "status=UI" in asked[0]
    assert "status=V" in asked[1]


@pytest.mark.parametrize(
    ("status", "is_due", "line"),
    [
        ("U", True, f"transaction {ID} is unverified: its notary is asked now"),
        ("V", False, f"transaction {ID} is verified: nothing is to be repaired"),
    ],
)
def test_a_repair_is_asked_for(ledger, status, is_due, line):
    answer = {"id": ID, "status": status, "isDue": is_due}
    with answering({"repair": answer}) as (url, asked):
        code, out, err = ledger(url, "repair", NODE, ID.lower())
        as_json = ledger(url, "repair", NODE, ID, "--output", "json")
    assert (code, out.splitlines(), err) == (0, [line], "")
    assert json.loads(as_json[1]) == answer
    assert asked[0].endswith(f"/ledger/{NODE}/transaction/{ID}/repair")


@pytest.mark.parametrize(
    ("rebuild", "line"),
    [
        ("r1", "rebuild r1 has begun"),
        (None, "the vault has no verified transaction: nothing is to be rebuilt"),
    ],
)
def test_a_vault_is_rebuilt(ledger, rebuild, line):
    with answering({"rebuild": {"requestId": rebuild}}) as (url, asked):
        code, out, err = ledger(url, "rebuild", NODE, group="vault")
        as_json = ledger(url, "rebuild", NODE, "--output", "json", group="vault")
    assert (code, out.splitlines(), err) == (0, [line], "")
    assert json.loads(as_json[1]) == {"requestId": rebuild}
    assert asked[0].endswith(f"/virtualnode/{NODE}/vault/rebuild")


def test_rebuilds_are_listed_with_how_far_they_are(ledger):
    one = {
        "requestId": "r1",
        "status": "RUNNING",
        "startedAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:05Z",
        "endedAt": None,
        "total": 9,
        "transactions": 4,
        "changed": 2,
        "failed": 1,
    }
    with answering({"rebuild": {"rebuilds": [one]}}) as (url, _):
        code, out, err = ledger(url, "rebuilds", NODE, group="vault")
        as_json = ledger(url, "rebuilds", NODE, "--output", "json", group="vault")
    assert (code, err) == (0, "")
    assert out.split() == [
        *("2026-01-01T00:00:00Z", "RUNNING", "r1"),
        *("4", "of", "9,", "2", "changed,", "1", "failed"),
    ]
    assert json.loads(as_json[1]) == [one]


@pytest.mark.parametrize("command", ["show", "repair"])
def test_what_is_no_identifier_is_refused_before_the_host_is_asked(ledger, command):
    with answering({}) as (url, asked):
        code, _, err = ledger(url, command, NODE, "x")
    assert (code, asked) == (1, [])
    assert "transaction-id-invalid" in err
