"""Which imports a build refuses, which it warns of, and which a sandbox never comes to."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from host.tools.cordapps.import_judgement import WARNINGS_MAX, Unreached
from host.tools.cordapps.runtime_modules import SourceRules
from host.tools.cordapps.sources import CollectedSources, SourceRefusedError, collect_sources
from host.tools.cordapps.static_conditions import SANDBOX_FACTS
from sandbox.module_table import PYTHON_VERSION

RULES = SourceRules.of_default_runtime()


def collect(
    folder: Path,
    app: str,
    *,
    unreached: tuple[str, ...] = (),
    vendored: dict[str, str] | None = None,
    **others: str,
) -> CollectedSources:
    for name, text in {"app": app, **others}.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return collect_sources(
        folder,
        ("app",),
        rules=RULES,
        base={},
        vendored={path: dedent(text) for path, text in (vendored or {}).items()},
        unreached=Unreached(unreached, label="workflow.unreached"),
    )


def problems(*arguments: object, **options: object) -> str:
    with pytest.raises(SourceRefusedError) as refused:
        collect(*arguments, **options)  # type: ignore[arg-type]
    return "\n".join(refused.value.problems)


SILENT = {
    "builtins": "import builtins\nfrom builtins import str as text",
    "future": "from __future__ import annotations, print_function",
    "type checking": "import typing as t\nif t.TYPE_CHECKING:\n    import absent",
    "type checking or": "from typing import TYPE_CHECKING\nif TYPE_CHECKING or False:\n    import absent",
    "version": "import sys\nif sys.version_info < (3, 8):\n    import absent",
    "version else": "import sys\nif sys.version_info >= (3, 8):\n    x = 1\nelse:\n    import absent",
    "version major": "import sys\nif sys.version_info[0] == 2:\n    import absent",
    "version attribute": "import sys as s\nif s.version_info.major < 3:\n    import absent",
    "version slice": "from sys import version_info as v\nif v[:2] < (3, 14):\n    import absent",
    "version chain": "import sys\nif (3, 0) <= sys.version_info < (3, 9):\n    import absent",
    "hexversion": "import sys\nif sys.hexversion < 0x03080000:\n    import absent",
    "version constant": "import sys\nPY2 = sys.version_info[0] == 2\nif PY2:\n    import absent",
    "version negated": "import sys\nPY3: bool = sys.version_info[0] > 2\nif not PY3:\n    import absent",
    "platform": "import sys\nif sys.platform == 'win32':\n    import absent",
    "platform prefix": "import sys\nif sys.platform.startswith(('win', 'cygwin')):\n    import absent",
    "platform list": "import sys\nif sys.platform in ('win32', 'darwin'):\n    import absent",
    "os name": "import os\nif os.name == 'nt' or os.name == 'java':\n    import absent",
    "implementation": "import sys\nif sys.implementation.name == 'pypy':\n    import absent",
    "pypy": "import platform\nPYPY = platform.python_implementation() == 'PyPy'\nif PYPY:\n    import absent",
    "pypy attribute": "import sys\nif hasattr(sys, 'pypy_version_info'):\n    import absent",
    "frozen": "import sys\nif getattr(sys, 'frozen', False):\n    import absent",
    "if false": "if False:\n    import absent",
    "if zero": "if 0:\n    import absent\nelif None:\n    import absent",
    "while false": "while False:\n    import absent",
    "main": "if __name__ == '__main__':\n    import absent",
    "debug": "if not __debug__:\n    import absent",
    "and": "import os\nif os.name == 'nt' and os.environ.get('X'):\n    import absent",
    "elif": "import sys\nif sys.platform == 'wasi':\n    x = 1\nelif sys.argv:\n    import absent",
    "import error": "try:\n    import absent\nexcept ImportError:\n    absent = None",
    "import error alternatives": "try:\n    import absent\nexcept ImportError:\n    import missing as absent",
    "suppress": "import contextlib\nwith contextlib.suppress(ImportError):\n    import absent",
    "name error": "try:\n    set\nexcept NameError:\n    from sets import Set as set",
    "in a function, caught": "def f():\n    try:\n        import absent\n    except ModuleNotFoundError:\n        pass",
    "after raise": "def f():\n    raise NotImplementedError\n    import absent",
    "after a certain return": "import sys\ndef f():\n    if sys.version_info > (3,):\n        return 1\n    import absent",
    "dynamic, caught": "import importlib\ntry:\n    importlib.import_module('absent')\nexcept ImportError:\n    pass",
    "not a module": "from collections import OrderedDict, abc\nfrom os.path import join",
}  # fmt: skip


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT)
def test_an_import_that_no_sandbox_comes_to_or_that_may_fail_is_silent(
    tmp_path: Path, text: str
) -> None:
    assert collect(tmp_path, text).warnings == ()


WARNED = {
    "function": ("def f():\n    import absent", 2, "a call that comes here fails with"),
    "method": ("class A:\n    def f(self):\n        from absent import x", 3, "a call that comes"),
    "async": ("async def f():\n    import absent", 2, "a call that comes here fails with"),
    "nested": ("def f():\n    class A:\n        import absent", 3, "a call that comes here"),
    "function in try": ("try:\n    def f():\n        import absent\nexcept ImportError:\n    pass", 3, "a call"),
    "condition": ("import os\nif os.environ.get('X'):\n    import absent", 3, "loading app fails with ModuleNotFoundError if the condition holds"),
    "attribute": ("import sys\nif hasattr(sys, 'flags'):\n    import absent", 3, "loading app"),
    "attribute without default": ("import sys\nif getattr(sys):\n    import absent", 3, "loading app"),
    "rebound": ("PY2 = False\nfor PY2 in [True]:\n    pass\nif PY2:\n    import absent", 5, "loading app"),
    "or unknown": ("import os\nif os.name == 'nt' or os.environ:\n    import absent", 3, "loading app"),
    "other handler": ("try:\n    x = 1\nexcept ValueError:\n    import absent", 4, "loading app"),
    "match": ("match 1:\n    case 1:\n        import absent", 3, "loading app"),
    "loop": ("for x in ():\n    import absent", 2, "loading app"),
    "dynamic": ("import importlib\nimportlib.import_module('absent')", 2, "loading app"),
    "dynamic, in letters that stand for others": ("import importlib\nimportlib.\uff49mport_module('absent')", 2, "loading app"),
    "dynamic alias": ("from importlib import import_module as im\ndef f():\n    return im('absent')", 3, "a call"),
    "dunder import": ("x = lambda: __import__('absent')", 1, "loading app"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "effect"), WARNED.values(), ids=WARNED)
def test_an_import_that_may_fail_later_is_a_warning_with_its_place_and_effect(
    tmp_path: Path, text: str, line: int, effect: str
) -> None:
    (warning,) = collect(tmp_path, text).warnings
    assert warning.startswith(f"app.py:{line}: import of 'absent', which no sandbox has: ")
    assert effect in warning
    assert "vendor-lock" in warning


REFUSED = {
    "plain": "import absent",
    "in a class": "class A:\n    import absent",
    "certain branch": "import sys\nif sys.version_info >= (3, 8):\n    import absent",
    "platform": "import sys\nif sys.platform == 'wasi':\n    import absent",
    "else of false": "if False:\n    pass\nelse:\n    import absent",
    "type checking else": "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import absent",
    "try with another handler": "try:\n    import absent\nexcept KeyError:\n    pass",
    "try finally": "try:\n    import absent\nfinally:\n    pass",
    "finally": "try:\n    pass\nexcept ImportError:\n    pass\nfinally:\n    import absent",
    "with": "import contextlib\nwith contextlib.suppress(KeyError):\n    import absent",
    "from": "from absent.x import y",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_an_import_that_fails_while_the_code_is_loaded_is_refused_with_a_remedy(
    tmp_path: Path, text: str
) -> None:
    found = problems(tmp_path, text)
    line = next(n for n, each in enumerate(text.splitlines(), 1) if "absent" in each)
    assert found.startswith(f"app.py:{line}: import of 'absent")
    assert "pin its wheel (vendor-lock, vendor-wheels)" in found


def test_a_submodule_that_the_runtime_lacks_is_judged_as_one(tmp_path: Path) -> None:
    assert "import of 'urllib.request'" in problems(tmp_path, "from urllib import request, parse")


def test_a_constant_of_another_module_decides_a_branch(tmp_path: Path) -> None:
    found = collect(
        tmp_path,
        "from pkg.compat import PY2\nimport pkg.compat as c\n"
        "if PY2:\n    import absent\nif not c.NEW:\n    import missing\n",
        **{
            "pkg/__init__": "",
            "pkg/compat": "import sys\nPY2 = sys.version_info[0] == 2\nNEW = not PY2",
        },
    )
    assert found.warnings == ()


def test_constants_that_need_each_other_are_unknown(tmp_path: Path) -> None:
    found = collect(
        tmp_path,
        "from other import A as B\nif B:\n    import absent",
        other="from app import B as A",
    )
    assert len(found.warnings) == 1


def test_what_a_function_imports_is_judged_as_reached_by_a_call(tmp_path: Path) -> None:
    found = collect(
        tmp_path,
        "import pkg\ndef f():\n    from pkg import web",
        vendored={"pkg/__init__.py": "", "pkg/web.py": "import sqlite3\nimport absent"},
    )
    assert [warning[: warning.index(":", 14)] for warning in found.warnings] == [
        "pkg/web.py:1: import of 'sqlite3', which no sandbox has (imported by app.py",
        "pkg/web.py:2: import of 'absent', which no sandbox has (imported by app.py",
    ]
    assert "importing pkg.web fails with ModuleNotFoundError" in found.warnings[0]


def test_the_surest_way_to_a_module_counts(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "try:\n    import pkg.web\nexcept ImportError:\n    pass\ndef f():\n    import pkg.web\nimport pkg.b",
        vendored={
            "pkg/__init__.py": "",
            "pkg/b.py": "from . import web",
            "pkg/web.py": "import absent",
        },
    )
    assert (
        "pkg/web.py:1: import of 'absent', which no sandbox has (imported by pkg/b.py:1)" in found
    )


def test_a_module_whose_import_may_fail_is_silent(tmp_path: Path) -> None:
    found = collect(
        tmp_path,
        "try:\n    import fast\nexcept ImportError:\n    fast = None",
        vendored={"fast.py": "import absent\ndef f():\n    import sqlite3"},
    )
    assert found.warnings == ()


def test_an_own_module_that_nothing_imports_is_a_warning_and_a_vendored_one_silent(
    tmp_path: Path,
) -> None:
    found = collect(tmp_path, "", tool="import absent", vendored={"cli.py": "import absent"})
    (warning,) = found.warnings
    assert warning.startswith("tool.py:1: import of 'absent', which no sandbox has: ")
    assert "nothing imports tool, and importing it fails with ModuleNotFoundError" in warning
    assert {"tool.py", "cli.py"} <= found.files.keys()


def test_a_module_that_a_call_imports_may_be_of_another_python(tmp_path: Path) -> None:
    found = collect(tmp_path, "def f():\n    import old", vendored={"old.py": "print 'two'"})
    (warning,) = found.warnings
    assert warning.startswith("old.py:1: ")
    assert "importing old fails with SyntaxError" in warning


def test_every_place_of_an_import_is_told_of_once(tmp_path: Path) -> None:
    text = "def f():\n    from absent import a, b\ndef g():\n    import absent; import absent\n"
    found = collect(tmp_path, text, tool=text).warnings
    assert [warning.partition(": ")[0] for warning in found] == [
        "app.py:2", "app.py:4", "tool.py:2", "tool.py:4"
    ]  # fmt: skip


def test_an_import_is_refused_at_each_of_its_places(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "import absent, missing\nclass A:\n    import absent\ntry:\n    import absent.x\nfinally:\n    pass\n",
    )
    places = [line.split(", which")[0] for line in found.splitlines()]
    assert places == [
        "app.py:1: import of 'absent'",
        "app.py:1: import of 'missing'",
        "app.py:3: import of 'absent'",
        "app.py:5: import of 'absent.x'",
    ]


def test_a_list_of_warnings_has_an_end(tmp_path: Path) -> None:
    names = range(WARNINGS_MAX + 7)
    found = collect(tmp_path, "def f():\n" + "".join(f"    import absent{n}\n" for n in names))
    assert len(found.warnings) == WARNINGS_MAX + 1
    assert found.warnings[-1].startswith("7 further imports")


def test_each_problem_has_a_place_and_all_are_told(tmp_path: Path) -> None:
    found = problems(tmp_path, "".join(f"import absent{n}\n" for n in range(30)))
    assert [line.split(": ")[0] for line in found.splitlines()] == [
        f"app.py:{n}" for n in range(1, 31)
    ]


class TestUnreached:
    VENDORED = {  # noqa: RUF012
        "pkg/__init__.py": "",
        "pkg/cli.py": "import absent",
        "pkg/tools/__init__.py": "import absent",
        "pkg/tools/a.py": "import missing",
    }

    def test_a_declared_module_is_neither_judged_nor_packed(self, tmp_path: Path) -> None:
        app = "import pkg\ndef f():\n    import pkg.cli\n    from pkg.tools import a\n"
        found = collect(tmp_path, app, vendored=self.VENDORED, unreached=("pkg.cli", "pkg.tools"))
        assert found.warnings == ()
        assert "absent" not in "".join(t for p, t in found.files.items() if p.startswith("pkg"))
        assert sorted(p for p in found.files if p.startswith("pkg")) == [
            "pkg/__init__.py",
            "pkg/cli.py",
            "pkg/tools/__init__.py",
        ]

    @pytest.mark.parametrize(
        "statement",
        ["import pkg.cli", "from pkg import cli", "from pkg.cli import main", "import pkg.tools.a"],
    )
    def test_importing_it_fails_with_a_message_that_names_the_declaration(
        self, tmp_path: Path, statement: str
    ) -> None:
        names = ("pkg.cli", "pkg.tools")
        found = collect(tmp_path / "src", "", vendored=self.VENDORED, unreached=names)
        for path, text in found.files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", statement],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        (error,) = done.stderr.splitlines()[-1:]
        assert error.startswith("ModuleNotFoundError: cannot import 'pkg.")
        assert error.endswith("': cordapp.toml declares it unreached")

    @pytest.mark.parametrize(
        "app", ["import pkg.cli", "from pkg import cli", "from pkg.cli import main"]
    )
    def test_a_declared_module_that_loading_imports_is_refused(
        self, tmp_path: Path, app: str
    ) -> None:
        found = problems(tmp_path, app, vendored=self.VENDORED, unreached=("pkg.cli",))
        assert "app.py:1: import of 'pkg.cli" in found
        assert "which workflow.unreached declares, runs whenever the code is loaded" in found

    def test_a_module_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        found = problems(tmp_path, "", vendored=self.VENDORED, unreached=("pkg.cIi", "nothing"))
        assert found.splitlines() == [
            "workflow.unreached: 'pkg.cIi' is no module of the CPK, and nothing imports it",
            "workflow.unreached: 'nothing' is no module of the CPK, and nothing imports it",
        ]

    def test_a_module_that_no_sandbox_has_may_be_declared_where_code_imports_it(
        self, tmp_path: Path
    ) -> None:
        assert (
            collect(tmp_path, "def f():\n    import absent.x", unreached=("absent",)).warnings == ()
        )

    def test_an_own_module_can_be_declared(self, tmp_path: Path) -> None:
        found = collect(tmp_path, "", tool="import absent", unreached=("tool",))
        assert found.warnings == ()
        assert "import absent" not in found.files["tool.py"]

    def test_entry_modules_and_the_sdk_cannot_be_declared(self, tmp_path: Path) -> None:
        found = problems(tmp_path, "", unreached=("app", "cordapp.flows"))
        assert "workflow.unreached: 'app' is an entry module" in found
        assert "workflow.unreached: 'cordapp.flows' belongs to the SDK" in found


def test_tests_of_vendored_packages_are_left_out_unless_something_imports_them(
    tmp_path: Path,
) -> None:
    vendored = {
        "pkg/__init__.py": "",
        "pkg/tests/__init__.py": "",
        "pkg/tests/test_a.py": "import pytest",
        "pkg/test/data.py": "",
        "pkg/conftest.py": "import pytest",
        "tests/x.py": "",
    }
    found = collect(tmp_path, "import pkg\ndef f():\n    import pkg.test.data", vendored=vendored)
    packed = {path for path in found.files if path in vendored}
    assert packed == {"pkg/__init__.py", "pkg/test/data.py", "tests/x.py"}


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("asyncio", "plain functions"),
        ("sqlite3", "self.persistence_service"),
        ("urllib.request", "self.external_messaging"),
        ("http.client", "self.flow_messaging"),
        ("multiprocessing.pool", "Python code in the package"),
    ],
)
def test_a_refused_standard_module_names_what_to_use_instead(
    tmp_path: Path, module: str, remedy: str
) -> None:
    assert f"app.py:1: import of {module!r}" in problems(tmp_path, f"import {module}")
    assert remedy in problems(tmp_path, f"import {module}")


def test_the_facts_are_those_of_the_pinned_python() -> None:
    assert SANDBOX_FACTS["sys.version_info"][:3] == tuple(map(int, PYTHON_VERSION.split(".")))
    assert SANDBOX_FACTS["sys.hexversion"] == 0x030E00F0


@pytest.mark.parametrize(
    "mark", ["sys.modules[__name__ + '.moves'] = None", "sys.meta_path.append(None)"]
)
def test_modules_that_a_package_makes_while_it_runs_are_not_missed(
    tmp_path: Path, mark: str
) -> None:
    app = "from six.moves import urllib\nimport six.moves.urllib.parse\n"
    assert collect(tmp_path, app, vendored={"six.py": f"import sys\n{mark}\n"}).warnings == ()
    assert "import of 'six.moves'" in problems(tmp_path, app, vendored={"six.py": ""})


def test_vendored_modules_have_a_limit_that_a_declaration_helps_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host.tools.cordapps.sources.VENDORED_FILES_MAX", 2)
    vendored = {"pkg/__init__.py": "", "pkg/a.py": "", "pkg/b.py": "", "pkg/tests/c.py": ""}
    found = problems(tmp_path, "import pkg", vendored=vendored)
    assert found.startswith("3 vendored modules with 0 bytes, at most 2 with 4194304")
    assert "declare those that nothing imports in workflow.unreached" in found
    assert collect(tmp_path, "import pkg", vendored=vendored, unreached=("pkg.b",)).files


def test_a_long_chain_of_branches_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    chain = "if x == 0:\n    pass\n" + "".join(f"elif x == {n}:\n    pass\n" for n in range(900))
    (warning,) = collect(
        tmp_path, f"def f(x):\n    pass\nx = f(1)\n{chain}else:\n    import absent"
    ).warnings
    assert "if the condition holds" in warning


@pytest.mark.parametrize(
    ("path", "text"),
    [("app", "from . import x"), ("pkg/a", "from .. import x"), ("pkg/a", "from ...b import x")],
)
def test_a_relative_import_that_leaves_its_package_is_refused(
    tmp_path: Path, path: str, text: str
) -> None:
    files = {"app": "import pkg.a", "pkg/__init__": "", "pkg/a": "", path: text}
    app = files.pop("app")
    assert f"{path}.py:1: import of '." in problems(tmp_path, app, **files)


def test_a_missing_module_of_a_known_package_names_the_package(tmp_path: Path) -> None:
    found = problems(
        tmp_path, "import pkg.deep.none", **{"pkg/__init__": "", "pkg/deep/__init__": ""}
    )
    assert "import of 'pkg.deep.none', which no sandbox has: pkg.deep has no such module" in found
