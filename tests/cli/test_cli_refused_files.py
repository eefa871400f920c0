"""Each command that reads a package or a group policy names the file that it refuses."""

import pytest

from cpi.crypto.keystore_creation import create_keystore
from cpi.jar.manifest import Section
from cpi.package.attributes import read_name_and_version
from cpi.package.model import PackageType
from host.cli import main

PROJECT = """
[cordapp]
name = "a"
version = "1.0.0"
vendor = "v"
licence = "l"

[workflow]
name = "com.a"
source = "workflows"
modules = ["w"]
version = 1
"""
SIGNING = ("--keystore", "signing.p12", "--storepass", "secret-password", "--key", "me")
POLICY = ("package", "create-cpi", "--cpi-name", "a", "--cpi-version", "1", "--file", "new.cpi")
BUNDLE = ("package", "create-cpb", "--cpb-name", "a", "--cpb-version", "1", "--file", "new.cpb")
COMMANDS = {
    "verify": ("package", "verify", "bad.cpi", "--certificate", "signing.pem"),
    "inspect": ("package", "inspect", "bad.cpi"),
    "sign": ("package", "sign", "bad.cpi", "--file", "new.cpi", *SIGNING),
    "create-cpi": (*POLICY, "--group-policy", "bad.json", *SIGNING),
    "create-cpb": (*BUNDLE, "bad.cpi", *SIGNING),
    "diff": ("package", "diff", "bad.cpi", "bad.cpi"),
    "rebuild": ("cordapp", "rebuild", "project", "--check", "bad.cpi"),
    "audit": ("audit", "file", "bad.cpi", "--certificate", "signing.pem"),
    "contract verify": ("contract", "verify", "bad.cpi", "t.json", "--certificate", "signing.pem"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.cpi").write_text("no archive")
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "t.json").write_text("{}")
    (tmp_path / "project" / "workflows").mkdir(parents=True)
    (tmp_path / "project" / "workflows" / "w.py").write_text("")
    (tmp_path / "project" / "cordapp.toml").write_text(PROJECT)
    name = "CN=Me, O=Example, L=London, C=GB"
    store = create_keystore(password="secret-password", alias="me", distinguished_name=name)
    (tmp_path / "signing.p12").write_bytes(store)
    words = ("keystore", "export-certificate", "--file", "signing.p12", "--alias", "me")
    with pytest.raises(SystemExit) as ended:
        main((*words, "--storepass", "secret-password", "--output", "signing.pem"))
    assert not ended.value.code
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_refused_file_is_named(folder, capsys, name):
    with pytest.raises(SystemExit) as ended:
        main(COMMANDS[name])
    said = capsys.readouterr().err
    assert ended.value.code == 1, said
    errors = [line for line in said.splitlines() if line.startswith("error[")]
    assert errors
    assert all("bad." in line for line in errors), said


def test_a_package_of_another_type_is_called_what_it_is():
    main_section = Section(attributes={"Corda-CPI-Format": "2.0"}, raw=b"")
    _, issues = read_name_and_version(main_section, PackageType.CPB)
    assert issues[0].message.endswith('expected "2.0": this is a CPI, not a CPB')


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("cordap",), "cordapp"),
        (("package", "verfy"), "verify"),
        (("network", "grouppolicy"), "groupPolicy"),
    ],
)
def test_a_misspelt_command_says_which_was_meant(capsys, words, meant):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err
