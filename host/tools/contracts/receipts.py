"""Receipts of verifications: writes and reads them, and compares them field by field.

A receipt is one line of canonical JSON: transaction, verdict, and for each contract CPK the
sandbox's own receipt of its run (`sandbox.receipts`). It names no signer, file, machine or time, so
a CPI that is signed again or verified elsewhere gives the same receipts.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.domain.errors import InvalidInputError
from host.domain.json import JsonObject
from host.guests.contracts import Judgement, transaction_text
from host.tools.output import write_files
from sandbox.receipts import text_digest

RECEIPT_VERSION = 1
RECEIPT_BYTES_MAX = 4 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,150}")
_ABSENT = object()

_MEANINGS: Mapping[str, str] = {
    "transaction": "another transaction",
    "accepted": "the verdict changed",
    "failures": "the contracts' reasons changed",
    "runs.cpk": "another contract CPK",
    "runs.receipt.code.component": "other code",
    "runs.receipt.code.image": "other code: contract, SDK or runtime",
    "runs.receipt.code.runtime": "another Python runtime",
    "runs.receipt.engine": "another wasmtime, or other engine settings",
    "runs.receipt.input": "the contract was given another text",
    "runs.receipt.limits": "other limits",
    "runs.receipt.outcome": "the run ended otherwise",
    "runs.receipt.usage": "the code took another path, or is other code",
}
"""Start of a field's path, without indices -> the meaning of a difference there."""


class ReceiptInvalidError(InvalidInputError):
    """A file is not a receipt."""

    code = "receipt-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field that differs. `before` or `after` is None where there is no such field.

    `field` is a path such as `runs[0].receipt.usage.fuel`; values are JSON text.
    """

    field: str
    before: str | None
    after: str | None
    meaning: str

    def __str__(self) -> str:
        before, after = self.before or "absent", self.after or "absent"
        return f"{self.field}: {before} -> {after}" + (f" ({self.meaning})" * bool(self.meaning))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptChange:
    """A receipt that differs, is new, or is missing, by file name; `fields` if it differs."""

    name: str
    kind: str
    fields: tuple[FieldChange, ...] = ()


def verification_receipt(transaction: JsonObject, judgement: Judgement) -> str:
    """The canonical receipt of one verification: sorted keys, no spaces, ASCII."""
    value = {
        "v": RECEIPT_VERSION,
        "transaction": {
            "id": transaction["id"],
            "digest": text_digest(transaction_text(transaction)),
        },
        "accepted": not judgement.failures,
        "limitsOfPlatformVersion": judgement.platform_version,
        "failures": list(judgement.failures),
        "runs": [
            {"cpk": run.cpk, "receipt": json.loads(run.receipt) if run.receipt else None}
            for run in judgement.runs
        ],
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


class ReceiptFolder:
    """Names receipts by transaction, writes them, and compares them with those of a folder."""

    def __init__(self, *, written: Path | None, expected: Path | None) -> None:
        """Take the folder to write to and the folder to compare with; each may be None.

        Raises:
            ReceiptInvalidError: `expected` is not a folder.
        """
        if expected is not None and not expected.is_dir():
            raise ReceiptInvalidError(f"{expected} is no folder of receipts")
        self._written = written
        self._expected = expected
        self._names: set[str] = set()

    def take(self, label: str, transaction_id: str, receipt: str) -> ReceiptChange | None:
        """Write a receipt, and return its difference from the expected one; None if there is none.

        Raises:
            StorageError: the folder cannot be written.
            ReceiptInvalidError: the expected file is not a receipt.
        """
        if self._written is None and self._expected is None:
            return None
        name = self._name(label, transaction_id)
        if self._written is not None:
            write_files(self._written, {name: f"{receipt}\n".encode()})
        if self._expected is None:
            return None
        path = self._expected / name
        if not path.exists():
            return ReceiptChange(name=name, kind="new")
        changes = tuple(differences(read_receipt(path), json.loads(receipt)))
        return ReceiptChange(name=name, kind="changed", fields=changes) if changes else None

    def missing(self) -> list[ReceiptChange]:
        """Names of expected receipts that no transaction produced."""
        if self._expected is None:
            return []
        found = {path.name for path in self._expected.glob("*.json")}
        return [ReceiptChange(name=n, kind="missing") for n in sorted(found - self._names)]

    def _name(self, label: str, transaction_id: str) -> str:
        """The id, if it is a valid file name and was not used before; else the label."""
        name = _file_name(transaction_id) if _NAME.fullmatch(transaction_id) else ""
        if not name or name in self._names:
            place = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(label).name).strip("-.") or "transaction"
            name = _file_name(f"{place[-120:]}-{len(self._names) + 1}")
        self._names.add(name)
        return name


def _file_name(text: str) -> str:
    return text.replace(":", "-") + ".json"


def read_receipt(path: Path) -> Any:
    """The JSON value of a receipt file.

    Raises:
        ReceiptInvalidError: unreadable, too large, or no JSON object.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(RECEIPT_BYTES_MAX + 1)
        value = json.loads(data) if len(data) <= RECEIPT_BYTES_MAX else None
    except OSError as refused:
        raise ReceiptInvalidError(f"{path} cannot be read: {refused.strerror}") from refused
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ReceiptInvalidError(f"{path} is no receipt: expected a JSON object")
    return value


def compare_receipts(before: Path, after: Path) -> list[ReceiptChange]:
    """The differences between two receipts, or two folders of receipts, by file name.

    Raises:
        ReceiptInvalidError: a file is not a receipt, or a file is compared with a folder.
    """
    if before.is_dir() != after.is_dir():
        raise ReceiptInvalidError(f"{before} and {after}: expected two files or two folders")
    if not before.is_dir():
        changes = tuple(differences(read_receipt(before), read_receipt(after)))
        return [ReceiptChange(name=after.name, kind="changed", fields=changes)] if changes else []
    names = [{path.name for path in folder.glob("*.json")} for folder in (before, after)]
    result = []
    for name in sorted(names[0] | names[1]):
        if name not in names[1] or name not in names[0]:
            kind = "missing" if name in names[0] else "new"
            result.append(ReceiptChange(name=name, kind=kind))
        else:
            result += [
                ReceiptChange(name=name, kind=change.kind, fields=change.fields)
                for change in compare_receipts(before / name, after / name)
            ]
    return result


def differences(before: Any, after: Any, path: str = "") -> Iterator[FieldChange]:
    """Each field that differs between two JSON values, by path."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            place = f"{path}.{key}" if path else key
            yield from differences(before.get(key, _ABSENT), after.get(key, _ABSENT), place)
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            yield from differences(_item(before, index), _item(after, index), f"{path}[{index}]")
    elif before != after or type(before) is not type(after):
        yield FieldChange(
            field=path, before=_json(before), after=_json(after), meaning=_meaning(path)
        )


def _item(values: Sequence[Any], index: int) -> Any:
    return values[index] if index < len(values) else _ABSENT


def _json(value: Any) -> str | None:
    return None if value is _ABSENT else json.dumps(value, sort_keys=True)


def _meaning(path: str) -> str:
    plain = re.sub(r"\[[0-9]+\]", "", path)
    matching = [start for start in _MEANINGS if f"{plain}.".startswith(f"{start}.")]
    return _MEANINGS[max(matching, key=len)] if matching else ""
