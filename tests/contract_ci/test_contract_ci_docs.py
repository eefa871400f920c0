"""The how-to page: its workflow is real YAML, its commands and rules exist, and it runs."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from host.cli import root
from host.tools.lint.findings import RULES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "verify-contracts-in-ci.md").read_text()
IOU = ROOT / "sample_cordapps" / "iou"
(WORKFLOW,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def workflow_commands() -> list[str]:
    steps = yaml.safe_load(WORKFLOW)["jobs"]["verify"]["steps"]
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    return [line for line in lines if line.startswith("cordbox ")]


@pytest.mark.parametrize(
    "line", [*workflow_commands(), *re.findall(r"^(?:\$ )?(cordbox .*)$", PAGE, re.MULTILINE)]
)
def test_commands_and_options_exist(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = root
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, line
        command = found
    known = {name for p in command.params for name in p.opts}
    assert {word for word in words if word.startswith("-") and word != "-"} <= known


def test_every_rule_is_in_the_table() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert dict(rows) == {rule.value: facts.severity.value for rule, facts in RULES.items()}


@pytest.mark.slow
def test_the_workflows_commands_run_as_written(tmp_path: Path) -> None:
    """On the IOU sample; only its own file names stand in for the author's."""
    (tmp_path / "bin").mkdir()
    script = "import sys; from host.cli import main; main(sys.argv[1:])"
    (tmp_path / "bin" / "cordbox").write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c '{script}' \"$@\"\n"
    )
    (tmp_path / "bin" / "cordbox").chmod(0o755)
    for name in ("contracts", "workflows", "receipts"):
        shutil.copytree(IOU / name, tmp_path / name)
    shutil.copy(IOU / "cordapp.toml", tmp_path)
    (tmp_path / "receipts" / "transactions.jsonl").rename(tmp_path / "transactions.jsonl")
    commands = [c.replace("${{ github.run_number }}", "1") for c in workflow_commands()]
    commands = [c.replace("--examples 2000", "--examples 20") for c in commands]
    text = "set -e\nPATH=$PWD/bin:$PATH\nexport CORDBOX_STOREPASS=only-for-this-run\n"
    done = subprocess.run(
        ["/bin/sh", "-c", text + "\n".join(commands)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'tests="12" failures="0"' in (tmp_path / "verify.xml").read_text()
    assert json.loads((tmp_path / "policy.json").read_text())["fileFormatVersion"] == 1
