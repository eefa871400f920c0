"""The console in a real browser: each action, the keyboard alone, no script, axe-core, widths."""

import re
from pathlib import Path

import pytest

from tests.console.served import chromium, modules, run, served

_STORIES = re.findall(
    r'^  async "([^"]+)"\(', (Path(__file__).parent / "browser.mjs").read_text(), re.MULTILINE
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    chromium()
    modules()
    with served(tmp_path_factory.mktemp("console")) as given:
        return {outcome["name"]: outcome for outcome in run(given)}


@pytest.mark.timeout(360)
@pytest.mark.parametrize("story", _STORIES)
def test_a_story(outcomes, story):
    assert outcomes[story]["problem"] == ""
