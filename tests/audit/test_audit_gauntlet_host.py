import json
import os
import signal
from contextlib import contextmanager
from dataclasses import replace

import pytest
import structlog

from host.cli import main
from host.cli.ending_signals import ended_by_signals
from host.domain.errors import UnavailableError
from host.tools.audit.gauntlet.host_arena import opened_host
from host.tools.audit.gauntlet.host_attacks import REFUSED, host_attacks
from host.tools.audit.gauntlet.host_contest import (
    LEAD,
    WARM_UP,
    Beside,
    HostReport,
    run_host_gauntlet,
)
from host.tools.audit.gauntlet.host_report import document_of, line_of, summary_of
from host.tools.audit.gauntlet.host_strike import ending_of_refusal
from host.tools.audit.gauntlet.model import CONTAINED, Ending
from host.tools.cache import default_cache_dir
from host.tools.client.host_client import HostRefusedError
from host.tools.flows.client import HostFlows

SAMPLES = 5
STRANGERS_SECONDS = 3.0
"""How long strangers attack: they do not stop by themselves."""
ATTACKS = {
    "nested-request": {},
    "half-character": {},
    "empty-writes": {"flows": 4, "body": {"count": 50}},
    "held-connections": {},
    "password-guesses": {},
}
"""Attacks of the catalogue, and what makes them short enough to be tried with each change."""


def row_of(attack=None, seconds=(), code=CONTAINED, failure=None):
    ending = Ending(code=code, message="told")
    return Beside(attack=attack, seconds=list(seconds), endings={code: ending}, failure=failure)


def named(name):
    return next(attack for attack in host_attacks() if attack.name == name)


@pytest.fixture(scope="module")
def arena(sandbox, tmp_path_factory):
    """A real host with worker processes, in the mode of CORDBOX_ISOLATION."""
    root = tmp_path_factory.mktemp("gauntlet-host")
    mode = os.environ.get("CORDBOX_ISOLATION", "shared")
    options = ("--isolation", mode)
    attackers = 2 * len(ATTACKS)  # each has a warm-up of its own
    with opened_host(root, sandbox, default_cache_dir(), options, attackers=attackers) as opened:
        yield opened


def test_attacks_have_names_of_their_own_and_endings():
    names = [attack.name for attack in host_attacks()]
    assert len(names) == len(set(names)) >= 40
    assert all(attack.stops for attack in host_attacks())
    assert all(bool(attack.flow) != bool(attack.stranger) for attack in host_attacks())


def test_ending_that_is_not_allowed_has_escaped():
    bad = row_of(named("nested-request"), code="platform-failure")
    report = HostReport(quiet=row_of(), rows=(bad,), seconds=1.0)
    assert not report.held
    assert "ESCAPED" in line_of(bad)
    assert "ESCAPED nested-request: [platform-failure] told" in summary_of(report)
    assert document_of(report)["results"][0]["stopped"] is False


def test_a_start_that_a_quota_refuses_has_not_escaped():
    for attack in host_attacks():
        held = row_of(attack, code=min(attack.stops))
        held.endings[REFUSED] = Ending(code=REFUSED, message="full")
        assert HostReport(quiet=Beside(attack=None), rows=(held,), seconds=1.0).held
        assert "ESCAPED" not in line_of(held)
    assert row_of(code=REFUSED).escaped, "the neighbour's own starts are not refused"


@pytest.mark.parametrize("codes", [(), (REFUSED,)])
def test_an_attack_of_which_nothing_has_run_is_no_measurement(codes):
    row = Beside(attack=named("worm"), seconds=[0.1] * 100, quiet=[0.1] * 100)
    row.endings = {code: Ending(code=code, message="full") for code in codes}
    report = HostReport(quiet=Beside(attack=None), rows=(row,), seconds=1.0)
    assert not report.held
    assert "NOT TRIED" in line_of(row)
    assert "NOT TRIED worm: no flow of it has run" in summary_of(report)
    assert document_of(report)["results"][0]["stopped"] is False


@pytest.mark.parametrize(
    ("error", "answered", "code"),
    [
        (HostRefusedError, "quota-exceeded", REFUSED),
        (UnavailableError, "flows-too-many", REFUSED),
        (HostRefusedError, "flow-class-unknown", "host-refused"),
    ],
)
def test_refused_start_is_the_quotas_by_the_code_that_the_host_answers(error, answered, code):
    refused = error("account bus of virtual node 0A1B2C3D4E5F would hold 2 bytes")
    refused.answered_code = answered
    assert ending_of_refusal(refused).code == code


def test_host_that_does_not_answer_has_not_refused_the_start():
    with pytest.raises(UnavailableError):
        ending_of_refusal(UnavailableError("a quota of 3 s is over"))


def test_disturbed_neighbour_is_told():
    bad = row_of(named("worm"), code="quota-exceeded", failure="lost")
    report = HostReport(quiet=row_of(), rows=(bad,), seconds=1.0)
    assert not report.held
    assert "DISTURBED beside worm: lost" in summary_of(report)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_ends_as_it_must_and_reaches_nobody_else(arena, name):
    attack = replace(named(name), **ATTACKS[name])
    seconds = STRANGERS_SECONDS if attack.stranger else 60.0
    report = run_host_gauntlet(
        arena, [attack], samples=SAMPLES, rounds=1, seconds_max=seconds, warm_up=1
    )
    (row,) = report.rows
    assert report.held, summary_of(report)
    assert row.endings, "the attack took place"
    assert row.memory > 0
    assert len(report.quiet.seconds) >= SAMPLES
    assert row.seconds, "the neighbour's flows went on"
    with arena.host.client() as client:
        alice = arena.alice
        flows = list(HostFlows(client).list(alice, responders=True))
        assert {flow["flowStatus"] for flow in flows} == {"COMPLETED"}
        assert client.get(f"/virtualnode/{alice}/usage")["hits"] == {}
        assert client.get("/deadletter")["deadLetters"] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_command_attacks_a_host_of_its_own(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["audit", "gauntlet", "--host", "--attack", "half-character", "--samples", "100"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--output", "json"])
    structlog.reset_defaults()  # the command has configured this process's logs
    told = json.loads(capsys.readouterr().out)
    assert left.value.code == 0
    assert [row["name"] for row in told["results"]] == ["half-character"]
    assert told["results"][0]["neighbourFlows"] >= 100
    assert told["results"][0]["ratio"] > 0
    assert list(tmp_path.iterdir()) == []


def test_ratio_is_of_the_quiet_windows_beside_the_attack():
    row = row_of(named("worm"), [0.03] * 100)
    row.quiet += [0.02] * 100
    elsewhere = row_of(seconds=[9.0] * 100)
    report = HostReport(quiet=elsewhere, rows=(row,), seconds=1.0)
    assert row.ratio == pytest.approx(1.5)
    assert "worst beside worm, 1.50x" in summary_of(report)
    assert document_of(report)["results"][0]["ratio"] == row.ratio


@pytest.mark.parametrize(("quiet", "beside"), [(100, 99), (99, 100), (0, 100)])
def test_too_few_flows_give_no_ratio(quiet, beside):
    row = row_of(named("worm"), [0.1] * beside)
    row.quiet += [0.1] * quiet
    assert row.ratio is None


class CountedHost:
    """Takes the place of a host: counts the neighbour's flows, which take no time.

    Attributes:
        windows: flows in each window of measurement, in order.
        struck: number of the window in which each strike began.
    """

    def __init__(self, folder):
        self.certificate = folder / "tls" / "certificate.pem"
        self.host, self.process, self.pid = self, self, os.getpid()
        self.warmed_up = 0
        self.windows, self.struck = [], []
        self.made, self.attackers, self.settled = 0, [], []

    @contextmanager
    def client(self):
        self.windows.append(0)
        yield self

    def warm_up(self, flows):
        assert not self.windows, "nothing is measured before"
        self.warmed_up += flows

    def neighbour(self, client):
        self.windows[-1] += 1

    def new_attacker(self, attack, warm_up):
        self.made += 1
        return f"{attack.name}-{self.made}"

    def strikes(self, attack, node, over):
        assert self.windows[-1] >= LEAD, "the attack begins after the flows that are not counted"
        self.struck.append(len(self.windows))
        self.attackers.append(node)
        yield (Ending(code="quota-exceeded", message=attack.name),)
        over.wait()

    def settle(self, attacker):
        self.settled.append(attacker)


def test_warm_up_is_left_out_of_quiet_and_attacked_windows_alike(tmp_path):
    host = CountedHost(tmp_path)
    report = run_host_gauntlet(host, [named("worm")], samples=6, rounds=2, warm_up=7)
    (row,) = report.rows
    assert host.warmed_up == 7
    assert host.struck == [2, 4], "a quiet window is before each attacked one"
    assert row.quiet == report.quiet.seconds
    assert len(row.quiet) >= 6
    assert len(row.seconds) >= 6
    flows = host.windows
    # A flow that runs while the counting begins belongs to the window.
    assert len(row.quiet) <= flows[0] + flows[2] - 2 * LEAD + 2
    assert len(row.seconds) <= flows[1] + flows[3] - 2 * LEAD + 2
    assert f"warm-up: {WARM_UP} flows of each node" in summary_of(report)


def test_no_window_has_the_attacker_of_another_one(tmp_path):
    host = CountedHost(tmp_path)
    run_host_gauntlet(host, [named("worm"), named("tiny-flows")], samples=2, rounds=2, warm_up=0)
    assert host.attackers == ["worm-1", "worm-2", "tiny-flows-3", "tiny-flows-4"]
    assert host.settled == [node for node in host.attackers for _ in ("quiet", "attacked")]


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_what_the_command_has_started(kind):
    before, ended = signal.getsignal(kind), []

    @contextmanager
    def host():
        try:
            yield
        finally:
            ended.append("the host")

    with pytest.raises(KeyboardInterrupt), ended_by_signals(), host():
        signal.raise_signal(kind)
    assert ended == ["the host"]
    assert signal.getsignal(kind) is before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--host", "--attack", "nothing"], "no attack is named nothing"),
        (["--attack", "worm"], "--attack chooses among the attacks of --host"),
        (["--host", __file__], "--host attacks nodes of its own"),
    ],
)
def test_wrong_usage_is_told(capsys, words, reason):
    with pytest.raises(SystemExit) as left:
        main(["audit", "gauntlet", *words])
    assert left.value.code == 2
    assert reason in capsys.readouterr().err
