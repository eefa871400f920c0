"""A CorDapp's folder as tests use it: found from the test's file, and importable."""

import sys
from pathlib import Path

from host.tools.cordapps.project import PROJECT_FILE, CordappProject, CpkPlan, load_project
from host.tools.cordapps.vendoring import import_paths
from host.tools.testkit.native_modules import guard


def project_above(file: Path) -> CordappProject | None:
    """The CorDapp whose folder holds `file`, or None.

    Raises:
        ProjectInvalidError: its cordapp.toml is wrong.
    """
    for folder in file.parents:
        if (folder / PROJECT_FILE).is_file():
            return load_project(folder)
    return None


def source_folders(project: CordappProject) -> list[Path]:
    """Where the CorDapp's Python modules lie and those that it brings, contract part first."""
    plans = (project.contract, project.workflow)
    return [path for plan in plans if plan is not None for path in source_folders_of(plan)]


def source_folders_of(plan: CpkPlan) -> list[Path]:
    """The same of one part."""
    return list(import_paths(plan))


def mount(project: CordappProject) -> None:
    """Put the source folders on `sys.path`, so that tests import the CorDapp's modules.

    Their modules see the standard library as a sandbox has it.
    """
    folders = source_folders(project)
    plans = [plan for plan in (project.contract, project.workflow) if plan is not None]
    guard(folders, (name for plan in plans for name in plan.unreached))
    for folder in folders:
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
