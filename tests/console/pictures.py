"""Takes the pictures of the documentation: `make console-pictures`, of a host that settles IOUs."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.console.served import chromium, modules, run, shot
from tests.support.killable_host import ALICE, BOB, KillableHost, make_packages

_ISSUED = {"1041": 250_000, "1042": 80_000, "1043": 12_500, "1044": 9_900}
"""Of each invoice, its amount in pence."""
_SETTLED = (("1041", 100_000), ("1043", 12_500), ("1042", 30_000), ("1041", 50_000))
_TOO_MUCH = ("1044", 99_000)
_REFUSED = "settle-1044-5"


def take(folder: Path, place: Path) -> None:
    """Pictures of a new host, in `folder`."""
    (place / "packages").mkdir()
    packages = make_packages(place / "packages")
    host = KillableHost(place, ())
    try:
        host.start()
        host.form_network(packages)
        node, transaction = host.nodes[ALICE], _trade(host)
        (package,) = host.ask("GET", "/cpi").json()["cpis"]
        run(
            {
                "base": host.url.replace("127.0.0.1", "localhost"),
                "login": "admin",
                "password": "given",
                "chromium": chromium(),
                "modules": modules(),
                "pictures": str(folder),
                "shots": [
                    shot("overview"),
                    shot("flow", f"/flows/{node}/{_REFUSED}"),
                    shot("nodes", "/nodes"),
                    shot("ledger", f"/ledger/{node}/{transaction}"),
                    shot("package", f"/packages/{package['cpiFileChecksum']}"),
                    shot("phone", width=390),
                ],
            }
        )
    finally:
        host.kill()


def _trade(host: KillableHost) -> str:
    """Issue and settle IOUs, the last one by more than is owed; gives the first settlement."""
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
    return str(settled[0]["transaction_id"])


def _ended(host, request_id, flow, body, status):
    """The result of a flow that ends as it has to."""
    assert host.flow(ALICE, request_id, flow, body).status_code == 202
    found = host.result(ALICE, request_id)
    assert found["flowStatus"] == status, found
    return json.loads(found["flowResult"] or "{}")


if __name__ == "__main__":
    chosen = Path(sys.argv[1]).resolve()
    chosen.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as made:
        take(chosen, Path(made))
