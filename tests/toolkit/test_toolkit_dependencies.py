import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cpi.errors import PackageRefusedError
from cpi.package.build import build_cpb
from cpi.package.verify import read_package
from host.guests.code import code_of, prove
from host.tools.cordapps.dependencies import DependencyRefusedError, foreign_cpks, merged_sources
from host.tools.cordapps.project import load_project
from host.tools.cordapps.vendoring import import_paths


@pytest.mark.slow
def test_an_own_contract_is_a_dependency_by_signer(iou: Any) -> None:
    package = read_package(iou.cpb.path.read_bytes())
    (dependency,) = package.cpks[1].dependencies
    assert str(dependency) == "com.cordbox.samples.iou.contracts 1.0.0 (same signer)"


@pytest.mark.slow
def test_a_foreign_contract_is_a_dependency_by_hash(
    iou_on_a_foreign_contract: Path, iou: Any, build: Callable[..., Any]
) -> None:
    built = build(iou_on_a_foreign_contract)
    package = read_package(built.cpb.path.read_bytes())
    theirs = iou_on_a_foreign_contract / "their-contract.jar"
    workflow = next(cpk for cpk in package.cpks if cpk.world_type == "workflow")
    contract = next(cpk for cpk in package.cpks if cpk.world_type == "contract")
    (dependency,) = workflow.dependencies
    assert dependency.file_hash == hashlib.sha256(theirs.read_bytes()).digest()
    assert contract.file_name == "their-contract.jar"
    assert contract.id.signer_summary_hash != workflow.id.signer_summary_hash
    assert "wasm/python/iou_contracts.py" not in workflow.entries
    assert workflow.descriptor.source_digest == iou.cpks[1].descriptor.source_digest
    assert code_of(workflow, package.cpks).source is not None
    assert [cpk.file.path.name for cpk in built.cpks] == ["iou-workflow-1.0.0.jar"]


@pytest.mark.slow
def test_a_foreign_contract_that_was_exchanged_does_not_satisfy_the_workflow(
    iou_on_a_foreign_contract: Path, iou: Any, build: Callable[..., Any], keystore: Any
) -> None:
    built = build(iou_on_a_foreign_contract)
    files = {
        "their-contract.jar": iou.cpks[0].file.path.read_bytes(),
        "workflow.jar": built.cpks[0].file.path.read_bytes(),
    }
    cpb = build_cpb(name="iou", version="1", cpks=files, keys=(keystore.key,))
    with pytest.raises(PackageRefusedError, match="its file has another SHA-256 hash"):
        read_package(cpb)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["iou_on_a_foreign_contract", "iou_with_a_wheel"])
def test_the_host_proves_what_was_built(
    kind: str, request: pytest.FixtureRequest, build: Callable[..., Any], sandbox: Any
) -> None:
    """The upload's own check: sources give the component, which describes itself as declared."""
    package = read_package(build(request.getfixturevalue(kind)).cpb.path.read_bytes())
    for cpk in package.cpks:
        prove(sandbox, code_of(cpk, package.cpks))


@pytest.mark.slow
def test_plain_python_finds_the_foreign_contract(iou_on_a_foreign_contract: Path) -> None:
    plan = load_project(iou_on_a_foreign_contract).workflow
    assert plan is not None
    expected = (iou_on_a_foreign_contract / "their-contract.jar/wasm/python").resolve()
    assert import_paths(plan) == (plan.source, expected)


def refusal(project: Path) -> str:
    plan = load_project(project).workflow
    assert plan is not None
    with pytest.raises(DependencyRefusedError) as refused:
        merged_sources({}, foreign_cpks(plan))
    assert refused.value.code == "cordapp-dependency-refused"
    return refused.value.message


def depend_on(project: Path, *names: str) -> None:
    toml = project / "cordapp.toml"
    for name in names:
        toml.write_text(f'{toml.read_text()}\n[[workflow.dependencies]]\nfile = "{name}"\n')


@pytest.mark.slow
def test_a_file_that_is_no_contract_cpk_is_refused(iou_project: Path, iou: Any) -> None:
    target = iou_project / "other.jar"
    depend_on(iou_project, "other.jar")
    target.write_bytes(b"no archive")
    assert refusal(iou_project).startswith("other.jar: ")
    shutil.copy(iou.cpks[1].file.path, target)
    assert refusal(iou_project) == "other.jar: is a workflow CPK, expected a contract CPK"
    shutil.copy(iou.cpb.path, target)
    assert refusal(iou_project).startswith("other.jar: ")
    data = bytearray(iou.cpks[0].file.path.read_bytes())
    data[-600] ^= 1
    target.write_bytes(data)
    assert refusal(iou_project).startswith("other.jar: ")


@pytest.mark.slow
def test_two_dependencies_of_one_name_are_refused(iou_project: Path, iou: Any) -> None:
    for name in ("a.jar", "b.jar"):
        shutil.copy(iou.cpks[0].file.path, iou_project / name)
    depend_on(iou_project, "a.jar", "b.jar")
    assert refusal(iou_project).startswith("b.jar: the name com.cordbox.samples.iou.contracts is")


@pytest.mark.slow
def test_two_dependencies_with_one_path_are_refused(iou_project: Path, iou: Any) -> None:
    shutil.copy(iou.cpks[0].file.path, iou_project / "a.jar")
    depend_on(iou_project, "a.jar")
    plan = load_project(iou_project).workflow
    assert plan is not None
    foreign = foreign_cpks(plan)
    same = dict(foreign[0].sources)
    assert merged_sources(same, foreign) == same
    merged_sources({**same, "cordapp/errors.py": "another SDK"}, foreign)
    with pytest.raises(DependencyRefusedError, match=r"a\.jar: iou_contracts\.py differs"):
        merged_sources({"iou_contracts.py": "x = 1\n"}, foreign)
