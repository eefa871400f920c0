import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host.domain.errors import InvalidInputError
from host.tools.cordapps.project import load_project
from host.tools.cordapps.scaffold import ProjectExistsError, new_project


def test_a_new_project_is_a_valid_project(tmp_path: Path) -> None:
    files = new_project(tmp_path, "loan-desk", vendor='A "B" \\ C')
    assert all(path.is_file() for path in files)
    project = load_project(tmp_path / "loan-desk")
    assert project.vendor == "A B  C"
    assert project.workflow is not None
    assert project.workflow.modules == ("loan_desk_flows",)
    compile(files[1].read_text(), "flows", "exec")


def test_editors_find_the_modules_of_both_parts(tmp_path: Path) -> None:
    new_project(tmp_path, "desk", vendor="x")
    config = json.loads((tmp_path / "desk" / "pyrightconfig.json").read_text())
    assert config["typeCheckingMode"] == "strict"
    assert config["extraPaths"] == ["contracts", "workflows"]


def test_the_commands_of_the_readme_are_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_project(tmp_path, "desk", vendor="x")
    monkeypatch.chdir(tmp_path / "desk")
    code = Path("README.md").read_text().split("```")[1]
    named = {word for line in code.splitlines() for word in line.split() if word.endswith(".p12")}
    first = next(line for line in code.splitlines() if "signing.p12" in line)
    assert named == {"signing.p12"}
    assert first.startswith("cordbox keystore create ")


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    with pytest.raises(ProjectExistsError):
        new_project(tmp_path, "app", vendor="x")
    assert not list((tmp_path / "app").iterdir())


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "-a", "a--b", "x" * 65])
def test_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError):
        new_project(tmp_path, name, vendor="x")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_new_project_builds_and_passes_its_own_tests(
    tmp_path: Path, build: Callable[..., Any]
) -> None:
    new_project(tmp_path, "desk", vendor="Büro")
    built = build(tmp_path / "desk")
    assert built.warnings == ()
    assert [flow["name"] for flow in built.cpks[0].descriptor.flows] == ["desk_flows.Greet"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "native"],
        cwd=tmp_path / "desk",
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert b"1 passed, 1 deselected" in done.stdout
