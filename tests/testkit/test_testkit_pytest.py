"""The kit's pytest plugin, in runs of pytest of their own."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from host.guests.code import CodeRefusedError
from host.tools.testkit.own_frames import refusal_of

ROOT = Path(__file__).parents[2]
PROJECT = """
[cordapp]
name = "shop"
version = "1.0.0"
vendor = "v"
licence = "l"

[workflow]
name = "shop.workflows"
source = "workflows"
modules = ["shop_flows"]
version = 1
capabilities = ["sessions"]
"""
FLOWS = """
from cordapp.flows import ClientStartableFlow


class Sell(ClientStartableFlow[int, int]):
    def call(self, count: int) -> int:
        return price_of(count)


def price_of(count: int) -> int:
    assert count < 10, "there are only ten"
    self_made = 100 // count
    return self_made
"""
TESTS = """
import pytest
from shop_flows import Sell


@pytest.fixture
def cordapp_settings():
    return {"flow_result_bytes_max": 2}


def test_sells(native_network):
    assert native_network.node("O=Alice, L=London, C=GB").start(Sell, 5) == 20


def test_sells_too_much(native_network):
    native_network.node("O=Alice, L=London, C=GB").start(Sell, 11)


def test_says_too_much(native_network):
    native_network.node("O=Alice, L=London, C=GB").start(Sell, 1)
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "workflows").mkdir()
    (tmp_path / "cordapp.toml").write_text(PROJECT)
    (tmp_path / "workflows" / "shop_flows.py").write_text(FLOWS)
    (tmp_path / "test_shop.py").write_text(TESTS)
    return tmp_path


def run(folder, *words):
    return subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_failure_shows_the_file_and_the_line_of_the_developer(shop):
    plugin = ("-p", "cordapp_testkit.pytest_plugin", "-p", "no:cacheprovider")
    done = run(shop, "-m", "pytest", "-q", *plugin, "test_shop.py")
    report = done.stdout
    assert "2 failed, 1 passed" in report, report + done.stderr
    failed, limited = report.split("________ test_")[1:3]
    assert "workflows/shop_flows.py:11: AssertionError" in failed
    assert "there are only ten" in failed
    assert '>       native_network.node("O=Alice, L=London, C=GB").start(Sell, 11)' in failed
    assert "host/tools/testkit" not in failed
    assert "flow-result-too-large" in limited


def test_what_is_refused_before_a_test_runs_is_told_without_a_traceback(tmp_path):
    mistakes = {
        "capability": (PROJECT.replace('"sessions"', '"session", "ledgers"'), FLOWS),
        "module": (PROJECT.replace("shop_flows", "shop_flow"), FLOWS),
        "types": (PROJECT, FLOWS.replace("[int, int]", "[list, int]").replace(": int)", ": list)")),
        "name": (PROJECT, FLOWS),
    }
    tests = "def test_x(native_network):\n    native_network.node('Alice')\n"
    for name, (project, flows) in mistakes.items():
        (tmp_path / name / "workflows").mkdir(parents=True)
        (tmp_path / name / "cordapp.toml").write_text(project)
        (tmp_path / name / "workflows" / "shop_flows.py").write_text(flows)
        (tmp_path / name / f"test_{name}.py").write_text(tests)
    plugin = ("-p", "cordapp_testkit.pytest_plugin", "-p", "no:cacheprovider")
    words = ("-m", "pytest", "-q", "-rN", "--continue-on-collection-errors", *plugin)
    # One run cannot load two modules of one name, so that "types" has a run of its own.
    together = run(tmp_path, *words, "capability", "module", "name").stdout
    reports = {**dict.fromkeys(mistakes, together), "types": run(tmp_path, *words, "types").stdout}
    for name, expected in {
        "capability": "cordapp.toml: line 13: workflow.capabilities: 'ledgers', 'session' unknown, expected some of",
        "module": "error[cordapp-source-refused]: workflows: entry module 'shop_flow' is not there:"
        " `modules` of cordapp.toml names it; did you mean shop_flows?\n",
        "types": "shop_flows.py:6: Sell.call: list has no JSON form: say what it contains",
        "name": "'Alice' is no attribute such as O=Acme",
    }.items():
        report = reports[name]
        assert expected in report, report
        assert not any(text in report for text in ("_pytest", "host/", "Traceback")), report


def test_a_run_without_cordapps_does_not_pay_for_the_host():
    code = "import sys, cordapp_testkit.pytest_plugin; print('host.flow' in sys.modules)"
    assert run(ROOT, "-c", code).stdout == "False\n"


def test_the_names_of_the_kit_are_those_that_it_lists():
    code = (
        "import cordapp_testkit as kit; print([getattr(kit, n).__name__ == n for n in kit.__all__])"
    )
    assert run(ROOT, "-c", code).stdout == "[True, True, True, True, True, True]\n"


def test_what_takes_seconds_is_announced_past_the_capturing(tmp_path):
    (tmp_path / "test_slow.py").write_text(
        "from host.tools.testkit.pytest_plugin import announce\n\n\n"
        "def test_slow(request):\n"
        "    announce(request.config)('compiling the component')\n"
    )
    done = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_slow.py")
    assert "1 passed" in done.stdout
    assert "compiling" not in done.stdout
    assert "cordapp: compiling the component ...\n" in done.stderr


def test_a_refusal_of_code_that_threads_prepare_is_told_without_a_traceback():
    refusing = {"__name__": "host.guests.code", "CodeRefusedError": CodeRefusedError}
    exec("def prepare(): raise CodeRefusedError('too large')", refusing)  # frames of the host
    with ThreadPoolExecutor(1) as threads:
        refused = threads.submit(refusing["prepare"]).exception()
    assert "concurrent.futures.thread" in str(refused.__traceback__.tb_frame.f_globals["__name__"])
    assert refusal_of(refused) == "error[cpk-code-refused]: too large"
