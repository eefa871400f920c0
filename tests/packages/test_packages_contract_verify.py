"""`contract verify`: a CPI's contracts judge transactions without any host."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from cpi.errors import PackageRefusedError
from host.cli.contract import command
from host.guests.code import DescriptorMismatchError
from host.tools.contracts.inputs import TransactionFileError, read_transaction
from host.tools.contracts.verification import open_contracts
from sandbox.limits import Limits

TRANSACTION = {
    "id": "SHA-256D:AB",
    "inputs": [],
    "references": [],
    "outputs": [{"type": "wat.State", "contract": "wat.Contract"}],
    "commands": [],
    "signatories": [],
}
FAILURE = {"contract": "wat.Contract", "states": ["wat.State"], "type": "No", "message": "never"}


def verify(cpi: bytes, key: Any, sandbox: Any) -> list[Any]:
    trusted = [key.certificate_chain[0]]
    contracts = open_contracts(cpi, trusted=trusted, sandbox=sandbox, limits=Limits())
    return [contracts.verify(TRANSACTION), contracts.verify(TRANSACTION)]


def run(folder: Path, cpi: bytes, key: Any, *options: str) -> int:
    (folder / "app.cpi").write_bytes(cpi)
    (folder / "trust.pem").write_bytes(key.certificate_chain[0].public_bytes(Encoding.PEM))
    (folder / "t.json").write_text(json.dumps(TRANSACTION))
    words = [str(folder / "app.cpi"), str(folder / "t.json")]
    words += ["--certificate", str(folder / "trust.pem"), *options]
    return command.main(["verify", *words], standalone_mode=False)


def test_a_verdict_says_what_the_contracts_say(make: Any, key: Any, sandbox: Any) -> None:
    accepted = verify(make.contract_cpi(), key, sandbox)
    assert [(v.transaction_id, v.failures) for v in accepted] == [("SHA-256D:AB", ())] * 2
    refused = verify(make.contract_cpi(refusal=json.dumps({"failures": [FAILURE]})), key, sandbox)
    assert [v.failures for v in refused] == [(FAILURE,)] * 2


def test_an_untrusted_cpi_is_not_run(make: Any, other_key: Any, sandbox: Any) -> None:
    with pytest.raises(PackageRefusedError):
        verify(make.contract_cpi(), other_key, sandbox)


def test_a_descriptor_that_lies_is_refused(make: Any, key: Any, sandbox: Any) -> None:
    lies = {"contracts": ({"name": "other.Contract", "states": []},)}
    with pytest.raises(DescriptorMismatchError):
        verify(make.contract_cpi(lies=lies), key, sandbox)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": 5}', "[" * 5000, '"' + "x" * 5_000_000])
def test_what_is_no_transaction_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(TransactionFileError):
        read_transaction(tmp_path / "t.json")
    with pytest.raises(TransactionFileError):
        read_transaction(tmp_path / "missing.json")


def test_the_command_tells_by_text_and_exit_status(
    make: Any, key: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, make.contract_cpi(), key) == 0
    assert capsys.readouterr().out == f"{tmp_path / 't.json'}: accepted\n"
    refusing = make.contract_cpi(refusal=json.dumps({"failures": [FAILURE]}))
    assert run(tmp_path, refusing, key) == 1
    assert "  wat.Contract: No: never" in capsys.readouterr().out
    assert run(tmp_path, refusing, key, "--output", "json") == 1
    (told,) = json.loads(capsys.readouterr().out)["transactions"]
    assert (told["accepted"], told["failures"]) == (False, [FAILURE])
