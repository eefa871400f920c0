"""Modules that cordapp.toml declares unreached, in plain Python as in a sandbox."""

import importlib
import sys
from pathlib import Path

import pytest

from host.tools.cordapps.project import load_project
from host.tools.testkit import native_modules
from host.tools.testkit.project import mount

TOML = """[cordapp]
name = "app"
version = "1.0.0"
vendor = "V"
licence = "L"
[workflow]
name = "app.workflows"
source = "src"
modules = ["unreached_app"]
version = 1
capabilities = []
unreached = ["unreached_pkg.cli"]
"""
FORMS = """
def plain():
    import unreached_pkg.cli

def name():
    from unreached_pkg import cli

def inside():
    from unreached_pkg.cli import main

def other():
    from unreached_pkg import good
    return good.x
"""


@pytest.fixture
def forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    package = tmp_path / "src" / "unreached_pkg"
    package.mkdir(parents=True)
    for file in ("__init__", "cli"):
        (package / f"{file}.py").write_text("main = 1\n")
    (package / "good.py").write_text("x = 5\ndef up():\n    from .cli import main\n")
    (tmp_path / "src" / "unreached_app.py").write_text(FORMS)
    (tmp_path / "cordapp.toml").write_text(TOML)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(native_modules._FINDER, "folders", set())
    monkeypatch.setattr(native_modules._FINDER, "unreached", set())
    mount(load_project(tmp_path))
    yield importlib.import_module("unreached_app")
    for module in [name for name in sys.modules if name.startswith("unreached_")]:
        del sys.modules[module]


@pytest.mark.parametrize("form", ["plain", "name", "inside"])
def test_code_of_the_cordapp_cannot_import_it(forms: object, form: str) -> None:
    with pytest.raises(ModuleNotFoundError) as refused:
        getattr(forms, form)()
    assert str(refused.value) == (
        "cannot import 'unreached_pkg.cli': cordapp.toml declares it unreached"
    )


def test_a_relative_import_cannot_either_and_tests_can(forms: object) -> None:
    assert forms.other() == 5  # type: ignore[attr-defined]
    with pytest.raises(ModuleNotFoundError, match="declares it unreached"):
        importlib.import_module("unreached_pkg.good").up()
    assert importlib.import_module("unreached_pkg.cli").main == 1
