"""Data files of a CPK: which are packed, and which are refused."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cpi.package.verify import read_package
from host.domain.packages import CodeWorld
from host.guests.code import bundle_files
from host.tools.cordapps.package_data import package_data
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.requirements_lock import VendoringRefusedError
from host.tools.cordapps.runtime_modules import SourceRules
from host.tools.cordapps.sources import SourceRefusedError, collect_sources
from host.tools.cordapps.vendoring import vendored_packages
from sandbox.errors import SourceRefusedError as BundleRefusedError
from sandbox.python_source import DATA_BYTES_MAX, PythonSource, data_bytes, data_text

FILES = {
    "money/__init__.py": "",
    "money/rates.dat": b"\x00\xff",
    "money/deep/a-b+1.json": "{}",
    "money/deep/other.json": "{}",
}


def plan_of(shelf: Any, *names: str, **own: bytes) -> CpkPlan:
    source = shelf.folder / "src"
    source.mkdir(exist_ok=True)
    (source / "app.py").write_text("")
    for name, content in own.items():
        (source / name.replace("_", ".")).write_bytes(content)
    return CpkPlan(
        world=CodeWorld.WORKFLOW,
        symbolic_name="com.example.app",
        version=1,
        source=source,
        modules=("app",),
        component=None,
        capabilities=(),
        vendor_lock=shelf.lock,
        vendor_wheels=shelf.wheels,
        data=names,
    )


def data_of(plan: CpkPlan) -> dict[str, bytes]:
    return package_data(plan, vendored_packages(plan).data)


def refusal(plan: CpkPlan) -> str:
    with pytest.raises((SourceRefusedError, VendoringRefusedError)) as refused:
        data_of(plan)
    return "\n".join(refused.value.problems)


def test_only_named_files_and_folders_are_taken_and_never_modules(shelf: Any) -> None:
    shelf.put("money", FILES)
    assert data_of(plan_of(shelf)) == {}
    assert data_of(plan_of(shelf, "money/rates.dat")) == {"money/rates.dat": b"\x00\xff"}
    assert set(data_of(plan_of(shelf, "money/"))) == {
        "money/rates.dat",
        "money/deep/a-b+1.json",
        "money/deep/other.json",
    }


def test_metadata_and_files_of_the_sources_can_be_named(shelf: Any) -> None:
    shelf.put("money", FILES)
    found = data_of(plan_of(shelf, "money-1.0.dist-info/METADATA", "own.txt", own_txt=b"x"))
    assert found["own.txt"] == b"x"
    assert b"Name: money" in found["money-1.0.dist-info/METADATA"]


@pytest.mark.parametrize("name", ["money/none.dat", "money/rates", "money/__init__.py", "none/"])
def test_a_name_without_a_file_is_refused(shelf: Any, name: str) -> None:
    shelf.put("money", FILES)
    assert refusal(plan_of(shelf, name)) == (
        f"workflow.data: {name!r} is no data file of the sources or of a wheel"
    )


def test_names_that_no_bundle_has_and_large_files_are_refused(
    shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("money", {**FILES, "money/with space.txt": "", "money/large.bin": b"0" * 600_000})
    found = refusal(plan_of(shelf, "money/"))
    assert "money/with space.txt: a data file's name has letters, digits and" in found
    assert "money/large.bin: 600000 bytes, at most 524288" in found
    monkeypatch.setattr("host.tools.cordapps.package_data.DATA_BYTES_MAX", 1)
    assert refusal(plan_of(shelf, "money/rates.dat")) == "workflow.data: 2 bytes, at most 1"


def test_one_path_in_the_sources_and_in_a_wheel_is_refused(shelf: Any) -> None:
    shelf.put("money", {"money.py": "", "rates.dat": "1"})
    found = refusal(plan_of(shelf, "rates.dat", rates_dat=b"1"))
    assert found == "rates.dat: is a data file of the sources and of a wheel"


def test_a_file_that_differs_from_the_dependencys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    arguments: dict[str, Any] = {"rules": SourceRules.of_default_runtime(), "data": {"r.dat": b"1"}}
    same = collect_sources(tmp_path, ("app",), base={"r.dat": data_text(b"1")}, **arguments)
    assert same.files["r.dat"] == "MQ=="
    with pytest.raises(SourceRefusedError, match=r"r\.dat: a data file differs"):
        collect_sources(tmp_path, ("app",), base={"r.dat": data_text(b"2")}, **arguments)


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("../x.dat", "", "expected package/name"),
        ("a/.hidden", "", "expected package/name"),
        ("a//b", "", "expected package/name"),
        ("x.dat", "not base64!", "is not base64"),
        ("x.dat", "MQ", "is not base64"),
        ("x.dat", base64.b64encode(b"0" * (DATA_BYTES_MAX + 1)).decode(), "at most 1048576"),
    ],
)
def test_a_bundle_refuses_other_data(path: str, text: str, reason: str) -> None:
    with pytest.raises(BundleRefusedError, match=reason):
        PythonSource(files={"app.py": "", path: text}, entry_modules=("app",))


def test_content_and_text_of_a_data_file_are_one_another() -> None:
    for content in (b"", b"\x00", bytes(range(256))):
        assert data_bytes(data_text(content)) == content


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_host_derives_from_the_package_what_the_build_derived(
    iou_project: Path, build: Callable[..., Any]
) -> None:
    (iou_project / "workflows" / "rates.bin").write_bytes(b"\x00\xff\r\n")
    toml = iou_project / "cordapp.toml"
    toml.write_text(toml.read_text().replace("[workflow]", '[workflow]\ndata = ["rates.bin"]'))
    built = build(iou_project)
    cpks = [read_package(cpk.file.path.read_bytes()).cpks[0] for cpk in built.cpks]
    assert cpks[1].entries["wasm/python/rates.bin"] == b"\x00\xff\r\n"
    files = bundle_files(cpks[1], cpks[:1])
    assert data_bytes(files["rates.bin"]) == b"\x00\xff\r\n"
    assert cpks[1].descriptor is not None
    source = PythonSource(files=files, entry_modules=cpks[1].descriptor.entry_modules)
    assert source.digest == cpks[1].descriptor.source_digest
