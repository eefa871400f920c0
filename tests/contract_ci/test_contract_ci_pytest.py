"""The test kit's `cordapp_cpi` fixture gives the verdicts of `contract verify`."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from cordapp_testkit import ContractRefusedError
from cordapp_testkit.cpi_file import CpiFile
from cpi.errors import CpiError
from host.tools.contracts.inputs import TransactionFileError

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "sample_cordapps" / "iou" / "receipts"
TRANSACTIONS = GOLDEN / "transactions.jsonl"
ISSUE, OF_NOTHING = map(json.loads, TRANSACTIONS.read_text().splitlines()[:2])

TESTS = """
    import json
    from pathlib import Path
    import pytest
    from cordapp_testkit import ContractRefusedError

    GOLDEN = Path({golden!r})
    ISSUE, OF_NOTHING = map(json.loads, (GOLDEN / "transactions.jsonl").read_text().splitlines()[:2])

    def test_issue(cordapp_cpi):
        cordapp_cpi.verify(ISSUE)

    def test_refusal(cordapp_cpi):
        with pytest.raises(ContractRefusedError, match="must be positive"):
            cordapp_cpi.verify(OF_NOTHING)

    def test_golden(cordapp_cpi):
        cordapp_cpi.check_receipts(GOLDEN / "transactions.jsonl", GOLDEN)
    """


@pytest.fixture(scope="module")
def opened(iou: Any) -> CpiFile:
    return CpiFile.open(iou.cpi, certificates=[iou.certificate])


def test_verdicts_and_receipts_are_those_of_the_command(opened: CpiFile) -> None:
    opened.verify(ISSUE)
    with pytest.raises(ContractRefusedError) as refused:
        opened.verify(OF_NOTHING)
    assert [f["type"] for f in refused.value.failures] == ["RequirementError"]
    name = OF_NOTHING["id"].replace(":", "-") + ".json"
    assert opened.verdict(OF_NOTHING).receipt + "\n" == (GOLDEN / name).read_text()
    with pytest.raises(TransactionFileError):
        opened.verify({"id": "x"})


def test_receipts_that_differ_fail_with_each_field(opened: CpiFile, tmp_path: Path) -> None:
    opened.check_receipts(TRANSACTIONS, GOLDEN)
    (tmp_path / "t.jsonl").write_text(json.dumps({**ISSUE, "signatories": []}) + "\n{}\n")
    with pytest.raises(AssertionError) as failed:
        opened.check_receipts(tmp_path / "t.jsonl", GOLDEN)
    text = str(failed.value)
    assert "accepted: true -> false (the verdict changed)" in text
    assert "no ledger transaction" in text
    assert text.count(": missing") == 11


def test_an_untrusted_cpi_is_refused(iou: Any) -> None:
    with pytest.raises(CpiError):
        CpiFile.open(iou.cpi, certificates=[])


def test_the_fixture_takes_the_cpi_from_the_command_line(iou: Any, tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text(dedent(TESTS.format(golden=str(GOLDEN))))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "cordapp_testkit.pytest_plugin"]
    words += ["--rootdir", str(tmp_path), "-c", "/dev/null", str(tmp_path)]
    options = ["--cordapp-cpi", str(iou.cpi), "--cordapp-certificate", str(iou.certificate)]
    done = subprocess.run(
        [*words, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the fixture cordapp_cpi needs --cordapp-cpi" in done.stdout
