"""Stages of the tests: each test is of exactly one, and `--stage NAMES` runs those of the stages.

| stage | tests |
|---|---|
| `core` | of the cores, whose lines are counted (`tests/support/cores.py`) |
| `servers` | that need PostgreSQL, a JDK, Maven, npm, a browser or a compiler of another language |
| `network` | of simulated networks, of networks of whole hosts, and of the model of links |
| `kills` | that kill real processes, or trouble a whole host |
| `processes` | that run whole hosts and commands, or compile components |
| `plain` | all others |

A file is of the stage that lists it or its folder here, or else its tests are by their marks, so that
none can be forgotten. Files without a test of the wanted stages are not imported.
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.support import cores

STAGES = ("core", "servers", "network", "kills", "processes", "plain")
_ROOT = Path(__file__).parents[2]
PLACES: Mapping[str, str] = {
    "sample_cordapps": "processes",
    "tests/archives": "servers",
    "tests/console": "servers",
    "tests/e2e": "kills",
    "tests/kafka": "servers",
    "tests/models": "network",
    "tests/network/test_bad_network.py": "network",
    "tests/network/test_decentralise.py": "network",
    "tests/network/test_dynamic_network.py": "network",
    "tests/network/test_gateway.py": "network",
    "tests/network/test_group_moves.py": "network",
    "tests/network/test_link_clusters.py": "network",
    "tests/network/test_network_soak.py": "network",
    "tests/network/test_portal.py": "network",
    "tests/network/test_sim.py": "network",
    "tests/network/test_two_hosts.py": "network",
    "tests/network/test_two_hosts_race.py": "network",
    "tests/pages": "processes",
    "tests/postgres": "servers",
    "tests/rest/test_rest_oidc.py": "servers",
    "tests/sandbox/test_sandbox_languages.py": "servers",
    "tests/sandbox/test_sandbox_languages_notary.py": "servers",
    "tests/testkit": "processes",
    "tests/wheels": "servers",
}
"""Files and folders whose tests are of one stage."""
_MARKS = {"crash": "kills", "slow": "processes"}
"""By the first of these marks that a test has."""
_MODULE_MARKS = re.compile(r"^pytestmark = (\[[^\]]*\]|[^\n]*)", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stage",
        metavar="NAMES",
        type=_stages,
        help=f"run the tests of these stages alone, with commas between them: {', '.join(STAGES)}",
    )


def _stages(text: str) -> Collection[str]:
    names = text.split(",")
    if unknown := set(names).difference(STAGES):
        raise ArgumentTypeError(f"no stages: {', '.join(sorted(unknown))}")
    return names


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    wanted = config.getoption("--stage")
    if wanted is None or not collection_path.match("test_*.py"):
        return None
    return None if possible_stages(collection_path).intersection(wanted) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--stage")
    if wanted is None:
        return
    stages = [(stage_of(item), item) for item in items]
    for stage, item in stages:
        if item.path.match("test_*.py") and stage not in possible_stages(item.path):
            raise pytest.UsageError(f"{item.nodeid}: its file does not show that it is {stage}")
    config.hook.pytest_deselected(items=[item for stage, item in stages if stage not in wanted])
    items[:] = [item for stage, item in stages if stage in wanted]


def stage_of(item: pytest.Item) -> str:
    """The one stage of a test."""
    if item.get_closest_marker("core"):
        return "core"
    marked = (stage for mark, stage in _MARKS.items() if item.get_closest_marker(mark))
    return _placed(item.path) or next(marked, "plain")


@cache
def possible_stages(path: Path) -> set[str]:
    """The stages that the tests of a file may be of, by its place and its text."""
    found = {"core"} if cores.is_core(path) else set()
    if place := _placed(path):
        return found | {place}
    text = path.read_text(encoding="utf-8")
    module = _MODULE_MARKS.search(text)
    for mark, stage in _MARKS.items():
        if module and f"mark.{mark}" in module[1]:
            return found | {stage}
        if f"mark.{mark}" in text:
            found.add(stage)
    # A test of a core that is not counted is plain, unless it has one of the marks above.
    return found | ({"plain"} if "core" not in found or cores.leaves_out(text) else set())


def _placed(path: Path) -> str | None:
    """The stage that lists a file or a folder above it."""
    if not path.is_relative_to(_ROOT):
        return None
    name = path.relative_to(_ROOT)
    places = (PLACES.get(each.as_posix()) for each in (name, *name.parents))
    return next((stage for stage in places if stage), None)
