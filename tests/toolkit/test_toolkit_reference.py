"""The reference of `cordapp.toml` says everything that the parser knows."""

import re
from pathlib import Path

import pytest

from host.tools.cordapps import project, requirements_lock, wheels
from host.tools.cordapps.dependencies import DependencyRefusedError
from host.tools.cordapps.project import CAPABILITIES, KEYS, load_project
from host.tools.cordapps.sources import (
    FILE_BYTES_MAX,
    FILES_MAX,
    TOTAL_BYTES_MAX,
    VENDORED_FILES_MAX,
    SourceRefusedError,
)

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "cordapp-toml.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "how-to" / "write-cordapp-toml.md").read_text(encoding="utf-8")


def keys_below(heading: str) -> set[str]:
    """First column of the tables between a heading and the next one."""
    part = PAGE[PAGE.index(heading) :]
    end = re.search(r"\n##", part[len(heading) :])
    part = part[: len(heading) + end.start()] if end else part
    return set(re.findall(r"^\| `([^`]+)` \|", part, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("section", "heading"),
    [
        ("cordapp", "## `[cordapp]`"),
        ("contract", "## `[contract]` and `[workflow]`"),
        ("workflow", "## `[contract]` and `[workflow]`"),
        ("workflow.dependencies", "### Contract CPKs of others"),
        ("limits", "## `[limits]`"),
    ],
)
def test_every_key_stands_in_its_section(section: str, heading: str) -> None:
    expected = {*KEYS["contract"], *KEYS["workflow"]} if section == "contract" else {*KEYS[section]}
    assert keys_below(heading) == expected


def test_the_sections_are_those_of_the_parser() -> None:
    assert {"", "cordapp", "contract", "workflow", "workflow.dependencies", "limits"} == set(KEYS)
    assert {f"[{name}]" in PAGE for name in KEYS[""]} == {True}


def test_capabilities_limits_and_codes_are_those_of_the_code() -> None:
    assert ", ".join(f"`{name}`" for name in CAPABILITIES) in " ".join(PAGE.split())
    for kind in (
        project.ProjectInvalidError,
        SourceRefusedError,
        requirements_lock.VendoringRefusedError,
        DependencyRefusedError,
    ):
        assert f"`{kind.code}`" in PAGE
    kib, mib = 1024, 1024 * 1024
    for text in (
        f"at most\n{project.PROJECT_BYTES_MAX // kib} KiB",
        f"{FILES_MAX} files, {FILE_BYTES_MAX // kib} KiB each, {TOTAL_BYTES_MAX // mib} MiB",
        f"{requirements_lock.PACKAGES_MAX} packages, {requirements_lock.LOCK_BYTES_MAX // kib} KiB",
        f"{wheels.WHEEL_BYTES_MAX // mib} MiB per wheel",
        f"{VENDORED_FILES_MAX} packed modules",
    ):
        assert " ".join(text.split()) in " ".join(PAGE.split())


def test_the_guides_examples_are_accepted(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.DOTALL)
    (whole,) = (block for block in blocks if block.startswith("[cordapp]"))
    (contract,) = (block for block in blocks if block.startswith("[contract]"))
    keys = [b.removeprefix("[workflow]\n") for b in blocks if b.startswith("[workflow]\n")]
    assert len(keys) == 2
    project = whole.replace("[workflow]\n", "[workflow]\n" + "".join(keys), 1)
    (tmp_path / "cordapp.toml").write_text(f"{project}\n{contract}")
    for folder in ("contracts", "workflows", "wheels"):
        (tmp_path / folder).mkdir()
    for file in ("requirements.lock", "their-contracts-1.0.0.jar"):
        (tmp_path / file).touch()
    plan = load_project(tmp_path).workflow
    assert plan is not None
    assert [path.name for path in plan.dependency_files] == ["their-contracts-1.0.0.jar"]
