from pathlib import Path

import pytest

from host.domain.packages import CodeWorld
from host.tools.cordapps.project import ProjectInvalidError, load_project

GOOD = """
[cordapp]
name = "iou"
version = "1.0.0"
vendor = "Cordbox samples"
licence = "Apache-2.0"
[contract]
name = "com.example.contracts"
source = "contracts"
modules = ["iou_contracts"]
version = 1
[workflow]
name = "com.example.workflows"
source = "workflows"
modules = ["iou_flows"]
version = 2
capabilities = ["sessions", "ledger"]
external-channels = ["trades", "Alerts_2.x-y"]
[limits]
fuelMax = 1000000
"""


def project(folder: Path, text: str) -> Path:
    for name in ("contracts", "workflows"):
        (folder / name).mkdir()
    (folder / "cordapp.toml").write_text(text)
    return folder


def problems_of(folder: Path) -> str:
    with pytest.raises(ProjectInvalidError) as refused:
        load_project(folder)
    assert refused.value.code == "cordapp-project-invalid"
    return "\n".join(refused.value.problems)


def test_a_good_project_is_read_whole(tmp_path: Path) -> None:
    found = load_project(project(tmp_path, GOOD))
    assert (found.name, found.version, found.limits) == ("iou", "1.0.0", {"fuelMax": 1_000_000})
    assert found.contract is not None
    assert found.contract.source == (tmp_path / "contracts").resolve()
    assert found.workflow is not None
    assert found.workflow.world is CodeWorld.WORKFLOW
    assert found.workflow.capabilities == ("ledger", "sessions")
    assert found.workflow.external_channels == ("Alerts_2.x-y", "trades")
    assert found.workflow.version == 2


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('name = "iou"', 'name = "I O U"').replace('"ledger"]', '"root"]')
    text = text.replace("fuelMax = 1000000", "fuelMax = -1\nfuel = 3").replace(
        'licence = "Apache-2.0"\n', ""
    )
    problems = problems_of(project(tmp_path, text))
    for part in (
        "cordapp.name",
        "cordapp.licence",
        "'root' unknown",
        "limits.fuelMax",
        "limits.fuel ",
    ):
        assert part in problems


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('source = "contracts"', 'source = "../contracts"', "leaves the project's folder"),
        ('source = "contracts"', 'source = "missing"', "is no folder"),
        ('source = "contracts"', 'component = "x.wasm"\nsource = "contracts"', "either source"),
        ('modules = ["iou_flows"]', "modules = []", "workflow.modules"),
        ('modules = ["iou_flows"]', 'modules = ["a b"]', "'a b' is no name"),
        ('["trades", "Alerts_2.x-y"]', '["a b"]', "'a b' is no name"),
        ('["trades", "Alerts_2.x-y"]', "[]", "workflow.external-channels must"),
        ("version = 2", "version = 0", "workflow.version"),
        ("version = 2", "version = true", "workflow.version"),
        ('name = "com.example.workflows"', 'name = "com.example.contracts"', "are both"),
        ("[limits]", "[extra]\n[limits]", "extra is no known key"),
        ("version = 2", 'version = 2\nvendor-lock = "cordapp.toml"', "belong together"),
        ("version = 2", 'version = 2\nvendor-wheels = "contracts"', "belong together"),
        ("version = 2", 'version = 2\nvendor-lock = "no"', "workflow.vendor-lock: 'no' is no file"),
        ("version = 1", "version = 1\ndependencies = []", "contract.dependencies is no known key"),
        ("version = 2", "version = 2\ndependencies = 1", "workflow.dependencies must be at most"),
        ("version = 2", "version = 2\ndependencies = [1]", "workflow.dependencies[0] is no table"),
        (
            "[limits]",
            '[[workflow.dependencies]]\nfile = "../x.jar"\n[limits]',
            "workflow.dependencies[0].file: '../x.jar' leaves the project's folder",
        ),
        (
            "[limits]",
            '[[workflow.dependencies]]\nfile = "cordapp.toml"\nhash = "x"\n[limits]',
            "workflow.dependencies[0].hash is no known key",
        ),
        (
            'source = "workflows"\nmodules = ["iou_flows"]',
            'component = "cordapp.toml"\nvendor-lock = "cordapp.toml"',
            "workflow.vendor-lock: a component brings its packages itself",
        ),
        ("version = 2", 'version = 2\ndata = ["../x"]', "workflow.data: '../x' is no name"),
        ("version = 2", "version = 2\ndata = [1]", "workflow.data: 1 is no name"),
        ("version = 2", 'version = 2\nunreached = "a"', "workflow.unreached must be a list"),
        ("version = 2", 'version = 2\nunreached = ["a-b"]', "unreached: 'a-b' is no name"),
        ("version = 2", 'version = 2\nunreached = ["a", "a"]', "names one thing twice"),
        (
            'source = "workflows"\nmodules = ["iou_flows"]',
            'component = "cordapp.toml"\nunreached = ["a"]',
            "workflow.unreached: a component has no Python modules",
        ),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, old: str, new: str, part: str) -> None:
    assert part in problems_of(project(tmp_path, GOOD.replace(old, new)))


def test_a_folder_without_project_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in problems_of(tmp_path)


def test_text_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    assert "is no TOML" in problems_of(project(tmp_path, "[cordapp"))


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    assert "more than 65536 bytes" in problems_of(project(tmp_path, "#" * 70_000))


def test_a_project_without_code_is_refused(tmp_path: Path) -> None:
    text = GOOD[: GOOD.index("[contract]")]
    assert "nothing to build" in problems_of(project(tmp_path, text))


def test_vendoring_and_dependencies_are_read(tmp_path: Path) -> None:
    extra = """version = 2
vendor-lock = "requirements.lock"
vendor-wheels = "wheels"
dependencies = [{ file = "a.jar" }, { file = "b.jar" }]
unreached = ["lark.tools", "cli"]
data = ["stdnum/iban.dat", "lark/grammars/"]
"""
    folder = project(tmp_path, GOOD.replace("version = 2\n", extra))
    (folder / "wheels").mkdir()
    for name in ("requirements.lock", "a.jar", "b.jar"):
        (folder / name).touch()
    plan = load_project(folder).workflow
    assert plan is not None
    root = tmp_path.resolve()
    assert (plan.vendor_lock, plan.vendor_wheels) == (root / "requirements.lock", root / "wheels")
    assert plan.data == ("lark/grammars/", "stdnum/iban.dat")
    assert plan.unreached == ("cli", "lark.tools")
    assert plan.dependency_files == (root / "a.jar", root / "b.jar")
