"""`contract verify`: many transactions, three outputs, receipts written and compared."""

import io
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest

from host.guests.contracts import transaction_text
from host.tools.cache import default_cache_dir
from host.tools.contracts.inputs import Given, TransactionFileError, count_all, read_all
from host.tools.contracts.junit import JUnitWriter
from host.tools.contracts.pool import verify_all
from host.tools.contracts.receipts import ReceiptFolder, ReceiptInvalidError
from host.tools.contracts.report import Tally, report_to
from host.tools.contracts.verification import Case, CpiContracts, NoContractError
from tests.contract_ci.conftest import MakeCpi
from tests.contract_ci.golden_receipts import GOLDEN as GOLDEN_SAMPLES
from tests.contract_ci.golden_receipts import receipts_of
from tests.zstandard_elsewhere import HELPER

SAMPLES = Path(__file__).parents[2] / "sample_cordapps"
GOLDEN = SAMPLES / "iou" / "receipts"
TRANSACTIONS = GOLDEN / "transactions.jsonl"
ELSEWHERE = Path(__file__).with_name("receipts_elsewhere.py")
LINES = TRANSACTIONS.read_text().splitlines()
VERDICTS = "accepted refused refused refused refused accepted accepted refused accepted refused refused refused"


def words(iou: Any, *places: object, **options: object) -> list[object]:
    named = [word for name, value in options.items() for word in (f"--{name}", value)]
    return ["verify", iou.cpi, *places, "--certificate", iou.certificate, *named]


def test_each_transaction_gets_a_line_and_its_reasons(run: Any, iou: Any) -> None:
    code, out, err = run(*words(iou, TRANSACTIONS))
    said = [line for line in out.splitlines() if not line.startswith(" ")]
    assert said == [f"{TRANSACTIONS}:{n}: {v}" for n, v in enumerate(VERDICTS.split(), 1)]
    assert "  iou_contracts.IouContract: RequirementError: An IOU's amount must" in out
    assert err.startswith("4 accepted, 8 refused, 0 invalid (")
    assert code == 1


def test_accepted_transactions_exit_with_0(run: Any, iou: Any, tmp_path: Path) -> None:
    (tmp_path / "issue.json").write_text(json.dumps(json.loads(LINES[0]), indent=2))
    code, out, _ = run(*words(iou, tmp_path))
    assert (code, out) == (0, f"{tmp_path / 'issue.json'}: accepted\n")


def test_what_is_no_transaction_is_told_and_the_rest_verified(
    run: Any, iou: Any, tmp_path: Path
) -> None:
    (tmp_path / "t.ndjson").write_text(f"{LINES[0]}\n\n{{}}\n{LINES[1]}\n")
    code, out, _ = run(*words(iou, tmp_path / "t.ndjson", output="json"))
    document = json.loads(out)
    told = [(t["file"].rpartition(":")[2], t["accepted"]) for t in document["transactions"]]
    assert told == [("1", True), ("3", None), ("4", False)]
    assert "missing required field" in document["transactions"][1]["problem"]
    assert document["summary"] == {
        "accepted": 1, "refused": 1, "invalid": 1, "differing": None
    }  # fmt: skip
    assert code == 2


@pytest.mark.parametrize("indent", [None, 2])
def test_standard_input_is_one_transaction_or_lines(
    run: Any, iou: Any, monkeypatch: pytest.MonkeyPatch, indent: int | None
) -> None:
    text = json.dumps(json.loads(LINES[0]), indent=indent)
    lines = [text] if indent else [text, LINES[5]]
    stdin = io.TextIOWrapper(io.BytesIO("\n".join(lines).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, _ = run(*words(iou, "-"))
    assert (code, out) == (0, "-: accepted\n" if indent else "-:1: accepted\n-:2: accepted\n")


def test_a_line_that_is_too_long_does_not_hide_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("[" * 5_000_000 + "\n" + LINES[0] + "\n")
    first, second = read_all([str(path)])
    assert first.transaction is None
    assert "larger than 4194304 bytes" in first.problem
    assert (second.label, second.problem) == (f"{path}:2", "")


def test_places_that_do_not_exist_are_wrong_usage_before_anything_runs(
    run: Any, iou: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (tmp_path, tmp_path / "missing.json"):
        with pytest.raises(TransactionFileError):
            count_all([str(TRANSACTIONS), str(place)])
        with pytest.raises(click.UsageError):
            run(*words(iou, TRANSACTIONS, place))
    assert capsys.readouterr().out == ""
    assert count_all([str(TRANSACTIONS), str(GOLDEN / "transactions.jsonl")]) == 24
    assert count_all(["-"]) is None


def test_junit_names_each_refusal(run: Any, iou: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    code, out, _ = run(*words(iou, TRANSACTIONS, output="junit", **{"output-file": file}))
    assert (code, out) == (1, "")
    (suite,) = ET.parse(file).getroot()
    assert suite.attrib == {"name": "iou.cpi", "tests": "12", "failures": "8", "errors": "0"}
    failure = suite[1].find("failure")
    assert failure is not None
    assert failure.attrib["type"] == "RequirementError"
    assert "amount must be positive" in (failure.text or "")
    assert list(tmp_path.iterdir()) == [file]


def test_junit_keeps_what_xml_cannot_hold_out(tmp_path: Path) -> None:
    out = io.StringIO()
    with JUnitWriter('a"<\x00\ud800') as cases:
        cases.failed("n\x1b[31m", "<t>", "]]>&", "\uffff]]>")
        cases.erroneous("e", "é")
        cases.write_to(out)
    (suite,) = ET.fromstring(out.getvalue())
    assert suite.attrib == {"name": 'a"<??', "tests": "2", "failures": "1", "errors": "1"}
    assert suite[0].attrib["name"] == "n?[31m"
    assert suite[0][0].text == "?]]>"


@pytest.mark.parametrize("sample", GOLDEN_SAMPLES)
def test_the_samples_golden_receipts_hold(run: Any, make_cpi: MakeCpi, sample: str) -> None:
    """Renew with `python -m tests.contract_ci.golden_receipts`."""
    folder = receipts_of(sample)
    cpi = make_cpi(SAMPLES / sample)
    code, out, err = run(*words(cpi, folder / "transactions.jsonl", expect=folder))
    assert " 0 not as expected" in err, out
    assert code == 0
    accepted = [json.loads(p.read_text())["accepted"] for p in folder.glob("*.json")]
    assert {True, False} == set(accepted)
    assert len(accepted) == count_all([str(folder / "transactions.jsonl")])


def test_receipts_are_written_and_compared(run: Any, iou: Any, tmp_path: Path) -> None:
    run(*words(iou, TRANSACTIONS, receipts=tmp_path))
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in GOLDEN.glob("*.json")}
    changed = tmp_path / min(written)
    receipt = json.loads(changed.read_bytes())
    receipt["runs"][0]["receipt"]["usage"]["fuel"] += 1
    changed.write_text(json.dumps(receipt))
    (tmp_path / sorted(written)[1]).unlink()
    (tmp_path / "other.json").write_text("{}")
    code, out, err = run(*words(iou, TRANSACTIONS, expect=tmp_path))
    assert (code, "3 not as expected" in err) == (1, True)
    assert f"receipt {changed.name}: changed\n    runs[0].receipt.usage.fuel: " in out
    assert f"receipt {sorted(written)[1]}: new" in out
    assert "receipt other.json: missing" in out
    code, out, _ = run(*words(iou, TRANSACTIONS, expect=tmp_path, output="json"))
    assert json.loads(out)["missing"] == ["other.json"]
    code, out, _ = run(*words(iou, TRANSACTIONS, expect=tmp_path, output="junit"))
    assert ET.fromstring(out).attrib["failures"] == "3"


def test_receipt_names_stay_in_the_folder_and_never_collide(tmp_path: Path) -> None:
    folder = ReceiptFolder(written=tmp_path / "r", expected=None)
    for number, name in enumerate(["../../x", "A:1", "A:1", "", "."], 1):
        folder.take(f"dir/t.jsonl:{number}", name, "{}")
    names = sorted(path.name for path in (tmp_path / "r").iterdir())
    assert names == ["A-1.json", *(f"t.jsonl-{n}-{n}.json" for n in (1, 3, 4, 5))]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r"]


def test_receipt_diff_names_each_field(run: Any, tmp_path: Path) -> None:
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    before.write_text('{"accepted": true, "failures": [], "v": 1}')
    after.write_text('{"accepted": false, "failures": [{"type": "No"}], "v": 1}')
    code, out, _ = run("receipt-diff", before, after)
    assert code == 1
    assert out == (
        "  receipt b.json: changed\n    accepted: true -> false (the verdict changed)\n"
        '    failures[0]: absent -> {"type": "No"} (the contracts\' reasons changed)\n'
    )
    assert run("receipt-diff", before, before)[:2] == (0, "")
    assert run("receipt-diff", GOLDEN, GOLDEN)[:2] == (0, "")
    code, out, _ = run("receipt-diff", GOLDEN, tmp_path, "--output", "json")
    kinds = [change["kind"] for change in json.loads(out)["changes"]]
    assert (code, sorted(kinds)) == (1, ["missing"] * 12 + ["new"] * 2)
    for other in (GOLDEN, TRANSACTIONS):
        with pytest.raises(ReceiptInvalidError):
            run("receipt-diff", before, other)


@pytest.mark.parametrize("flags", [[], ["-O"], ["-OO"]])
def test_receipts_are_identical_over_processes(iou: Any, tmp_path: Path, flags: list[str]) -> None:
    script = "import sys; from host.cli import main; main(sys.argv[1:])"
    arguments = map(str, words(iou, TRANSACTIONS, receipts=tmp_path))
    done = subprocess.run(
        [sys.executable, *flags, "-c", script, "contract", *arguments],
        cwd=SAMPLES.parent, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in GOLDEN.glob("*.json")}


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_receipts_are_identical_under_other_pythons(contracts: CpiContracts, version: str) -> None:
    homes = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    python = homes[-1] if homes else shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"no Python {version} here")
    (cpk,) = contracts.record.contract_cpks()
    texts = [transaction_text(json.loads(line)) for line in LINES]
    packages = [str(SAMPLES.parent), *(path for path in sys.path if path.endswith("-packages"))]
    done = subprocess.run(
        [python, ELSEWHERE, default_cache_dir(), cpk.code_digest],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(packages), HELPER: sys.executable},
        input="\n".join(texts), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = [json.loads(contracts.verify(json.loads(line)).receipt) for line in LINES]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told == [receipt["runs"][0]["receipt"] for receipt in expected]


def test_verdicts_keep_the_order_of_the_input_whatever_the_jobs(contracts: CpiContracts) -> None:
    receipts = []
    for jobs in (1, 2):
        given = read_all([str(TRANSACTIONS)] * 9)
        cases = list(verify_all(contracts, given, jobs=jobs, cache_dir=default_cache_dir()))
        assert [case.label.rpartition(":")[2] for case in cases] == [
            str(number) for number in [*range(1, 13)] * 9
        ]
        receipts.append([case.verdict and case.verdict.receipt for case in cases])
    assert receipts[0] == receipts[1]
    assert receipts[0][:12] == receipts[0][12:24]


def test_input_is_read_only_a_little_ahead(contracts: CpiContracts) -> None:
    read = 0

    def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield Given(label=str(read), transaction=json.loads(LINES[0]))

    cases = verify_all(contracts, endless(), jobs=2, cache_dir=default_cache_dir())
    for _ in range(3):
        next(cases)
    cases.close()  # type: ignore[attr-defined]  # it is a generator
    assert read <= 100


def test_memory_does_not_grow_with_the_number_of_transactions(tmp_path: Path) -> None:
    """The whole path but the sandbox: read, name, report."""

    def peak(count: int) -> int:
        path = tmp_path / "many.jsonl"
        path.write_text(f"{LINES[0]}\n" * count)
        folder = ReceiptFolder(written=None, expected=None)
        tracemalloc.start()
        with (tmp_path / "out").open("w") as out:
            for form in ("text", "json", "junit"):
                with report_to(out, form, suite="s", compares=False) as report:
                    tally = Tally(compares=False)
                    for given in read_all([str(path)]):
                        case = Case(label=given.label, verdict=None, problem="x" * 100)
                        folder.take(given.label, given.label, "{}")
                        tally.count(case, None)
                        report.add(case, None)
                    report.finish(tally)
        _, used = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return used

    assert peak(3000) < peak(100) + 200_000


def test_a_cpi_without_contracts_is_refused(make_cpi: Any, run: Any) -> None:
    hello = make_cpi(SAMPLES / "hello")
    with pytest.raises(NoContractError):
        run(*words(hello, TRANSACTIONS))
