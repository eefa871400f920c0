from pathlib import Path

import pytest

from host.tools.cordapps.runtime_modules import SourceRules
from host.tools.cordapps.sources import SourceRefusedError, collect_sources, sdk_sources

RULES = SourceRules.of_default_runtime()


def collect(folder: Path, **files: str) -> dict[str, str]:
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return dict(collect_sources(folder, ("app",), rules=RULES, base={}).files)


def refusal(folder: Path, **files: str) -> str:
    with pytest.raises(SourceRefusedError) as refused:
        collect(folder, **files)
    assert refused.value.code == "cordapp-source-refused"
    return "\n".join(refused.value.problems)


def test_own_files_and_the_reached_sdk_modules_are_collected(tmp_path: Path) -> None:
    found = collect(
        tmp_path, app="from cordapp.contracts import Contract\nimport helper\n", helper=""
    )
    assert {"app.py", "helper.py", "cordapp/__init__.py", "cordapp/guest.py"} <= found.keys()
    assert "cordapp/contracts.py" in found
    assert "cordapp/flows.py" not in found
    assert list(found) == sorted(found)


def test_flows_bring_the_sdk_modules_of_flows(tmp_path: Path) -> None:
    found = collect(tmp_path, app="from cordapp.flows import ClientStartableFlow\n")
    assert "cordapp/flows.py" in found


def test_tests_and_hidden_files_stay_out(tmp_path: Path) -> None:
    found = collect(
        tmp_path,
        app="",
        test_app="import sqlite3",
        conftest="import pytest",
        **{".x/y": "import os"},
    )
    assert not {name for name in found if "test" in name or name.startswith(".")}


def test_line_ends_do_not_matter(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (one / "app.py").write_bytes(b"\xef\xbb\xbfx = 1\r\ny = 2\r\n")
    (two / "app.py").write_bytes(b"x = 1\ny = 2\n")
    assert collect_sources(one, ("app",), rules=RULES, base={}) == collect_sources(
        two, ("app",), rules=RULES, base={}
    )


def test_every_forbidden_import_is_named_with_file_and_line(tmp_path: Path) -> None:
    problems = refusal(
        tmp_path,
        app="import json\nimport sqlite3\nclass A:\n    from asyncio import run\nimport pkg.mod\n",
        **{"pkg/mod": "import numpy\n", "pkg/__init__": ""},
    )
    assert "app.py:2: import of 'sqlite3'" in problems
    assert "app.py:4: import of 'asyncio'" in problems
    assert "pkg/mod.py:1: import of 'numpy'" in problems
    assert "json" not in problems


def test_imports_for_type_checkers_only_are_not_run_and_not_refused(tmp_path: Path) -> None:
    collect(
        tmp_path,
        app="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sqlite3\n",
    )


def test_relative_imports_are_resolved(tmp_path: Path) -> None:
    files = {"app": "import pkg.a\n", "pkg/__init__": "", "pkg/b": "x = 1\n"}
    collect(tmp_path, **files, **{"pkg/a": "from . import b\nfrom .b import x\n"})
    assert "'pkg.c'" in refusal(tmp_path, **{"pkg/a": "from .c import x\n"})


def test_a_missing_entry_module_is_refused(tmp_path: Path) -> None:
    assert "entry module 'app' is not there" in refusal(tmp_path, other="")


def test_a_module_that_hides_one_of_the_runtime_is_refused(tmp_path: Path) -> None:
    assert "hides 'json'" in refusal(tmp_path, app="", json="")


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    assert "app.py:2: " in refusal(tmp_path, app="x = 1\ndef (:\n")


def test_native_code_links_and_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "fast.so").write_bytes(b"\x7fELF")
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    problems = refusal(tmp_path, app="")
    assert "fast.so: native" in problems
    assert "link.py: is a symbolic link" in problems
    assert "latin.py: is not UTF-8" in problems


def test_a_dependency_can_be_imported_but_is_not_collected(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import shared\n")
    found = collect_sources(tmp_path, ("app",), rules=RULES, base={"shared.py": "x = 1\n"}).files
    assert "shared.py" not in found
    with pytest.raises(SourceRefusedError):
        collect_sources(tmp_path, ("app",), rules=RULES, base={})


def test_too_much_source_is_refused(tmp_path: Path) -> None:
    assert "at most 524288" in refusal(tmp_path, app="#" * 600_000)


def test_an_import_whose_failure_is_caught_may_fail(tmp_path: Path) -> None:
    collect(
        tmp_path,
        app="try:\n    import ujson as json\nexcept (KeyError, ImportError):\n    import json\n",
        pkg="def f():\n    try:\n        import numpy\n    except ModuleNotFoundError:\n        pass\n",
    )
    found = refusal(tmp_path, app="try:\n    import ujson\nexcept KeyError:\n    import numpy\n")
    assert "app.py:2: import of 'ujson'" in found
    assert "numpy" not in found


def test_the_name_of_the_sdk_is_taken(tmp_path: Path) -> None:
    assert "the name 'cordapp' belongs to the SDK" in refusal(
        tmp_path, app="", **{"cordapp/errors": ""}
    )


def test_sdk_files_of_another_version_are_replaced(tmp_path: Path) -> None:
    """A dependency was built with another SDK: one bundle must not mix the two."""
    (tmp_path / "app.py").write_text("")
    base = {"cordapp/flows.py": "# older", "theirs.py": "x = 1\n"}
    found = collect_sources(tmp_path, ("app",), rules=RULES, base=base).files
    assert found["cordapp/flows.py"] == sdk_sources()["cordapp/flows.py"]
    assert "theirs.py" not in found


def test_code_that_a_sandbox_would_not_load_names_its_largest_parts(tmp_path: Path) -> None:
    large = {f"big{n}": f"TEXT = '{'é' * 150_000}'\n" for n in range(6)}  # escaped: six bytes each
    told = refusal(tmp_path, app="", **large)
    assert "in the form that a sandbox loads, at most 4194304: vendor fewer packages" in told
    assert "; the largest are big0 150" in told
