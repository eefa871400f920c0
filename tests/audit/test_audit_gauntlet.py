import json
import os
from contextlib import closing
from itertools import count

import pytest

from host.cli import main
from host.tools.audit.gauntlet import runner
from host.tools.audit.gauntlet.binaries import foreign, forged
from host.tools.audit.gauntlet.canary import Neighbour, p99
from host.tools.audit.gauntlet.harness import opened_arena
from host.tools.audit.gauntlet.host_footprint import processor_wait_s
from host.tools.audit.gauntlet.machine_code import machine_code
from host.tools.audit.gauntlet.model import CONTAINED, PythonAttack, Stage
from host.tools.audit.gauntlet.python_code import python_code
from host.tools.audit.gauntlet.report import document_of, line_of, summary_of
from host.tools.audit.gauntlet.runner import catalogue, run_gauntlet
from sandbox.isolation.placing import Apart
from sandbox.isolation.pool import ProcessPool
from sandbox.isolation.process import ProcessPlan
from sandbox.limits import Limits

STAYING = {"keep-global", "patch-json", "count-attempts", "ansi-log", "catch-refusal", "socket"}


@pytest.fixture(scope="module")
def arena(sandbox):
    """In the processes of CORDBOX_ISOLATION."""
    if os.environ.get("CORDBOX_ISOLATION", "shared") == "shared":
        with opened_arena(sandbox, Limits()) as opened:
            yield opened
        return
    pool = ProcessPool(most=4, idle_seconds=600, plan=ProcessPlan(flows=4, waiting=1, contracts=2))
    with closing(pool), opened_arena(sandbox, Limits(), Apart(pool)) as opened:
        yield opened


def chosen(names):
    return [(stage, attack) for stage, attack in catalogue() if attack.name in names]


def test_catalogue_is_large_and_names_are_unique():
    names = [attack.name for _, attack in catalogue()]
    assert len(names) == len(set(names)) >= 60
    assert all(attack.stops for _, attack in catalogue())
    assert {stage for stage, _ in catalogue()} == set(Stage)


@pytest.mark.parametrize("attack", [*forged(), *foreign()], ids=lambda a: a.name)
def test_bytes_that_are_no_guest_are_refused(arena, attack):
    ending = arena.strike(attack)()
    assert ending.code in attack.stops
    assert ending.code != CONTAINED
    assert ending.message


@pytest.mark.parametrize(
    "attack", [a for a in machine_code() if not a.name.startswith("spin")], ids=lambda a: a.name
)
def test_machine_code_is_stopped(arena, attack):
    assert arena.strike(attack)().code in attack.stops


@pytest.mark.parametrize(
    "attack", [a for a in python_code() if a.name in STAYING], ids=lambda a: a.name
)
def test_python_is_stopped_again_and_again(arena, attack):
    attempt = arena.strike(attack)
    assert {attempt().code for _ in range(3)} <= attack.stops


def test_what_is_not_stopped_is_told(sandbox):
    harmless = PythonAttack(name="sum", about="adds", code="sum([1])", stops=frozenset({"never"}))
    report = run_gauntlet(sandbox=sandbox, limits=Limits(), attacks=[(Stage.RUN, harmless)])
    assert not report.held
    assert [result.code for result in report.escaped] == [CONTAINED]
    assert "ESCAPED" in line_of(report.results[0])
    assert "ESCAPED sum (adds)" in summary_of(report)


def test_neighbour_is_measured_alone_and_beside(sandbox, monkeypatch):
    # By number of attempts: how many fit into a time depends on what else the machine does.
    monkeypatch.setattr(runner, "_WINDOW_SECONDS", 60.0)
    monkeypatch.setattr(runner, "_ATTEMPTS_MAX", 2)
    report = run_gauntlet(sandbox=sandbox, limits=Limits(), attacks=chosen(STAYING))
    assert report.held
    assert report.neighbour_failure is None
    assert report.neighbour_alone > 0
    assert report.neighbour_honest > 0
    assert report.neighbour_beside > 0
    assert any(result.neighbour_runs for result in report.results)
    assert [result.attempts for result in report.results] == [2] * len(STAYING)
    told = json.loads(json.dumps(document_of(report)))
    assert (told["held"], told["attacks"], told["stopped"]) == (True, len(STAYING), len(STAYING))
    assert told["limits"]["fuelMax"] == 2_000_000_000


def test_attacks_get_the_limits_of_a_package(sandbox, component_cpk):
    cpk = component_cpk(facts={"limits": {"fuelMax": 30_000_000}})
    told = []
    report = run_gauntlet(
        sandbox=sandbox,
        limits=Limits(wall_ms_max=5000),
        cpi=cpk,
        attacks=chosen({"spin"}),
        on_result=told.append,
    )
    assert (report.limits.fuel_max, report.limits.wall_ms_max) == (30_000_000, 5000)
    assert [result.code for result in told] == ["out-of-fuel"]
    assert report.neighbour == "describe of com.example.wat"
    assert report.held


def test_a_disturbed_neighbour_is_told():
    def failing():
        raise ValueError("disturbed")

    with Neighbour(failing) as neighbour:
        neighbour.wait(5)
    assert str(neighbour.failure) == "disturbed"


def test_what_is_set_aside_of_a_neighbours_run_is_not_counted():
    hours = count(step=3600)
    with Neighbour(lambda: None, aside=lambda: next(hours)) as neighbour:
        neighbour.wait_for(20)
    assert set(neighbour.between(0.0, float("inf"))) == {0.0}
    assert processor_wait_s() >= 0.0


@pytest.mark.parametrize(("runs", "expected"), [(19, None), (20, 20), (100, 99), (200, 198)])
def test_percentile_is_by_nearest_rank(runs, expected):
    assert p99([float(n) for n in range(1, runs + 1)]) == expected


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_whole_gauntlet_holds_with_lower_limits(capsys, tmp_path, monkeypatch):
    """Each attack once; with CORDBOX_GAUNTLET=whole as often as the command tries it."""
    monkeypatch.chdir(tmp_path)
    if os.environ.get("CORDBOX_GAUNTLET") != "whole":
        monkeypatch.setattr(runner, "_WINDOW_SECONDS", 0.0)
    (tmp_path / "cordbox.toml").write_text("[cordbox.quota]\nfuel_max = 200_000_000\n")
    with pytest.raises(SystemExit) as left:
        main(["audit", "gauntlet", "--output", "json"])
    told = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in told["results"] if not r["stopped"]] == []
    assert left.value.code == 0
    assert told["neighbour"]["failure"] is None
