"""What is done in the kit and on a host: every host function, failure, timeout and limit."""

import json
from typing import Any

from tests.testkit.sample_rows import SAMPLES
from tests.testkit.sides import (
    BOB,
    CHARLIE,
    HOST_CALLS_MAX,
    JOURNAL_CALLS_MAX,
    PAYLOAD_BYTES_MAX,
    Row,
    row,
)


def calls(*made: tuple[str, str, Any]) -> list[dict[str, Any]]:
    """A script of host calls; see probe_flows.py."""
    return [{"call": list(each)} for each in made]


def note(name: str, text: str = "t") -> dict[str, Any]:
    value = {"id": name, "text": text}
    return {"type": "probe_flows.Note", "key": name, "value": value}


def write(op: str, *entities: Any, dedup: str | None = None) -> tuple[str, str, Any]:
    return ("persistence", "write", {"op": op, "entities": list(entities), "dedupId": dedup})


def read(**fields: Any) -> tuple[str, str, Any]:
    return ("persistence", "read", fields)


def opened(name: str = BOB, **options: Any) -> tuple[str, str, Any]:
    request = {"counterparty": name, "requireClose": False, "timeoutMillis": None, **options}
    return ("sessions", "open", request)


def sent(session: str, payload: Any) -> tuple[str, str, Any]:
    return ("sessions", "send", {"messages": [{"session": session, "payload": payload}]})


def received(*sessions: str) -> tuple[str, str, Any]:
    return ("sessions", "receive", {"sessions": list(sessions)})


LINE = {"level": "info", "logger": "probe", "message": "m"}
LONG_LINE = {**LINE, "message": "@x2000"}
ANSWER = calls(sent("@peer", {"answer": 1}))
PASSED_ON = calls(sent("@@peer", {"answer": 1}))
"""The same within a script that another one sends."""
KEY = "@0.ledgerKeys.0"
ME = ("membership", "lookup", {"by": "me"})

FLOW = [
    row(
        "flow",
        "probe_flows.Play",
        calls(
            ("flow", "now", {}),
            ("flow", "now", {"zone": "UTC"}),
            ("flow", "random", {"bytes": 16}),
            ("flow", "random", {"bytes": 0}),
            ("flow", "random", {"bytes": 65_537}),
            ("flow", "sleep", {"millis": 1}),
            ("flow", "sleep", {"millis": 5, "why": "x"}),
            ("flow", "sleep", {"millis": 900_001}),
            ("flow", "sleep", {"millis": -1}),
            ("flow", "context", {"op": "put", "key": "k", "value": "v"}),
            ("flow", "context", {"op": "get", "key": "k"}),
            ("flow", "context", {"op": "get", "key": "other"}),
            ("flow", "context", {"op": "put", "key": "k", "value": 5}),
            ("flow", "context", {"op": "put", "key": "k", "value": "@x20000"}),
            ("flow", "context", {"op": "put", "key": "corda.k", "value": "v"}),
            ("flow", "context", {"op": "drop", "key": "k"}),
            ("flow", "sub-flow", {"op": "leave"}),
            ("flow", "sub-flow", {"op": "enter"}),
            ("log", "write", LINE),
            ("log", "write", {**LINE, "level": "loud"}),
            ("log", "write", {**LINE, "message": 5}),
        ),
    ),
    row("function-unknown", "probe_flows.Play", calls(("flow", "fly", {}))),
    row("ungranted", "probe_flows.CallUngranted"),
    row("stubborn", "probe_flows.Stubborn"),
    row("fails-deep", "probe_flows.FailDeep", "on purpose"),
    row("fails", "probe_flows.Play", [{"raise": "on purpose"}]),
    row("exits", "probe_flows.Leave", "SystemExit"),
    row("closes", "probe_flows.Leave", "GeneratorExit"),
    row("unprintable", "probe_flows.Leave", "UnprintableError"),
    row("log-flood", "probe_flows.Play", calls(*[("log", "write", LONG_LINE)] * 34)),
    row("host-calls", "probe_flows.Play", calls(*[("log", "write", LINE)] * HOST_CALLS_MAX)),
    row(
        "host-calls-too-many",
        "probe_flows.Play",
        calls(*[("log", "write", LINE)] * (HOST_CALLS_MAX + 1)),
    ),
    row("journal-full", "probe_flows.Play", calls(*[("flow", "now", {})] * JOURNAL_CALLS_MAX)),
    row(
        "journal-too-long",
        "probe_flows.Play",
        calls(*[("flow", "now", {})] * (JOURNAL_CALLS_MAX + 1)),
    ),
]
SERVICES = [
    row(
        "entities",
        "probe_flows.Play",
        calls(
            write("persist", note("a"), note("b")),
            write("persist", note("a")),
            write("persist", note("c"), dedup="once"),
            write("persist", note("c"), dedup="once"),
            write("merge", note("a", "merged")),
            write("remove", {"type": "probe_flows.Note", "key": "b"}),
            write("persist", {**note("d"), "type": "probe_flows.Other"}),
            write("persist", {**note("d"), "value": {"id": "d", "text": 5}}),
            write("change", note("a")),
            read(op="find", type="probe_flows.Note", keys=["a", "b"]),
            read(op="find-all", type="probe_flows.Note", offset=0, limit=10),
            read(op="find-all", type="probe_flows.Note", offset=0, limit=0),
            read(op="query", type="probe_flows.Note", query="none", parameters={}),
            read(op="guess"),
        ),
    ),
    row(
        "crypto",
        "probe_flows.Play",
        calls(
            ME,
            ("crypto", "digest", {"algorithm": "SHA-256", "bytes": "YQ=="}),
            ("crypto", "digest", {"algorithm": "MD5", "bytes": "YQ=="}),
            ("crypto", "digest", {"algorithm": "SHA-256", "bytes": "?"}),
            (
                "crypto",
                "verify",
                {"bytes": "", "signature": "YQ==", "key": KEY, "spec": "SHA256withECDSA"},
            ),
            ("crypto", "verify", {"bytes": "", "signature": "", "key": "k", "spec": "s"}),
        ),
    ),
    row(
        "members",
        "probe_flows.Play",
        calls(
            ME,
            ("membership", "lookup", {"by": "name", "name": BOB}),
            ("membership", "lookup", {"by": "name", "name": "O=Nobody, L=Rome, C=IT"}),
            ("membership", "lookup", {"by": "name", "name": "Nobody"}),
            ("membership", "lookup", {"by": "key", "key": KEY}),
            ("membership", "lookup", {"by": "all"}),
            ("membership", "lookup", {"by": "group-parameters"}),
            ("membership", "lookup", {"by": "guess"}),
        ),
    ),
    row(
        "ledger",
        "probe_flows.Play",
        calls(
            ("ledger", "find", {"id": f"SHA-256D:{0:064X}"}),
            ("ledger", "find", {"id": "none"}),
            ("ledger", "find", {"stateRefs": [f"SHA-256D:{0:064X}:0"]}),
            ("ledger", "query", {"op": "unconsumed", "type": "x", "offset": 0, "limit": 5}),
            ("ledger", "query", {"op": "all", "type": "x", "offset": 0, "limit": 5}),
            ("ledger", "build", {}),
            ("ledger", "verify", {"transaction": {}, "sign": True}),
            ("ledger", "record", {"transaction": {}}),
        ),
    ),
    Row(
        id="ledger-issue",
        starts=tuple((BOB, "probe_flows.Issue", value) for value in (5, 0, 7)),
    ),
    row(
        "external",
        "probe_flows.Play",
        calls(
            ("external-messaging", "send", {"channel": "c", "messageId": "1", "message": "m"}),
            ("external-messaging", "send", {"channel": "d", "messageId": "1", "message": "m"}),
            ("external-messaging", "send", {"channel": "", "messageId": "1", "message": "m"}),
            ("external-messaging", "send", {"message": "m"}),
        ),
    ),
]
SESSIONS = [
    row(
        "session",
        "probe_flows.Play",
        calls(
            opened(),
            sent("@0.session", PASSED_ON),
            received("@0.session"),
            ("sessions", "info", {"session": "@0.session"}),
            ("sessions", "close", {"sessions": ["@0.session"]}),
            ("sessions", "close", {"sessions": ["@0.session"]}),
            sent("@0.session", 1),
            received("@0.session"),
        ),
    ),
    row(
        "session-refusals",
        "probe_flows.Play",
        calls(
            opened("O=Nobody, L=Rome, C=IT"),
            opened("Nobody"),
            opened(timeoutMillis=0),
            ("sessions", "open", {}),
            sent("none", 1),
            received("none"),
            ("sessions", "info", {"session": "none"}),
            ("sessions", "close", {"sessions": ["none"]}),
        ),
    ),
    row("session-no-protocol", "probe_flows.PlayAlone", calls(opened())),
    row(
        "session-chunks",
        "probe_flows.Play",
        calls(
            opened(),
            sent("@0.session", calls(sent("@@peer", "@@x1100000"))),
            received("@0.session"),
        ),
    ),
    row(
        "session-payload-too-large",
        "probe_flows.Play",
        calls(opened(), sent("@0.session", f"@x{PAYLOAD_BYTES_MAX + 1}")),
    ),
    row("peer-fails", "probe_flows.Ask", {"script": [{"raise": "500 is too many"}]}),
    row("peer-fails-and-is-caught", "probe_flows.CatchPeer", [{"raise": "500 is too many"}]),
    row("peer-answers", "probe_flows.Ask", {"script": ANSWER}),
    row("peer-says-nothing", "probe_flows.Ask", {"script": []}),
    row(
        "session-timeout-of-its-own",
        "probe_flows.Ask",
        {
            "script": calls(("flow", "sleep", {"millis": 2_000})),
            "options": {"timeout_millis": 1_000},
        },
    ),
    row("kit-ask-all", "kit_flows.AskAll", [BOB, CHARLIE]),
    row("kit-chain", "kit_flows.Chain"),
    row("kit-unread", "kit_flows.LeaveUnread"),
    row("kit-late", "kit_flows.AskLate"),
    row("kit-end-sub-flow", "kit_flows.EndSubFlow", True),
    row("kit-nobody", "kit_flows.AskNobody"),
]
BODIES = [
    *(
        row(f"text-{number}", "probe_flows.Text", body)
        for number, body in enumerate(("plain", "9", '"9"', "[1", "", '{"a": 1, "a": 2}', 5))
    ),
    *(
        row(f"echo-{number}", "probe_flows.Echo", body)
        for number, body in enumerate(("9", "[1]", "x", None, {"a": [1.5, None]}, json.dumps("9")))
    ),
    row("number", "probe_flows.Number5"),
    row("body-wrong", "probe_flows.Large", "many"),
    row("flow-unknown", "probe_flows.Nothing"),
    row("flow-not-startable", "probe_flows.Answer"),
    row("result-large", "probe_flows.Large", 4 * 1024 * 1024),
    row("result-too-large", "probe_flows.Large", 4 * 1024 * 1024 + 1),
]


ROWS = [*FLOW, *SERVICES, *SESSIONS, *BODIES, *SAMPLES]
