"""The contracts of a finished, signed CPI file, as a test or CI asks them.

The verdicts and receipts are those of `cordbox contract verify`: the same code gives them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpi.crypto.certificates import load_pem_certificates
from host.tools.cache import default_cache_dir
from host.tools.contracts.inputs import parse_transaction, read_all
from host.tools.contracts.receipts import ReceiptFolder
from host.tools.contracts.report import change_lines
from host.tools.contracts.verification import CpiContracts, Verdict, open_contracts
from host.tools.testkit.errors import ContractRefusedError
from sandbox.runtime import Sandbox


class CpiFile:
    """A CPI whose signatures were verified and whose contract code was compiled."""

    def __init__(self, contracts: CpiContracts) -> None:
        self._contracts = contracts

    @classmethod
    def open(cls, path: Path, *, certificates: Sequence[Path]) -> "CpiFile":
        """Verify a CPI file.

        Args:
            path: the CPI.
            certificates: PEM files with the certificates to trust.

        Raises:
            CpiError: it is not accepted, or a certificate cannot be read.
            InvalidInputError: its code is not what it says, or it has no contract.
        """
        trusted = [
            certificate
            for file in certificates
            for certificate in load_pem_certificates(file.read_bytes(), source=str(file))
        ]
        sandbox = Sandbox(cache_dir=default_cache_dir())
        opened = open_contracts(path.read_bytes(), trusted=trusted, sandbox=sandbox)
        return cls(opened)

    def verdict(self, transaction: Mapping[str, Any]) -> Verdict:
        """What the contracts say of a ledger transaction (host-api.md), each in a fresh sandbox.

        Raises:
            TransactionFileError: it is no ledger transaction.
        """
        text = json.dumps(transaction).encode()
        return self._contracts.verify(parse_transaction(text, "transaction"))

    def verify(self, transaction: Mapping[str, Any]) -> None:
        """Accept a transaction, or raise.

        Raises:
            ContractRefusedError: a contract refuses; `failures` as in host-api.md.
            TransactionFileError: it is no ledger transaction.
        """
        failures = self.verdict(transaction).failures
        if failures:
            raise ContractRefusedError([dict(failure) for failure in failures])

    def check_receipts(self, place: Path, expected: Path) -> None:
        """Verify the transactions of a file or folder and compare the receipts with a folder's.

        Raises:
            AssertionError: a receipt differs, is new or is missing, or something is no transaction;
                the message names each field.
        """
        folder = ReceiptFolder(written=None, expected=expected)
        lines: list[str] = []
        for given in read_all([str(place)]):
            verdict = self._contracts.case(given).verdict
            if verdict is None:
                lines.append(given.problem)
                continue
            change = folder.take(given.label, verdict.transaction_id, verdict.receipt)
            lines += change_lines(change) if change else []
        lines += [line for change in folder.missing() for line in change_lines(change)]
        if lines:
            raise AssertionError("\n".join([f"not as in {expected}:", *lines]))
