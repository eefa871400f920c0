"""The picture and the table of folders of how Cordbox is built are those of the folders."""

import re
import tomllib
from itertools import takewhile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_TEXT = (_ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
_LAYERS = "shelves of the host"


def _folders(of: str) -> set[str]:
    return {path.parent.name for path in (_ROOT / of).glob("*/__init__.py")}


def _drawn() -> list[list[str]]:
    """The words of each line of the host's box; a line without a name continues the one before."""
    found = list[list[str]]()
    picture = _TEXT.split("```")[1].replace("  host/ |", "        |").partition("cpi/")[0]
    for line in re.findall(r"^ {8}\| (.{58})\|", picture, re.MULTILINE):
        if line.startswith(" "):
            found[-1] += line.split()
        else:
            found.append(line.split())
    return found


def test_every_folder_of_the_host_is_drawn_once_in_the_order_of_imports() -> None:
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["name"] == _LAYERS)
    rank = {name: n for n, layer in enumerate(layers) for name in layer.split(" | ")}
    drawn = [name for words in _drawn() for name in takewhile(_folders("host").__contains__, words)]
    assert sorted(drawn) == sorted(rank) == sorted(_folders("host"))
    assert [rank[name] for name in drawn] == sorted(rank[name] for name in drawn)


def test_folders_of_tools_adapters_runtime_and_flow_are_drawn() -> None:
    drawn = {words[0]: set(words) for words in _drawn()}
    for name in ("tools", "adapters", "runtime", "flow"):
        assert _folders(f"host/{name}") <= drawn[name], name


def test_the_table_of_folders_has_every_folder_of_the_host_and_none_that_is_not_there() -> None:
    table = _TEXT.partition("## Folders")[2].partition("## ")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`([a-z_/]+)/`", row)}
    parts = {"core", "judgement"}  # of the folder of their row
    assert [name for name in named - parts if not (_ROOT / name).is_dir()] == []
    assert {f"host/{name}" for name in _folders("host")} <= named
