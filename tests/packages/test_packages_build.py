"""`cordapp build`: from a project's folder to signed packages."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cpi.package.external_channels import CHANNELS_PATH, channel_issues, channel_names
from cpi.package.verify import read_package, verify_package
from host.cli import main
from host.guests.code import CodeRefusedError
from host.guests.declarations import DeclarationInvalidError
from host.tools.cordapps.build import build_cordapp
from host.tools.cordapps.sources import SourceRefusedError

SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
NOTHING_LEFT: list[Path] = []

COMPONENT_PROJECT = """
[cordapp]
name = "wat"
version = "1.0.0"
vendor = "Tests"
licence = "none"
[contract]
name = "com.example.wat"
component = "contract.wasm"
version = 1
"""


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def build(project: Path, out: Path, key: Any, sandbox: Any) -> Any:
    return build_cordapp(project, (key,), out, sandbox, progress=lambda _: None)


def copy_of_iou(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "build")
    return Path(shutil.copytree(SAMPLES / "iou", folder / "copy", ignore=ignored))


@pytest.mark.slow
def test_the_iou_becomes_two_cpks_in_a_cpb(iou: Any, key: Any) -> None:
    names = [cpk.file.path.name for cpk in iou.cpks] + [iou.cpb.path.name]
    assert names == ["iou-contract-1.0.0.jar", "iou-workflow-1.0.0.jar", "iou-1.0.0.cpb"]
    assert files(iou.cpb.path.parent) == sorted([c.file.path for c in iou.cpks] + [iou.cpb.path])
    data = iou.cpb.path.read_bytes()
    assert iou.cpb.size == len(data)
    assert iou.cpb.digest == "SHA-256:" + hashlib.sha256(data).hexdigest().upper()
    package = verify_package(data, package_type=None, trusted=[key.certificate_chain[0]])
    contract, workflow = package.cpks
    assert contract.world_type == "contract"
    assert contract.attributes["Corda-Contract-Classes"] == "iou_contracts.IouContract"
    assert [d.name for d in workflow.dependencies] == ["com.cordbox.samples.iou.contracts"]
    assert "iou_flows.IssueIou" in workflow.attributes["Corda-ClientStartableFlow-Classes"]
    assert "iou_flows.AcceptIou" in workflow.attributes["Corda-InitiatedFlow-Classes"]
    assert "wasm/python/iou_contracts.py" in contract.entries
    assert "wasm/python/iou_contracts.py" not in workflow.entries
    assert "wasm/python/cordapp/flows.py" not in contract.entries
    assert workflow.descriptor.toolchain["sdk"].startswith("cordapp ")


@pytest.mark.slow
def test_declared_channels_stand_in_the_workflow_cpk(
    tmp_path: Path, key: Any, sandbox: Any
) -> None:
    built = build(SAMPLES / "hostile", tmp_path, key, sandbox)
    (cpk,) = built.cpks
    with zipfile.ZipFile(cpk.file.path) as archive:
        document = archive.read(CHANNELS_PATH)
    assert channel_names(document) == ("flood-0", "flood-1", "flood-2", "flood-3")
    assert channel_issues(document) == []


@pytest.mark.slow
def test_the_iou_cpi_is_small(iou_cpi: bytes) -> None:
    assert len(iou_cpi) <= 104 * 1024


@pytest.mark.slow
def test_the_same_sources_elsewhere_give_the_same_files(
    rsa_key: Any, sandbox: Any, tmp_path: Path
) -> None:
    one = build(SAMPLES / "iou", tmp_path / "one", rsa_key, sandbox)
    copy = copy_of_iou(tmp_path)
    for path in copy.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    two = build(copy, tmp_path / "two", rsa_key, sandbox)
    assert [c.file.digest for c in one.cpks] == [c.file.digest for c in two.cpks]
    assert one.cpb.digest == two.cpb.digest


@pytest.mark.slow
def test_sources_that_fail_when_loaded_leave_nothing(
    key: Any, sandbox: Any, tmp_path: Path
) -> None:
    project = copy_of_iou(tmp_path)
    module = project / "contracts" / "iou_contracts.py"
    module.write_text(module.read_text() + "\nraise RuntimeError('broken on purpose')\n")
    with pytest.raises(CodeRefusedError, match="broken on purpose"):
        build(project, tmp_path / "out", key, sandbox)
    assert files(tmp_path / "out") == NOTHING_LEFT


def test_sources_that_import_more_than_a_sandbox_has_are_refused(
    key: Any, sandbox: Any, tmp_path: Path
) -> None:
    project = copy_of_iou(tmp_path)
    module = project / "contracts" / "iou_contracts.py"
    module.write_text("import asyncio\n" + module.read_text())
    with pytest.raises(SourceRefusedError, match=r"iou_contracts\.py:1: import of 'asyncio'"):
        build(project, tmp_path / "out", key, sandbox)
    assert files(tmp_path / "out") == NOTHING_LEFT


def test_the_refused_imports_of_all_parts_are_told_at_once(
    key: Any, sandbox: Any, tmp_path: Path
) -> None:
    """The workflow imports the contract, which is refused itself: that is no further problem."""
    project = copy_of_iou(tmp_path)
    for name in ("contracts/iou_contracts.py", "workflows/iou_flows.py"):
        module = project / name
        module.write_text("import asyncio, sqlite3\n" + module.read_text())
    with pytest.raises(SourceRefusedError) as refused:
        build(project, tmp_path / "out", key, sandbox)
    told = [problem.partition(", which")[0] for problem in refused.value.problems]
    assert told == [
        f"{file}.py:1: import of {module!r}"
        for file in ("iou_contracts", "iou_flows")
        for module in ("asyncio", "sqlite3")
    ]


def component_project(folder: Path, wasm: bytes) -> Path:
    (folder / "cordapp.toml").write_text(COMPONENT_PROJECT)
    (folder / "contract.wasm").write_bytes(wasm)
    return folder


def test_a_component_becomes_a_cpk(key: Any, sandbox: Any, tmp_path: Path, component: Any) -> None:
    built = build(component_project(tmp_path, component()), tmp_path / "out", key, sandbox)
    (cpk,) = read_package(built.cpks[0].file.path.read_bytes()).cpks
    assert cpk.descriptor.form == "component"
    assert cpk.descriptor.component_size == len(component())
    assert [c["name"] for c in cpk.descriptor.contracts] == ["wat.Contract"]


def test_a_component_that_imports_more_than_its_world_is_refused(
    key: Any, sandbox: Any, tmp_path: Path, component: Any, clock_import: str
) -> None:
    project = component_project(tmp_path, component(imports=clock_import))
    with pytest.raises(CodeRefusedError, match="wasi:clocks/monotonic-clock") as refused:
        build(project, tmp_path / "out", key, sandbox)
    assert refused.value.details["sandboxCode"] == "world-mismatch"
    assert files(tmp_path / "out") == NOTHING_LEFT


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"contracts": [], "states": []}, "declares no contract"),
        ({"contracts": [{"name": "a,b", "states": []}]}, "has a comma"),
        ({"flows": [{"name": "a.F"}]}, "flows belong into the workflow CPK"),
    ],
)
def test_a_contract_without_the_entry_points_of_its_world_is_refused(
    key: Any, sandbox: Any, tmp_path: Path, component: Any, description: Any, message: str
) -> None:
    project = component_project(tmp_path, component(changes=description))
    with pytest.raises(CodeRefusedError, match=message):
        build(project, tmp_path / "out", key, sandbox)


def test_a_component_that_describes_itself_in_another_shape_is_refused(
    key: Any, sandbox: Any, tmp_path: Path, component: Any
) -> None:
    twice = [{"name": "wat.State", "contract": "wat.Contract"}] * 2
    project = component_project(tmp_path, component(changes={"states": twice}))
    with pytest.raises(DeclarationInvalidError, match=r"states: wat\.State is declared twice"):
        build(project, tmp_path / "out", key, sandbox)
    assert files(tmp_path / "out") == NOTHING_LEFT


def test_the_command_prints_what_it_made(
    keystore: Any, tmp_path: Path, component: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    project = component_project(tmp_path, component())
    words = ["cordapp", "build", str(project), "--keystore", str(keystore.path)]
    words += ["--storepass", keystore.password, "--key", "signer"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--output-dir", str(tmp_path / "out"), "--output", "json"])
    assert left.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["cpb"]["file"]).stat().st_size == told["cpb"]["size"]
    assert told["cpks"][0]["contracts"] == ["wat.Contract"]


def test_the_command_refuses_with_a_code(
    keystore: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["cordapp", "build", str(tmp_path), "--keystore", str(keystore.path)]
    with pytest.raises(SystemExit) as left:
        main([*words, "--storepass", keystore.password])
    assert left.value.code == 1
    assert "error[cordapp-project-invalid]" in capsys.readouterr().err


def test_the_command_starts_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["cordapp", "new", "desk"])
    assert left.value.code == 0
    made = capsys.readouterr().out.split()
    assert made[:2] == ["desk/cordapp.toml", "desk/workflows/desk_flows.py"]
