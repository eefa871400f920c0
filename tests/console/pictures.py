"""Records a host that settles IOUs, and takes the pictures of its console: `make console-pictures`.

With `--recorded` the pictures are taken of what was recorded before, as after a change of the style.
"""

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.testclient import TestClient

from host.rest.gate import BASE, Answer
from tests.console.appearance import KEPT, differences, documented
from tests.console.recorded import FILE, Query, console_over, key_of
from tests.support.killable_host import (
    ALICE,
    BOB,
    SAMPLE,
    SIGNING,
    KillableHost,
    cordbox_in,
    make_packages,
)

_ISSUED = {"1041": 250_000, "1042": 80_000, "1043": 12_500, "1044": 9_900}
"""Of each invoice, its amount in pence."""
_SETTLED = (("1041", 100_000), ("1043", 12_500), ("1042", 30_000), ("1041", 50_000))
_TOO_MUCH = ("1044", 99_000)
_REFUSED = "settle-1044-5"
_WAITS = "settle-1041-6"


def record(place: Path) -> None:
    """Keep what a new host answers to each page of the pictures, in `answers.json`."""
    (place / "packages").mkdir()
    packages = make_packages(place / "packages")
    newer = _newer(packages)
    host = KillableHost(place, ())
    try:
        host.start()
        host.form_network(packages)
        _upload(host, newer)
        transaction = _trade(host)
        _kept(host, _pages(host, transaction))
    finally:
        host.kill()


def _pages(host: KillableHost, transaction: str) -> Mapping[str, str]:
    alice, bob = host.nodes[ALICE], host.nodes[BOB]
    newest, first = (
        cpi["cpiFileChecksum"]
        for cpi in sorted(
            host.ask("GET", "/cpi").json()["cpis"], key=lambda cpi: cpi["id"]["cpiVersion"]
        )[::-1]
    )
    return {
        "overview": "",
        "nodes": "/nodes",
        "node": f"/nodes/{bob}",
        "upgrade": f"/nodes/{alice}/upgrade",
        "move": f"/nodes/{alice}/move",
        "flows": "/flows",
        "flow": f"/flows/{alice}/{_REFUSED}",
        "waiting": f"/flows/{alice}/{_WAITS}",
        "dead-letters": "/dead-letters",
        "log": "/log",
        "packages": "/packages",
        "package": f"/packages/{newest}?against={first}",
        "network": f"/networks/{alice}",
        "ledger": f"/ledger/{alice}/{transaction}",
        "people": "/people",
        "settings": "/settings/corda.rbac",
        "nothing": "/nodes?q=no-such-node",
    }


def _kept(host: KillableHost, pages: Mapping[str, str]) -> None:
    now = int(time.time() * 1000)
    answers: dict[str, Mapping[str, object]] = {}

    def ask(path: Sequence[str], query: Query) -> Answer:
        params = {k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()}
        reply = host.ask("GET", f"{host.url}{BASE}/{'/'.join(path)}", params=params)
        found = Answer(
            status=reply.status_code,
            body=reply.content,
            next=reply.headers.get("cordbox-next"),
        )
        answers[key_of(path, query)] = {
            "asked": key_of(path, query),
            "status": found.status,
            "next": found.next,
            "body": found.body.decode(),
        }
        return found

    client = TestClient(console_over(now, ask))
    for path in pages.values():
        assert client.get(f"/console{path}").status_code == 200, path
    kept = {"now": now, "pages": pages, "answers": list(answers.values())}
    FILE.write_text(json.dumps(kept, indent=1) + "\n")


def _newer(packages: Path) -> bytes:
    """A version of the sample whose code may do more."""
    source = packages / "newer"
    shutil.copytree(SAMPLE, source)
    about = source / "cordapp.toml"
    text = about.read_text().replace('version = "1.0.0"', 'version = "2.0.0"')
    about.write_text(text.replace('"persistence"]', '"persistence", "external-messaging"]'))
    cordbox_in(packages, "cordapp", "build", str(source), *SIGNING, "--output-dir", "newer-out")
    (cpb,) = (packages / "newer-out").glob("*.cpb")
    cpi = ("--cpi-name", "iou", "--cpi-version", "2", "--file", "newer.cpi")
    cordbox_in(
        packages, "package", "create-cpi", "--cpb", str(cpb), "-g", "policy.json", *cpi, *SIGNING
    )
    return (packages / "newer.cpi").read_bytes()


def _upload(host: KillableHost, cpi: bytes) -> None:
    asked = host.ask("POST", "/cpi", files={"upload": ("newer.cpi", cpi)}).json()["id"]
    host.until(f"/cpi/status/{asked}", lambda found: found["status"] == "OK")


def _trade(host: KillableHost) -> str:
    """Issue and settle IOUs, one by more than is owed; gives the first settlement.

    At the end Bob is paused, and a settlement waits for him.
    """
    ids = {}
    for invoice, amount in _ISSUED.items():
        body = {"counterparty": BOB, "amount": amount, "currency": "GBP"}
        done = _ended(host, f"issue-{invoice}", "iou_flows.IssueIou", body, "COMPLETED")
        ids[invoice] = done["linear_id"]
    settled = []
    for number, (invoice, amount) in enumerate(_SETTLED, 1):
        body = {"linear_id": ids[invoice], "amount": amount}
        settled.append(
            _ended(host, f"settle-{invoice}-{number}", "iou_flows.SettleIou", body, "COMPLETED")
        )
    invoice, amount = _TOO_MUCH
    body = {"linear_id": ids[invoice], "amount": amount}
    _ended(host, _REFUSED, "iou_flows.SettleIou", body, "FAILED")
    _waiting(host, ids["1041"])
    return str(settled[0]["transaction_id"])


def _waiting(host: KillableHost, linear_id: str) -> None:
    bob = f"/virtualnode/{host.nodes[BOB]}"
    quota = {"request": {"overrides": {"flowsOpenMax": 500}}}
    assert host.ask("PUT", f"{bob}/quota", json=quota).is_success
    assert host.ask("PUT", f"{bob}/state/PAUSED").is_success
    body = {"linear_id": linear_id, "amount": 25_000}
    assert host.flow(ALICE, _WAITS, "iou_flows.SettleIou", body).status_code == 202
    standing = f"{host.url}{BASE}/flow/{host.nodes[ALICE]}/{_WAITS}/standing"
    host.until(standing, lambda found: found["kind"] == "waits-for-peer")


def _ended(host, request_id, flow, body, status):
    """The result of a flow that ends as it has to."""
    assert host.flow(ALICE, request_id, flow, body).status_code == 202
    found = host.result(ALICE, request_id)
    assert found["flowStatus"] == status, found
    return json.loads(found["flowResult"] or "{}")


def main(folder: Path, *, is_recorded: bool) -> None:
    """Take the pictures that tests compare, and those of the documentation in `folder`."""
    if not is_recorded:
        with TemporaryDirectory() as made:
            record(Path(made))
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir()
    folder.mkdir(parents=True, exist_ok=True)
    differences(keeps=True, documents=documented(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), is_recorded="--recorded" in sys.argv)
