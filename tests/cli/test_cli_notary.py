"""`cordbox notary create-cpb`: a signed CPB of the notary that is shipped, the same each time."""

import json
from pathlib import Path

import pytest

from cpi.crypto.keystore_creation import create_keystore
from cpi.package.model import PackageType
from cpi.package.verify import read_package
from host.tools.notary_server import SERVERS, server_project

COINS = Path(__file__).parents[1] / "notary" / "coins"
pytestmark = pytest.mark.timeout(600)  # a cold cache compiles a runtime


@pytest.fixture
def keystore(tmp_path):
    file = tmp_path / "signing.p12"
    name = "CN=Notary signer, O=Bank, L=London, C=GB"
    file.write_bytes(create_keystore(password="secret", alias="key", distinguished_name=name))
    return file


def test_a_notarys_cpb_is_built_signed_and_the_same_each_time(run, tmp_path, keystore):
    made = []
    for name in ("one.cpb", "two.cpb"):
        code, out, err = run(
            "notary", "create-cpb", "--file", tmp_path / name, "--keystore", keystore,
            "--storepass", "secret", "--output", "json",
        )  # fmt: skip
        assert code == 0, err
        assert json.loads(out)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1], "signatures by EC keys are deterministic"
    package = read_package(made[0], package_type=PackageType.CPB)
    (cpk,) = package.cpks
    assert cpk.id.name == "com.cordbox.notary.nonvalidating"


def test_a_notary_that_verifies_contracts_has_them_in_its_cpb(run, tmp_path, keystore):
    options = ("--keystore", keystore, "--storepass", "secret")
    out = tmp_path / "out"
    assert run("cordapp", "build", COINS, "--output-dir", out, *options)[0] == 0
    (contract,) = out.glob("*contract*.jar")
    file = tmp_path / "n.cpb"
    verifying = ("notary", "create-cpb", "--protocol", "contract-verifying", "--file", file)
    assert run(*verifying, *options)[0] == 2
    (workflow,) = out.glob("*workflow*.jar")
    code, _, err = run(*verifying, "--contract-cpk", workflow, *options)
    assert (code, "is a workflow CPK, expected a contract CPK" in err) == (2, True)
    assert not file.exists()
    code, _, err = run(*verifying, "--contract-cpk", contract, *options)
    assert code == 0, err
    package = read_package(file.read_bytes(), package_type=PackageType.CPB)
    assert [cpk.id.name for cpk in package.cpks] == [
        "com.cordbox.tests.coins.contracts",
        "com.cordbox.notary.contractverifying",
    ]


def test_an_unknown_notary_and_an_existing_file_are_refused(run, tmp_path, keystore):
    options = ("--keystore", keystore, "--storepass", "secret")
    file = tmp_path / "n.cpb"
    code, _, err = run("notary", "create-cpb", "--protocol", "trusting", "--file", file, *options)
    assert (code, "notary-server-unknown" in err, "non-validating" in err) == (1, True, True)
    assert not file.exists()
    file.write_bytes(b"mine")
    code, _, err = run("notary", "create-cpb", "--file", file, *options)
    assert code == 1
    assert file.read_bytes() == b"mine"


def test_every_notary_has_a_project():
    for name in SERVERS:
        assert (server_project(name) / "cordapp.toml").is_file()
