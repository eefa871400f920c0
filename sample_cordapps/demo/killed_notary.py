"""A notary's process dies between its commit and its answer."""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.flows import FlowRunner

_MARK = "kill-the-notary"
"""As in `killer_plugin.py`."""
_MAKE = "utxo_demo_chains.NonValidatingNotaryTestFlow"
_SECONDS_MAX = 120
_LOOK_SECONDS = 0.005


def install_killer(folder: Path) -> dict[str, str]:
    """Install the plugin that kills; the environment by which a host loads it."""
    place = folder / "plugin"
    info = place / "killer-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("killer_plugin.py"), place)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: killer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cordbox]\nkiller = killer_plugin\n")
    return {
        "PYTHONPATH": str(place.resolve()),
        "CORDBOX_PLUGINS": "embedded,killer",
        "CORDBOX_PLUGIN_ENTRY_POINTS": "true",
    }


def survive(
    console: DemoConsole, runner: FlowRunner, *, data: Path, notary: str, member: str
) -> None:
    """Kill the notary's process by SIGKILL where it has decided, and has not signed yet.

    Args:
        console: prints.
        runner: of flows.
        data: the host's data directory.
        notary: short hash of the notary.
        member: short hash of a node whose transaction is notarised.
    """
    title = "The notary is killed between its commit and its answer; the flow completes once"
    with console.step(title) as record:
        spent_states = data / "vnodes" / notary / "uniqueness.sqlite"
        before = _notarised(spent_states)
        mark = data / _MARK
        console.command(["touch", str(mark)], comment="a plugin of the host obeys it")
        mark.touch()
        started = time.monotonic()
        request_id = runner.start(member, _MAKE, {"outputStateCount": 1})
        _wait_until_gone(mark)
        at_death = _notarised(spent_states)
        status = runner.wait(member, request_id)
        _expect(status["flowStatus"] == "COMPLETED", f"the flow ended {status}")
        _expect(at_death == before + 1, f"{at_death - before} transactions when the notary died")
        after = _notarised(spent_states)
        _expect(after == at_death, f"{after - before} transactions were notarised instead of one")
        record.facts |= {
            "result": status["flowResult"],
            "notarisedBefore": before,
            "notarisedAtDeath": at_death,
            "notarisedAfter": after,
            "secondsToRecover": time.monotonic() - started,
        }


def _wait_until_gone(mark: Path) -> None:
    """The plugin removes the mark, and kills its process."""
    deadline = time.monotonic() + _SECONDS_MAX
    while mark.exists():
        if time.monotonic() > deadline:
            raise StepFailedError("the notary was asked for no signature")
        time.sleep(_LOOK_SECONDS)


def _notarised(spent_states: Path) -> int:
    """Transactions that the notary has accepted; it has no file before the first one."""
    if not spent_states.exists():
        return 0
    with closing(sqlite3.connect(f"file:{spent_states}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM notarised WHERE result = 'A'"
        ).fetchone()
        return int(count)


def _expect(condition: object, found: str) -> None:
    if not condition:
        raise StepFailedError(f"not as expected: {found}")
