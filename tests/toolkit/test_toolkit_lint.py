"""`cordapp lint`: what it finds, where, and what it leaves alone."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from host.cli.cordapp import command
from host.tools.cordapps.project import load_project
from host.tools.lint.findings import RULES, Rule
from host.tools.lint.run import LintRefusedError, checked, lint_project, lint_text

ROOT = Path(__file__).parents[2]


def found(code: str) -> list[tuple[str, int]]:
    """Rule and line of each finding, as a reader of the file would count lines."""
    text = dedent(code).strip("\n") + "\n"
    return sorted({(f.rule.value, f.line) for f in lint_text("c.py", text, imports=[])})


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("clock", "from datetime import datetime\nx = lambda: datetime.now()"),
        ("clock", "import datetime as dt\nx = dt.date.today()"),
        ("clock", "from dataclasses import field\nimport datetime\nx = field(default_factory=datetime.datetime.utcnow)"),
        ("clock", "import time\ntime.monotonic_ns()"),
        ("clock", "from time import time as t\nt()"),
        ("clock", "import time\ntime.localtime()"),
        ("clock", "import time\ntime.strftime('%Y')"),
        ("randomness", "import uuid\nuuid.uuid4()"),
        ("randomness", "from os import urandom\nurandom(4)"),
        ("randomness", "import random\nrandom.choice([1])"),
        ("randomness", "import random\nrandom.Random()"),
        ("randomness", "from random import Random\nRandom(None).random()"),
        ("randomness", "from secrets import token_hex\ntoken_hex()"),
        ("hash", "hash('a')"),
        ("hash", "sorted([], key=hash)"),
        ("object-identity", "def f(a):\n    return id(a)"),
        ("object-identity", "class S:\n    id: str\n    def f(self):\n        return id(self)"),
        ("set-order", "for x in {1, 2}:\n    pass"),
        ("set-order", "def f(keys: set[str]):\n    return [k for k in keys]"),
        ("set-order", "def f(keys: 'frozenset[str] | None'):\n    return list(keys)"),
        ("set-order", "def f(a, b):\n    return ','.join(set(a) - set(b))"),
        ("set-order", "def f(a, b):\n    seen = {1}\n    return f'{seen}'"),
        ("set-order", "def f(a, b):\n    return tuple(a.keys() & b.keys())"),
        ("set-order", "def f(a):\n    return next(iter(frozenset(a)))"),
        ("set-order", "def f(a):\n    s = set(a)\n    return s.pop()"),
        ("set-order", "def f(a):\n    s = set(a)\n    return [*s]"),
        ("set-order", "def f(a):\n    first, *rest = set(a)"),
        ("set-order", "def f(a):\n    return {k: 1 for k in set(a).union([1])}"),
        ("set-order", "class T:\n    keys: frozenset[str]\n    def f(self):\n        for k in self.keys: pass"),
        ("float-amount", "class Iou(ContractState):\n    rate: float"),
        ("float-amount", "class Pay(Command):\n    paid: float | None = None"),
        ("float-amount", "def f(amount: int):\n    return amount / 2"),
        ("float-amount", "def f(state):\n    return state.amount * 1.05"),
        ("float-amount", "def f(state):\n    return state.total_fee >= 0.5"),
        ("float-amount", "def f(state):\n    return float(state.price)"),
        ("global-state", "n = 0\ndef f():\n    global n\n    n = n + 1"),
        ("global-state", "seen = []\ndef f(x):\n    seen.append(x)"),
        ("global-state", "cache = {}\ndef f(x):\n    cache[x] = 1"),
        ("global-state", "cache = {}\ndef f(x):\n    del cache[x]"),
        ("global-state", "class C:\n    n = 0\n    def f(self):\n        C.n += 1"),
        ("global-state", "class C:\n    n = 0\n    @classmethod\n    def f(cls):\n        cls.n = 1"),
        ("global-state", "def f(x=[]):\n    return x"),
    ],
)  # fmt: skip
def test_what_can_differ_is_found(rule: str, code: str) -> None:
    assert [name for name, _ in found(code)] == [rule]


@pytest.mark.parametrize(
    "code",
    [
        "import time\nx = time.strftime('%Y', (2026,)*9), time.gmtime(0)",
        "def f(time):\n    return time.time()",
        "import datetime\nx = datetime.datetime.fromisoformat('2026-01-01')",
        "from datetime import datetime\ndef f(at: datetime) -> datetime:\n    return at",
        "import uuid\nuuid.UUID(int=4), uuid.uuid5(uuid.NAMESPACE_DNS, 'a')",
        "import random\nrandom.Random(7).choice([1])",
        "from secrets import compare_digest\ncompare_digest(b'a', b'b')",
        "class A:\n    def __hash__(self):\n        return hash((1, 2))",
        "def hash(x): return x\nhash(1)",
        "def f(id):\n    return id(1), id",
        "class S:\n    id: str\nx = lambda s: s.id",
        "for x in sorted({1, 2}): pass",
        "def f(a):\n    s = set(a)\n    return 1 in s, len(s), sorted(s), any(x for x in s), {x for x in s}",
        "def f(a):\n    s = set(a)\n    s = sorted(s)\n    for x in s: pass",
        "def f(a, b):\n    return set(a) <= set(b), {*a, *set(b)}, sum(x for x in set(a))",
        "def f(a: dict[str, int]):\n    for k in a: pass\n    for k in a.keys(): pass",
        "def f():\n    s = {1}\ndef g(s):\n    for x in s: pass",
        "def f(a: int, b: int):\n    return a - b, a | b",
        "class Place(ContractState):\n    latitude: int\n    amount: int",
        "class Chart:\n    rate: float",
        "from decimal import Decimal\ndef f(amount: Decimal):\n    return amount / 2",
        "def f(amount: int, ratio):\n    return amount // 2, ratio / 2, ratio * 1.5",
        "seen = []\nseen.append(1)\ndef f():\n    seen = []\n    seen.append(1)",
        "def f(cache):\n    cache['a'] = 1\n    return [cache.update({}) for cache in [{}]]",
        "class C:\n    def f(self):\n        self.x = 1\n        self.items.append(1)",
        "def f():\n    class T:\n        size = 1\n        size += 1\n    return T",
        "import copy\ndef f(x):\n    copy.update(x)",
        "R = {}\nclass B:\n    def __init_subclass__(cls, **o):\n        cls.name = 'x'",
        "def f(match_me):\n    match match_me:\n        case {'amount': amount, **rest}:\n            rest['x'] = amount",
    ],
)  # fmt: skip
def test_what_cannot_differ_is_left_alone(code: str) -> None:
    assert found(code) == []


def test_a_comment_with_a_reason_allows_a_rule_on_its_line() -> None:
    code = """
        for x in {1, 2}:  # cordbox: allow set-order: the sum does not depend on it
            pass
        # cordbox: allow hash, object-identity: shown in a debug text only

        # another comment
        print(hash("a"), id("b"))
        hash("c")
        """
    assert found(code) == [("hash", 7)]


def test_a_comment_must_give_a_reason_and_a_rule_that_is_found() -> None:
    code = """
        hash("a")  # cordbox: allow hash
        hash("b")  # cordbox: allow everything: because
        hash("c")  # cordbox: allow
        x = 1  # cordbox: allow clock: none is there
        text = "# cordbox: allow hash: in a text"
        """
    assert found(code) == [
        ("allow-unused", 4),
        ("allow-without-reason", 1),
        ("allow-without-reason", 2),
        ("allow-without-reason", 3),
        ("hash", 2),
        ("hash", 3),
    ]


def test_a_file_that_python_cannot_read_is_a_finding() -> None:
    assert found("def f(:\n  pass") == [("syntax", 1)]
    assert found("x = '\x00'") == [("syntax", 1)]


@pytest.mark.parametrize(
    "folder", [*sorted((ROOT / "sample_cordapps").glob("*/cordapp.toml")), ROOT / "tests/sdk/kit_cordapp/cordapp.toml"]
)  # fmt: skip
def test_the_samples_are_clean(folder: Path) -> None:
    assert lint_project(load_project(folder.parent)) == ()


def test_the_sdk_is_clean() -> None:
    for path in sorted((ROOT / "sandbox/sdk/cordapp").glob("*.py")):
        findings = list(lint_text(path.name, path.read_text(), imports=[]))
        assert [f for f in findings if f.rule is not Rule.GLOBAL_STATE] == []


def project(folder: Path, source: str) -> Path:
    (folder / "contracts" / "app").mkdir(parents=True)
    (folder / "contracts" / "app" / "__init__.py").write_text(dedent(source))
    (folder / "contracts" / "test_app.py").write_text("import random\n")
    (folder / "cordapp.toml").write_text(
        '[cordapp]\nname = "app"\nversion = "1.0.0"\nvendor = "V"\nlicence = "L"\n'
        '[contract]\nname = "app.contracts"\nsource = "contracts"\nmodules = ["app"]\nversion = 1\n'
    )
    return folder


SOURCE = """
    import _random
    import asyncio
    import sqlite3  # cordbox: allow import-not-allowed: never reached
    from cordapp.contracts import Contract

    for x in {1, 2}:
        pass
    """


def test_findings_name_the_projects_files(tmp_path: Path) -> None:
    findings = lint_project(load_project(project(tmp_path, SOURCE)))
    assert [(f.file, f.line, f.rule) for f in findings] == [
        ("contracts/app/__init__.py", 2, Rule.RANDOMNESS),
        ("contracts/app/__init__.py", 3, Rule.IMPORT),
        ("contracts/app/__init__.py", 7, Rule.SET_ORDER),
    ]


def test_errors_refuse_a_build_and_warnings_do_not(tmp_path: Path) -> None:
    with pytest.raises(LintRefusedError, match=r"app/__init__.py:2:1: import of '_random'"):
        checked(load_project(project(tmp_path / "a", SOURCE)))
    (warning,) = checked(load_project(project(tmp_path / "b", "for x in {1, 2}: pass")))
    place = "contracts/app/__init__.py:1:10: a loop over a set [set-order]: "
    assert warning == f"{place}{RULES[Rule.SET_ORDER].hint}"


def test_the_command_tells_by_text_json_and_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lint(folder: Path, *options: str) -> tuple[Any, str]:
        code = command.main(["lint", str(folder), *options], standalone_mode=False)
        return code, capsys.readouterr().out

    code, out = lint(project(tmp_path / "a", SOURCE))
    assert code == 1
    assert out.splitlines()[:2] == [
        "contracts/app/__init__.py:2:1: error: import of '_random', which no sandbox has: the sandbox has no randomness: use self.random.bytes(..) in a flow, random.Random(seed) for numbers that the seed decides [randomness]",
        "    a contract has no randomness: let the flow put the value into the transaction",
    ]
    warning = project(tmp_path / "b", "for x in {1, 2}: pass")
    assert lint(warning)[0] == 0
    assert lint(warning, "--strict")[0] == 1
    code, out = lint(warning, "--output", "json")
    document = json.loads(out)
    assert (document["errors"], document["warnings"]) == (0, 1)
    assert document["findings"][0] == {
        "file": "contracts/app/__init__.py",
        "line": 1,
        "column": 10,
        "rule": "set-order",
        "severity": "warning",
        "message": "a loop over a set",
        "hint": RULES[Rule.SET_ORDER].hint,
    }
    assert lint(ROOT / "sample_cordapps" / "iou") == (0, "")


def test_every_rule_has_a_severity_and_a_hint() -> None:
    assert set(RULES) == set(Rule)


REFUSED = {
    "contracts/json.py": "",
    "contracts/a_contracts.py": "import json\n",
    "workflows/flows/a_flows.py": "import a_contracts\nimport nowhere\n",
    "workflows/b_flows.py": "def broken(:\n",
    "cordapp.toml": """
        [cordapp]
        name = "a"
        version = "1.0.0"
        vendor = "Me"
        licence = "Apache-2.0"

        [contract]
        name = "com.example.a.contracts"
        source = "contracts"
        modules = ["a_contract"]
        version = 1

        [workflow]
        name = "com.example.a.workflows"
        source = "workflows"
        version = 1
        modules = [
            "a_flows",
            "b_flows",
        ]
    """,
}


def test_what_a_build_refuses_of_the_sources_is_found(tmp_path: Path) -> None:
    for name, text in REFUSED.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(dedent(text).lstrip("\n"))
    findings = lint_project(load_project(tmp_path))
    assert {(f.file, f.line, f.rule.value) for f in findings} == {
        ("contracts/json.py", 1, "sources-refused"),
        ("cordapp.toml", 10, "sources-refused"),
        ("cordapp.toml", 17, "sources-refused"),
        ("workflows/b_flows.py", 1, "sources-refused"),
    }
    messages = "\n".join(map(str, findings))
    assert "contracts: entry module 'a_contract' is not there" in messages
    assert "workflows: entry module 'a_flows' is not there" in messages
    assert "hides 'json' of the runtime" in messages
    assert checked(load_project(tmp_path)) == ()


def test_calls_that_a_sandbox_refuses_are_warned_of_in_flows(tmp_path: Path) -> None:
    project_file, workflow = dedent(REFUSED["cordapp.toml"]).split("[contract]")
    workflow = workflow[workflow.index("[workflow]") :].replace('"b_flows",', "")
    for name, text in {
        "cordapp.toml": project_file + workflow,
        "workflows/a_flows.py": "from datetime import datetime\nimport random\n\n\n"
        "def stamp():\n    random.Random(7).random()\n    return datetime.now(), random.random()\n\n\n"
        "def allowed():\n    return datetime.now()  # cordbox: allow flow-clock: never called\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    project = load_project(tmp_path)
    clock, chance = lint_project(project)
    assert (clock.file, clock.line, clock.rule) == ("workflows/a_flows.py", 7, "flow-clock")
    assert (chance.line, chance.rule, chance.severity) == (7, "flow-randomness", "warning")
    warned, _ = checked(project)
    assert warned.endswith("[flow-clock]: a sandbox has no clock: use self.clock.now() in a flow")
