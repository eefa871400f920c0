"""A workspace of files that commands accept."""

import json
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from cpi.crypto.keys import load_signing_key
from cpi.crypto.keystore_creation import create_keystore
from cpi.package.build import build_cpi
from cpi.package.group_policy_generation import generate_static_policy
from host.tools.cache import default_cache_dir
from host.tools.cordapps.build import build_cordapp
from sandbox.runtime import Sandbox
from tests.cli.broken.commands import ALICE, NOWHERE, PASSWORD, Workspace
from tests.support.hosts import running_host

SAMPLES = Path(__file__).parents[3] / "sample_cordapps"

_PLACE = Path(__file__).parents[2] / "toolkit" / "location.json"
"""What `cordbox vnode location` prints."""


def make_workspace(folder: Path) -> Workspace:
    """Build the hello sample into packages, make a data directory, and write all other files."""
    keystore = folder / "signer.p12"
    keystore.write_bytes(
        create_keystore(
            password=PASSWORD,
            alias="signer",
            distinguished_name="CN=signer, O=Tests, L=London, C=GB",
            key_algorithm="EC",
            now=datetime(2026, 11, 1, tzinfo=UTC),
        )
    )
    key = load_signing_key(keystore, password=PASSWORD, alias="signer")
    certificate = folder / "signer.pem"
    certificate.write_bytes(key.certificate_chain[0].public_bytes(Encoding.PEM))
    built = build_cordapp(
        SAMPLES / "hello",
        (key,),
        folder / "packages",
        Sandbox(cache_dir=default_cache_dir()),
        lambda _step: None,
    )
    policy = folder / "policy.json"
    policy.write_text(
        generate_static_policy(
            names=[ALICE],
            group_id=None,
            endpoint_url="https://localhost:1080",
            endpoint_protocol=1,
        )
    )
    cpi = folder / "hello.cpi"
    cpi.write_bytes(
        build_cpi(
            name="hello",
            version="1.0.0",
            cpb=("hello.cpb", built.cpb.path.read_bytes()),
            group_policy=policy.read_text(),
            keys=(key,),
        )
    )
    for name, text in (
        ("transaction.json", json.dumps({"id": "x"})),
        ("export.json", "{}"),
        ("settings.toml", "[log]\n"),
        ("password", PASSWORD + "\n"),
        ("cluster.json", json.dumps({"cluster": NOWHERE, "snapshotVersion": 1})),
        ("group.json", "{}"),
        ("audit-policy.json", "{}"),
        ("location.json", _PLACE.read_text()),
    ):
        (folder / name).write_text(text)
    (folder / "empty").mkdir()
    data = folder / "data"
    with running_host(data, password=PASSWORD, cache_dir=folder / "cache"):
        pass
    cpk = built.cpks[0].file.path
    good = _good(folder, cpk, built.cpb.path)
    return Workspace(folder=folder, good=good, special=_special(folder))


def _good(folder: Path, cpk: Path, cpb: Path) -> dict[str, str]:
    package, certificate = folder / "hello.cpi", folder / "signer.pem"
    return {
        "admin_password_file": str(folder / "password"),
        "alias": "signer",
        "body": "{}",
        "certificates": str(certificate),
        "certificate_files": "",
        "ca_file": str(certificate),
        "cpb": str(cpb),
        "cpb_name": "app",
        "cpb_version": "1.0.0",
        "cpi": str(package),
        "cpi_name": "app",
        "cpi_version": "1.0.0",
        "cpks": str(cpk),
        "data_dir": str(folder / "data"),
        "directory": str(folder / "empty"),
        "dname": "CN=a, O=Tests, L=London, C=GB",
        "endpoint": "https://localhost:1080",
        "endpoint_protocol": "1",
        "export": str(folder / "export.json"),
        "file": str(package),
        "files": str(package),
        "flow_class": "hello_flows.Greet",
        "group_policy": str(folder / "policy.json"),
        "keystores": str(folder / "signer.p12"),
        "keystore": str(folder / "signer.p12"),
        "left": str(package),
        "right": str(package),
        "name": "new-project",
        "names": ALICE,
        "new": str(package),
        "old": str(package),
        "node": "0123456789AB",
        "package": str(package),
        "password": PASSWORD,
        "passwords": PASSWORD,
        "place": str(folder / "data"),
        "policy_file": str(folder / "audit-policy.json"),
        "reason": "because",
        "request": "request-1",
        "section": "corda.flow",
        "transactions": str(folder / "transaction.json"),
        "url": NOWHERE,
        "user": "admin",
        "listen": "256.256.256.256:1",
    }


def _special(folder: Path) -> dict[str, str]:
    out = folder / "out"
    return {
        "audit log archive to": str(out / "archive"),
        "audit log acknowledge node": "0123456789AB",
        "component check paths": str(folder / "settings.toml"),
        "contract receipt-diff before": str(folder / "export.json"),
        "contract receipt-diff after": str(folder / "export.json"),
        "contract fuzz examples": "1",
        "flow start file": "",
        "host backup directory": str(folder / "data"),
        "host backup file": str(out / "backup"),
        "host backup passphrase_file": str(folder / "password"),
        "host check directory": str(folder / "data"),
        "host restore file": str(folder / "hello.cpi"),
        "host restore directory": str(out / "restored"),
        "host restore passphrase_file": str(folder / "password"),
        "host standby is_take_over": "yes",
        "host standby folder": str(folder / "empty"),
        "host standby directory": str(out / "standby"),
        "host standby passphrase_file": str(folder / "password"),
        "host run workers": "combined",
        "keystore create file": str(out / "new.p12"),
        "keystore create validity_days": "10",
        "keystore export-certificate file": str(folder / "signer.p12"),
        "ledger export transactions": f"SHA-256D:{'0' * 64}",
        "mgm groupPolicy file": "",
        "network groupPolicy file": "",
        "mgm validate file": str(folder / "policy.json"),
        "network validate file": str(folder / "policy.json"),
        "package create-cpb file": str(out / "new.cpb"),
        "package create-cpi file": str(out / "new.cpi"),
        "package sign file": str(out / "signed.cpi"),
        "package verify file": "",
        "package verify keystore": "",
        "package preflight cluster": str(folder / "cluster.json"),
        "package preflight target": "",
        "runtime build directory": "",
        "user reset-password user": "admin",
        "user reset-password password_file": str(folder / "password"),
        "vnode activate is_group": "yes",
        "vnode cancel-export is_group": "yes",
        "vnode delete-import is_group": "yes",
        "vnode location is_group": "yes",
        "vnode moved file": str(folder / "location.json"),
        "worker kind": "flow",
        "worker data_dir": str(folder / "empty"),
    }
