"""Goes through a page as a reader does: types its commands, writes its files, reads its output.

A reader begins in a folder with the samples (`sample_cordapps`), as in the repository, and has the
commands of this installation. What would meet another reader on the same machine is replaced: the
port 8888, and folders outside of the home directory.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import yaml

from host.tools.cache import default_cache_dir
from tests.pages.blocks import Block, PageError
from tests.pages.output import shows
from tests.pages.terminal import Ran, Terminal, TerminalError
from tests.support.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
FIRST = "first"
_PORT = "8888"
_FOLDERS = ("/var/lib/", "/etc/", "/backups", "/tmp/")  # as pages have them
_OUTSIDE = re.compile(rf"(?<![\w.~])(?:{'|'.join(_FOLDERS)})")
_NPM = ROOT / "build" / "toolchains" / "node_modules" / ".bin"


class Reader:
    """Reads one page, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._begin = folder / "begin"
        self._begin.mkdir()
        (self._begin / "sample_cordapps").symlink_to(ROOT / "sample_cordapps")
        for name in ("home", "scripts", *_FOLDERS):
            (folder / name.strip("/")).mkdir(parents=True, exist_ok=True)
        self._port = str(free_ports(1)[0])
        self._terminals: dict[str, Terminal] = {}
        self._last: Ran | None = None

    def read(self, block: Block) -> None:
        """Do what a block says.

        Raises:
            PageError: the page is wrong there; the message tells in what.
        """
        text = self._here(block.text)
        try:
            if block.language == "sh":
                self._type(block, text)
            elif block.language == "text":
                self._compare(block, text)
            elif block.file is not None:
                self._write(block, text)
            elif block.language == "python":
                self._run_python(block, text)
            else:
                check_syntax(block)
        except TerminalError as error:
            raise PageError(f"{block.place}: {error}") from None

    def close(self) -> None:
        """Close all terminals."""
        for terminal in self._terminals.values():
            terminal.close()

    def _here(self, text: str) -> str:
        text = text.replace(f":{_PORT}", f":{self._port}")
        return _OUTSIDE.sub(lambda found: f"{self._root}{found.group()}", text)

    def _terminal(self, block: Block) -> Terminal:
        name = block.words.get("terminal", FIRST)
        if name not in self._terminals:
            folder = self._terminals[FIRST].folder if FIRST in self._terminals else self._begin
            scripts = self._root / "scripts"
            self._terminals[name] = Terminal(folder, scripts, self._environment())
        return self._terminals[name]

    def _type(self, block: Block, text: str) -> None:
        terminal = self._terminal(block)
        if "stop" in block.words:
            terminal.interrupt()
        until = block.words.get("until")
        ran = terminal.run(text, until=None if until is None else self._here(until))
        expected = int(block.words.get("exit", "0"))
        if ran.code != expected:
            raise PageError(
                f"{block.place}: exit code {ran.code}, expected {expected}, after:\n{ran.printed}"
            )
        self._last = ran

    def _run_python(self, block: Block, text: str) -> None:
        script = self._root / "scripts" / f"line_{block.line}.py"
        script.write_text(text, encoding="utf-8")
        self._type(block, f"python {script}\n")

    def _compare(self, block: Block, text: str) -> None:
        if self._last is None:
            raise PageError(f"{block.place}: output of no command")
        if not shows(text, self._last.printed, varies="varies" in block.words):
            raise PageError(
                f"{block.place}: the page shows\n{text}\nwhat was printed is\n{self._last.printed}"
            )

    def _write(self, block: Block, text: str) -> None:
        file = self._terminal(block).folder / self._here(block.file or "")
        file.parent.mkdir(parents=True, exist_ok=True)
        old = file.read_text(encoding="utf-8") + "\n" if "append" in block.words else ""
        file.write_text(old + text, encoding="utf-8")

    def _environment(self) -> Mapping[str, str]:
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("CORDBOX_", "PYTEST_"))}
        programs = [str(Path(sys.executable).parent), str(_NPM), ours.get("PATH", os.defpath)]
        return {
            **ours,
            "PATH": os.pathsep.join(programs),
            "HOME": str(self._root / "home"),
            "CORDBOX_CACHE_DIR": str(default_cache_dir()),
            "CORDBOX_LISTEN": f"127.0.0.1:{self._port}",
            "CORDBOX_URL": f"https://127.0.0.1:{self._port}",
            "PYTHONDONTWRITEBYTECODE": "1",
            # Readers have pytest alone, without the plugins that Cordbox's own tests use.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "NO_COLOR": "1",
            "COLUMNS": "120",
        }


def check_syntax(block: Block) -> None:
    """Refuse a block that is not what its language says.

    Raises:
        PageError: names the place.
    """
    parsers: Mapping[str, Callable[[str], object]] = {
        "python": ast.parse,
        "json": json.loads,
        "toml": tomllib.loads,
        "yaml": yaml.safe_load,
    }
    try:
        parsers.get(block.language, str)(block.text)
    except (SyntaxError, ValueError, yaml.YAMLError) as error:
        raise PageError(f"{block.place}: no {block.language}: {error}") from None


def missing(need: str) -> str | None:
    """Why this machine lacks what a block needs; None if it has it."""
    if need == "network":
        return None if _pip_answers() else "pip cannot download the wheels"
    programs = {"softhsm": "softhsm2-util", "javascript": "componentize-qjs"}
    program = programs.get(need, need)
    path = os.pathsep.join([str(_NPM), os.environ.get("PATH", os.defpath)])
    return None if shutil.which(program, path=path) else f"{program} is not installed"


@cache
def _pip_answers() -> bool:
    words = [sys.executable, "-m", "pip", "index", "versions", "six"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
