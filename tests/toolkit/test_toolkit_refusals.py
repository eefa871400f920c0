"""How commands report what refuses: the host's own code and lists, and each fault on a line."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest

from host.cli import main, root
from host.tools.cordapps.python_syntax import syntax_problem
from sandbox.module_table import PYTHON_VERSION

REFUSED = {
    "title": "no flow a.B",
    "status": 400,
    "details": {
        "cause": "FlowNotStartableError",
        "reason": "no flow a.B can be started",
        "code": "flow-not-startable",
        "startableFlows": "a.C,a.D",
    },
}
WITHOUT_JSON = {("certificate", "get")}
_SHORT = str(Path(__file__).parents[1] / "steps.py")
_PLACE, _PLACE_OF_GROUP = (
    str(Path(__file__).with_name(name)) for name in ("location.json", "group-location.json")
)
COMMANDS = {
    ("audit", "admin"): (),
    ("audit", "node"): ("0123456789AB",),
    ("certificate", "get"): ("p2p-tls", "alias"),
    ("certificate", "list"): ("p2p-tls",),
    ("certificate", "upload"): ("p2p-tls", "alias", __file__),
    ("config", "get"): ("corda.flow",),
    ("config", "put"): ("corda.flow", "{}"),
    ("cpi", "get"): ("0123456789AB",),
    ("cpi", "list"): (),
    ("cpi", "upload"): (__file__,),
    ("flow", "dead-letter", "discard"): ("1-0-0",),
    ("flow", "dead-letter", "list"): (),
    ("flow", "dead-letter", "restore"): ("d1-0-0",),
    ("flow", "dead-letter", "retry"): ("1-0-0",),
    ("flow", "dead-letter", "show"): ("1-0-0",),
    ("flow", "export"): ("0123456789AB", "r1"),
    ("flow", "kill"): ("0123456789AB", "r1"),
    ("flow", "list"): ("0123456789AB",),
    ("flow", "result"): ("0123456789AB", "r1"),
    ("flow", "show"): ("0123456789AB", "r1"),
    ("flow", "start"): ("0123456789AB", "a.B", "{}"),
    ("flow", "wait"): ("0123456789AB", "r1"),
    ("initial-rbac", "all-cluster-roles"): (),
    ("initial-rbac", "corda-developer"): (),
    ("initial-rbac", "flow-executor"): ("-v", "0123456789AB"),
    ("initial-rbac", "user-admin"): (),
    ("initial-rbac", "vnode-creator"): (),
    ("key", "create"): ("0123456789AB", "alias", "--category", "LEDGER"),
    ("key", "list"): ("0123456789AB",),
    ("ledger", "export"): ("0123456789AB",),
    ("ledger", "list"): ("0123456789AB",),
    ("ledger", "repair"): ("0123456789AB", f"SHA-256D:{'0' * 64}"),
    ("ledger", "show"): ("0123456789AB", f"SHA-256D:{'0' * 64}"),
    ("member", "list"): ("0123456789AB",),
    **{
        (network, *words): arguments
        for network in ("mgm", "network")
        for words, arguments in {
            ("dynamic", "onboard-member"): (
                "O=Alice, L=London, C=GB",
                "--cpi-hash",
                "0123456789AB",
            ),
            ("dynamic", "onboard-mgm"): ("O=Alice, L=London, C=GB", "--cpi-hash", "0123456789AB"),
            ("get-registrations",): ("-h", "0123456789AB"),
            ("lookup", "group-parameters"): ("-h", "0123456789AB"),
            ("lookup", "members"): ("-h", "0123456789AB"),
            ("peers",): ("-h", "0123456789AB"),
            ("ping",): ("O=Bob, L=London, C=GB", "-h", "0123456789AB"),
            ("upgrade-cpi",): ("--cpi-file", __file__),
            ("operate", "allow-client-certificate"): ("0123456789AB", "CN=Gateway"),
            ("operate", "export-group-policy"): ("-h", "0123456789AB"),
        }.items()
    },
    ("node", "quota"): ("0123456789AB",),
    ("node", "usage"): ("0123456789AB",),
    ("vault", "rebuild"): ("0123456789AB",),
    ("vault", "rebuilds"): ("0123456789AB",),
    ("vnode", "activate"): ("0123456789AB",),
    ("vnode", "cancel-export"): ("0123456789AB",),
    ("permission", "create"): ("GET:.*",),
    ("permission", "list"): (),
    ("role", "add-permission"): ("r", "p"),
    ("role", "create"): ("r",),
    ("role", "list"): (),
    ("role", "remove-permission"): ("r", "p"),
    ("user", "assign-role"): ("somebody", "r"),
    ("user", "create"): ("somebody", "--new-password-file", _SHORT),
    ("user", "get"): ("somebody",),
    ("user", "permissions"): ("somebody",),
    ("user", "remove-role"): ("somebody", "r"),
    ("user", "set-password"): ("somebody", "--new-password-file", _SHORT),
    ("vnode", "create"): ("O=Alice, L=London, C=GB", "--cpi", "0123456789AB"),
    ("vnode", "delete-import"): ("0123456789AB",),
    ("vnode", "export"): ("0123456789AB", "alice.cbxnode", "--recipient", "age1"),
    ("vnode", "get"): ("0123456789AB",),
    ("vnode", "import"): (__file__,),
    ("vnode", "list"): (),
    ("vnode", "location"): ("0123456789AB",),
    ("vnode", "move"): (
        *("0123456789AB", "--to", "http://127.0.0.1:9", "--to-password-file", _SHORT),
        *("--file", "alice.cbxnode"),
    ),
    ("vnode", "moved"): ("0123456789AB", _PLACE),
    ("vnode", "pause"): ("0123456789AB",),
    ("vnode", "register"): ("0123456789AB",),
    ("vnode", "resume"): ("0123456789AB",),
    ("vnode", "upgrade"): ("0123456789AB", "0123456789AB"),
    ("vnode", "state"): ("0123456789AB", "active"),
}
"""Commands that call a host -> their arguments."""
OF_GROUPS = {
    "activate": ("--unfenced",),
    "cancel-export": (),
    "delete-import": (),
    "export": ("files", "--recipient", "age1"),
    "location": (),
    "move": ("--to", "http://127.0.0.1:9", "--to-password-file", _SHORT, "--file", "files"),
    "moved": (_PLACE_OF_GROUP,),
}
"""Commands of nodes that take static groups -> their arguments beside the group's id."""


class _Handler(BaseHTTPRequestHandler):
    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps(REFUSED).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = _refuse  # names of the base class

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def refusing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with refusing() as address:
        yield address


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leaving:
        main(words)
    printed = capsys.readouterr()
    return int(leaving.value.code or 0), printed.out, printed.err


def commands_of_a_host(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands_of_a_host(found, (*words, name))
    elif {"url", "user", "password"} <= {option.name for option in command.params}:
        yield words


def test_every_command_that_calls_a_host_is_tried():
    assert set(commands_of_a_host(root, ())) == set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_refusal_of_the_host_keeps_its_code_and_its_lists(url, capsys, words):
    options = ("--url", url, "--password", "p")
    code, out, err = run(capsys, *words, *COMMANDS[words], *options)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "error[flow-not-startable]: no flow a.B can be started",
        "  startableFlows: a.C,a.D",
    ]
    if words in WITHOUT_JSON or words[-1] in {"export", "export-group-policy"}:
        return  # the output is a file
    code, out, err = run(capsys, *words, *COMMANDS[words], *options, "--output", "json")
    assert code == 1
    assert json.loads(out)["error"] == {
        "code": "flow-not-startable",
        "message": "no flow a.B can be started",
        "details": {"startableFlows": "a.C,a.D"},
    }


@pytest.mark.parametrize("word", OF_GROUPS)
def test_a_refusal_keeps_its_code_where_a_command_is_about_a_group(
    url, capsys, tmp_path, monkeypatch, word
):
    monkeypatch.chdir(tmp_path)
    options = ("--group", "--url", url, "--password", "p")
    code, out, err = run(capsys, "vnode", word, "g", *OF_GROUPS[word], *options)
    assert (code, out) == (1, "")
    assert err.startswith("error[flow-not-startable]")


def test_every_command_that_takes_groups_is_tried():
    command = root.get_command(click.Context(root), "vnode")
    assert isinstance(command, click.Group)
    taking = {
        name
        for name, each in command.commands.items()
        if "is_group" in {option.name for option in each.params}
    }
    assert taking == {*OF_GROUPS, "import"}, "import reads the folder before it asks a host"


def project(folder: Path, source: str) -> Path:
    (folder / "workflows").mkdir()
    (folder / "cordapp.toml").write_text(
        '[cordapp]\nname = "a"\nversion = "1.0.0"\nvendor = "v"\nlicence = "l"\n'
        '[workflow]\nname = "a.w"\nsource = "workflows"\nmodules = ["w"]\nversion = 1\n'
    )
    (folder / "workflows" / "w.py").write_text(source)
    return folder


@pytest.fixture
def store(tmp_path, capsys) -> tuple[str, ...]:
    file = str(tmp_path / "s.p12")
    name = "CN=S, O=S, L=London, C=GB"
    words = ("--file", file, "--storepass", "password", "--dname", name)
    assert run(capsys, "keystore", "create", *words)[0] == 0
    return ("--keystore", file, "--storepass", "password")


def test_each_of_many_faults_has_a_line_with_its_place(tmp_path, capsys, store):
    source = "import asyncio\nimport multiprocessing\nimport ctypes\n"
    folder = project(tmp_path, source)
    code, _out, err = run(capsys, "cordapp", "build", str(folder), *store)
    lines = [line for line in err.splitlines() if line.startswith("error[")]
    assert code == 1
    assert len(lines) == 3
    for number, line in enumerate(lines, start=1):
        assert line.startswith(f"error[cordapp-source-refused]: w.py:{number}: import of ")
    code, out, _err = run(capsys, "cordapp", "build", str(folder), *store, "--output", "json")
    issues = json.loads(out)["error"]["issues"]
    assert [issue["code"] for issue in issues] == ["cordapp-source-refused"] * 3


def test_each_fault_of_a_project_file_has_a_line(tmp_path, capsys, store):
    (tmp_path / "cordapp.toml").write_text("[cordapp]\nname = 5\nversion = 6\n")
    code, _out, err = run(capsys, "cordapp", "build", str(tmp_path), *store)
    lines = [line for line in err.splitlines() if line.startswith("error[")]
    assert code == 1
    assert len(lines) > 2
    assert all("cordapp.toml: " in line for line in lines)
    assert any("cordapp.toml: line 2: cordapp.name must be a text, found 5" in e for e in lines)
    assert any("cordapp.toml: line 1: cordapp.vendor must be a text" in e for e in lines)


MISSPELT = (
    ("capabilites = []", 12, "workflow.capabilites is no known key; did you mean capabilities?"),
    ("[limit]", 12, "limit is no known key; did you mean limits?"),
    ("[limits]\nfuelMx = 1", 13, "limits.fuelMx is no known key; did you mean fuelMax?"),
    ("[limits]\nfuelMax = -1", 13, "limits.fuelMax must be an integer"),
)


@pytest.mark.parametrize(("text", "number", "said"), MISSPELT)
def test_a_misspelt_key_names_its_line_and_what_was_meant(
    tmp_path, capsys, store, text, number, said
):
    (tmp_path / "workflows").mkdir()
    whole = (
        '[cordapp]\nname = "a"\nversion = "1.0.0"\nvendor = "v"\nlicence = "l"\n\n[workflow]\n'
        'name = "com.a"\nsource = "workflows"\nmodules = ["w"]\nversion = 1\n'
    )
    (tmp_path / "cordapp.toml").write_text(f"{whole}{text}\n")
    code, _out, err = run(capsys, "cordapp", "build", str(tmp_path), *store)
    assert code == 1
    assert f"cordapp.toml: line {number}: {said}" in err


NEWER = (
    "type A = int\n",
    "def f[T](x: T) -> T: return x\n",
    "class C[T]: pass\n",
    "x = f'{'a'}'\n",
    "x = f'{1 +\n1}'\n",
    "x = f'{chr(10).join([])!r:{\"\\n\"}}'\n",
)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the syntax is known to this Python")
@pytest.mark.parametrize("source", NEWER)
def test_syntax_that_only_newer_versions_have_names_both_versions(tmp_path, capsys, store, source):
    folder = project(tmp_path, source)
    _code, _out, err = run(capsys, "cordapp", "build", str(folder), *store)
    (line,) = (line for line in err.splitlines() if line.startswith("error["))
    assert "w.py:1: " in line
    assert "for the Python 3." in line
    assert f"the sandbox has Python {PYTHON_VERSION.rpartition('.')[0]}" in line


def test_other_faults_of_source_name_no_version():
    for source in ("x = (\n", "if 1:\nx\n"):
        with pytest.raises(SyntaxError) as refused:
            compile(source, "w.py", "exec")
        assert syntax_problem(refused.value) == refused.value.msg
    assert syntax_problem(ValueError("source code string cannot contain null bytes")) == (
        "source code string cannot contain null bytes"
    )


@pytest.mark.timeout(600)  # new code is compiled
def test_a_build_shows_its_progress_but_not_beside_json(tmp_path, capsys, store):
    folder = project(tmp_path, "x = 1\n")
    _code, out, err = run(capsys, "cordapp", "build", str(folder), *store)
    assert "Preparing the workflow code of a.w ..." in err
    assert "Preparing" not in out
    _code, out, err = run(capsys, "cordapp", "build", str(folder), *store, "--output", "json")
    assert "Preparing" not in out + err


def test_a_contract_that_imports_the_workflow_is_told_that_it_cannot(tmp_path, capsys, store):
    for part in ("contracts", "workflows"):
        (tmp_path / part).mkdir()
    (tmp_path / "contracts" / "c.py").write_text("import w\n")
    (tmp_path / "workflows" / "w.py").write_text("")
    (tmp_path / "cordapp.toml").write_text(
        '[cordapp]\nname = "a"\nversion = "1.0.0"\nvendor = "v"\nlicence = "l"\n'
        '[contract]\nname = "com.c"\nsource = "contracts"\nmodules = ["c"]\nversion = 1\n'
        '[workflow]\nname = "com.w"\nsource = "workflows"\nmodules = ["w"]\nversion = 1\n'
    )
    code, _out, err = run(capsys, "cordapp", "build", str(tmp_path), *store)
    assert code == 1
    assert "c.py:1: import of 'w'" in err
    assert "a contract cannot import those of the workflow" in err
