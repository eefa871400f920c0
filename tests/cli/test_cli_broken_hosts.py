"""Every command that asks a host, and hosts that answer what no host answers.

`CORDBOX_BROKEN_INPUTS=all` gives each command each answer; otherwise a third of them.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.broken.calls import call
from tests.cli.broken.commands import PASSWORD, Workspace, all_commands, words_of
from tests.cli.broken.hosts import ANSWERS, broken_host

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ASKING = [c for c in all_commands() if {"url", "target"} & {p.name for p in c.command.params}]
SOME = 1 if os.environ.get("CORDBOX_BROKEN_INPUTS") == "all" else 3
"""Each command is given one of so many answers."""
ALICE = "O=Alice, L=London, C=GB"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Good values of what these commands take; their package and policy are left out or broken."""
    monkeypatch.setenv("CORDBOX_TRACEBACK", "1")
    package = tmp_path / "x.cpi"
    package.write_bytes(b"x")
    good = {
        "node": "0123456789AB",
        "request": "request-1",
        "flow_class": "a.B",
        "user": "admin",
        "password": PASSWORD,
        "package": str(package),
        "timeout": "0",
        "transactions": f"SHA-256D:{'0' * 64}",
        "transaction": f"SHA-256D:{'0' * 64}",
        "cpi": "hello",
        "tenant": "p2p",
        "alias": "a",
        "category": "TLS",
        "usage": "code-signer",
        "section": "corda.flow",
        "values": "{}",
        "state": "active",
    }
    special = {
        "cpi upload file": str(package),
        "certificate upload file": str(package),
        "certificate list node": "",
        "vnode create name": ALICE,
    }
    return Workspace(folder=tmp_path, good=good, special=special)


def test_there_are_commands_that_ask_a_host() -> None:
    assert len(ASKING) >= 40


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_no_answer_of_a_host_breaks_a_command(answer: str, workspace: Workspace) -> None:
    named = replace(workspace, good={**workspace.good, "node": ALICE, "transactions": ""})
    faults: list[str] = []
    with broken_host(ANSWERS[answer]) as url:
        for number, command in enumerate(ASKING, start=list(ANSWERS).index(answer)):
            if number % SOME:
                continue
            names = {p.name for p in command.command.params}
            asked = "url" if "url" in names else "target"
            values = named if number % 2 else workspace
            more = ["--output=json"] if "output" in names and number // 2 % 2 else []
            words = words_of(command, values, broken=asked, value=url)
            place = len(command.words)
            done = call([*words[:place], *more, *words[place:]])
            faults += [f"{command.name} {more}: {fault}" for fault in done.faults()]
    assert not faults, "\n".join(faults)


def test_a_host_with_a_list_without_an_end_is_refused(workspace: Workspace) -> None:
    listing = next(c for c in ASKING if c.name == "ledger list")
    with broken_host(ANSWERS["endless list"]) as url:
        done = call(words_of(listing, workspace, broken="url", value=url))
    assert done.code == 1
    assert "answers a list without an end" in done.err


def test_a_hosts_texts_cannot_move_the_cursor(workspace: Workspace) -> None:
    result = next(c for c in ASKING if c.name == "flow result")
    with broken_host(ANSWERS["control characters"]) as url:
        done = call(words_of(result, workspace, broken="url", value=url))
    assert "\x1b" not in done.out + done.err
