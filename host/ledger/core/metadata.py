"""A transaction's metadata: the rules and the code that it was made with.

Source: corda-runtime-os `transaction-metadata.json` (schema version 1), `WireTransactionDigest...`.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from cpi.package.model import PackageId
from host.domain.ids import Checksum
from host.domain.json import JsonObject, JsonValue, canonical_json
from host.domain.packages import CpiRecord
from host.domain.platform import PLATFORM_VERSION
from host.ledger.core.components import Group
from host.ledger.core.consensual import ConsensualGroup
from host.ledger.core.model import Ledger
from host.ledger.errors import PlatformVersionNewerError, TransactionInvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCpk:
    """A contract CPK as metadata names it."""

    identity: PackageId
    file_checksum: Checksum


LEDGER_MODELS: Mapping[Ledger, str] = {
    Ledger.UTXO: "net.corda.ledger.utxo.data.transaction.UtxoLedgerTransactionImpl",
    Ledger.CONSENSUAL: (
        "net.corda.ledger.consensual.data.transaction.ConsensualLedgerTransactionImpl"
    ),
}
_TRANSACTION_SUBTYPE = "GENERAL"
_CPKS_MAX = 100


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


DIGEST_SETTINGS: Mapping[str, str] = {
    "batchMerkleTreeDigestProviderName": "TweakableHashDigestProvider",
    "batchMerkleTreeDigestAlgorithmName": "SHA-256D",
    "batchMerkleTreeDigestOptionsLeafPrefixB64": _b64("batchLeaf"),
    "batchMerkleTreeDigestOptionsNodePrefixB64": _b64("batchNode"),
    "rootMerkleTreeDigestProviderName": "TweakableHashDigestProvider",
    "rootMerkleTreeDigestAlgorithmName": "SHA-256D",
    "rootMerkleTreeDigestOptionsLeafPrefixB64": _b64("leaf"),
    "rootMerkleTreeDigestOptionsNodePrefixB64": _b64("node"),
    "componentMerkleTreeDigestProviderName": "NonceHashDigestProvider",
    "componentMerkleTreeDigestAlgorithmName": "SHA-256D",
    "componentMerkleTreeEntropyAlgorithmName": "SHA-256D",
}


def _fixed(ledger: Ledger, groups: type[IntEnum]) -> Mapping[str, JsonValue]:
    return {
        "ledgerModel": LEDGER_MODELS[ledger],
        "ledgerVersion": 1,
        "digestSettings": DIGEST_SETTINGS,
        "componentGroups": [[group.name.lower()] for group in groups],
        "schemaVersion": 1,
    }


_FIXED: Mapping[Ledger, Mapping[str, JsonValue]] = {
    Ledger.UTXO: {**_fixed(Ledger.UTXO, Group), "transactionSubtype": _TRANSACTION_SUBTYPE},
    Ledger.CONSENSUAL: _fixed(Ledger.CONSENSUAL, ConsensualGroup),
}
_OTHER = frozenset(
    {"platformVersion", "cpiMetadata", "cpkMetadata", "membershipGroupParametersHash"}
)


def make_metadata(
    cpi: CpiRecord, group_parameters_hash: str, ledger: Ledger = Ledger.UTXO
) -> JsonObject:
    """The metadata of a transaction made by `cpi`'s code.

    Raises:
        TransactionInvalidError: `contract-cpks-missing`, the CPI has no contract code.
    """
    cpks = [_package(cpk.identity, cpk.file_checksum) for cpk in cpi.contract_cpks()]
    if not cpks:
        raise TransactionInvalidError(
            "contract-cpks-missing",
            f"CPI {cpi.identity.name} {cpi.identity.version} has no contract CPK",
        )
    return {
        **_FIXED[ledger],
        "platformVersion": PLATFORM_VERSION,
        "cpiMetadata": _package(cpi.identity, cpi.file_checksum),
        "cpkMetadata": cpks,
        "membershipGroupParametersHash": group_parameters_hash,
    }


def check_metadata(metadata: JsonObject, ledger: Ledger = Ledger.UTXO) -> None:
    """Check the metadata of a received transaction, whose component groups are of `ledger`.

    Raises:
        TransactionInvalidError: `metadata-invalid`.
        PlatformVersionNewerError: its rules are those of a newer platform version.
    """
    fixed = _FIXED[ledger]
    for name, expected in fixed.items():
        if canonical_json(metadata.get(name)) != canonical_json(expected):
            raise _invalid(f"{name} must be {expected}, found {str(metadata.get(name))[:200]}")
    if metadata.keys() != fixed.keys() | _OTHER:
        raise _invalid(f"expected fields {sorted(fixed.keys() | _OTHER)}")
    _check_platform_version(metadata["platformVersion"])
    if not isinstance(metadata["membershipGroupParametersHash"], str):
        raise _invalid("membershipGroupParametersHash must be a text")
    if not _is_package(metadata["cpiMetadata"]):
        raise _invalid("cpiMetadata must hold name, version, signerSummaryHash and fileChecksum")
    cpks = metadata["cpkMetadata"]
    if not isinstance(cpks, list) or not 1 <= len(cpks) <= _CPKS_MAX:
        raise _invalid(f"cpkMetadata must name 1 to {_CPKS_MAX} contract CPKs")
    if not all(map(_is_package, cpks)):
        raise _invalid(
            "cpkMetadata must hold name, version, signerSummaryHash and fileChecksum of each CPK"
        )
    if len({cpk["fileChecksum"] for cpk in cpks}) < len(cpks):
        raise _invalid("cpkMetadata must name a CPK once")


def named_cpks(metadata: JsonObject) -> tuple[NamedCpk, ...]:
    """The contract CPKs that checked metadata names."""
    cpks: Any = metadata["cpkMetadata"]
    return tuple(
        NamedCpk(
            identity=PackageId(
                name=cpk["name"],
                version=cpk["version"],
                signer_summary_hash=cpk["signerSummaryHash"],
            ),
            file_checksum=Checksum(cpk["fileChecksum"]),
        )
        for cpk in cpks
    )


def parameters_hash(metadata: JsonObject) -> str:
    """The hash of the group parameters that a checked transaction names."""
    return str(metadata["membershipGroupParametersHash"])


def _check_platform_version(version: JsonValue) -> None:
    """Rules and limits must be supported here, or two nodes could reach different verdicts."""
    if not isinstance(version, int) or isinstance(version, bool):
        raise _invalid("platformVersion must be a whole number")
    if version > PLATFORM_VERSION:
        raise PlatformVersionNewerError(
            f"transaction metadata: platformVersion {version} is newer than this host's"
            f" {PLATFORM_VERSION}"
        )


def signing_properties(cpi: CpiRecord) -> dict[str, str]:
    """The properties in a signature that describe its signer's code."""
    return {
        "platformVersion": str(PLATFORM_VERSION),
        "cpiName": cpi.identity.name,
        "cpiVersion": cpi.identity.version,
        "cpiSignerSummaryHash": cpi.identity.signer_summary_hash,
        "cpiFileChecksum": cpi.file_checksum,
    }


def _package(identity: PackageId, file_checksum: str) -> JsonObject:
    return {
        "name": identity.name,
        "version": identity.version,
        "signerSummaryHash": identity.signer_summary_hash,
        "fileChecksum": file_checksum,
    }


def _is_package(value: JsonValue) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() == {"name", "version", "signerSummaryHash", "fileChecksum"}
        and all(isinstance(text, str) for text in value.values())
    )


def _invalid(reason: str) -> TransactionInvalidError:
    return TransactionInvalidError("metadata-invalid", f"transaction metadata: {reason}")
