"""An identity, a notary and an MGM leave one host under load; in `make demo-decentralise` ten identities do."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from sample_cordapps.demo.decentralise.judgement import Asked, Held, Member, findings
from sample_cordapps.demo.decentralise.picture import Life, drawn

ROOT = Path(__file__).parents[2]
A, B, C = (f"O={name}, L=London, C=GB" for name in ("Alice", "Bob", "Charlie"))


@pytest.mark.timeout(900)
def test_an_identity_the_notary_and_the_mgm_leave_one_host_under_load(tmp_path):
    words = ("--identities", "2", "--stay", "1", "--pace", "1", "--folder", str(tmp_path / "run"))
    picture = ("--picture", str(tmp_path / "run.svg"))
    done = subprocess.run(
        [sys.executable, "-m", "sample_cordapps.demo.decentralise", *words, *picture],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    facts = json.loads((tmp_path / "run" / "summary.json").read_text())["identifiers"]
    assert facts["flows"] > 0
    assert facts["ious"] == 2 * facts["flows"]
    assert ET.parse(tmp_path / "run.svg").getroot().tag.endswith("svg")


def _flow(number, borrower, lender):
    return Asked(
        request_id=f"owe-{number}",
        borrower=borrower,
        lender=lender,
        amount=number,
        status="COMPLETED",
        transaction_id=f"T{number}",
    )


FLOWS = (_flow(1, A, B), _flow(2, B, C), _flow(3, C, A))


def _members():
    def member(name):
        mine = [each for each in FLOWS if name in {each.borrower, each.lender}]
        ious = [
            Held(
                state_ref=f"{each.transaction_id}:0",
                borrower=each.borrower,
                lender=each.lender,
                amount=each.amount,
            )
            for each in mine
        ]
        transactions = {each.transaction_id: "V" for each in mine}
        return Member(ious=ious, transactions=transactions, flows={"COMPLETED": 5})

    return {name: member(name) for name in (A, B, C)}


def test_a_run_in_which_all_is_well_has_no_findings():
    assert findings(FLOWS, _members()) == []


def _with(name, **changes):
    members = _members()
    return {**members, name: replace(members[name], **changes)}


ALICE = _members()[A]


@pytest.mark.parametrize(
    ("asked", "members", "said"),
    [
        ((replace(FLOWS[0], status="FAILED"), *FLOWS[1:]), _members(), "owe-1 of O=Alice"),
        ((replace(FLOWS[0], transaction_id=None), *FLOWS[1:]), _members(), "owe-1 of O=Alice"),
        (FLOWS, _with(B, flows={"COMPLETED": 5, "FAILED": 1}), "O=Bob.* did not complete"),
        (FLOWS, _with(A, ious=ALICE.ious[1:]), "O=Alice.* has 0 times, expected 1"),
        (FLOWS, _with(A, ious=[*ALICE.ious, ALICE.ious[0]]), "O=Alice.* has 2 times"),
        (
            FLOWS,
            _with(A, ious=[replace(ALICE.ious[0], amount=9), *ALICE.ious[1:]]),
            "has 1 times, expected 0",
        ),
        (FLOWS, _with(A, transactions={"T1": "V"}), "T3 is with .*Charlie"),
        (FLOWS, _with(A, transactions={"T1": "V", "T3": "U"}), "T3 as U"),
        (FLOWS, _with(A, transactions={**ALICE.transactions, "T2": "V"}), "T2 is with .*Alice"),
        (FLOWS, _with(A, transactions={**ALICE.transactions, "T9": "V"}), "T9 is with .*Alice"),
        (FLOWS[:2], _members(), "T3 is with"),
    ],
)
def test_whatever_is_wrong_is_found(asked, members, said):
    assert any(re.search(said, each) for each in findings(asked, members))


def test_the_picture_shows_each_identity_and_its_flows():
    lives = [
        Life(name="Alice & Co", left=2.0, arrived=4.0, flows=(1.0, 5.0)),
        Life(name="Bob", left=5.0, arrived=6.0, flows=()),
    ]
    root = ET.fromstring(drawn(lives, 10.0, "two leave"))
    space = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in root.iter(f"{space}text")]
    assert {"Alice & Co", "Bob", "two leave", "0 s", "10 s"} <= set(texts)
    widths = [float(each.get("width")) for each in root.iter(f"{space}rect")][-6:]
    assert widths == [144.0, 144.0, 432.0, 360.0, 72.0, 288.0]
    assert len(list(root.iter(f"{space}line"))) == 1 + 2
