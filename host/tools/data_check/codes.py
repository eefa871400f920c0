"""Codes of `cordbox host check`, in addition to those with which hosts refuse files."""

from enum import StrEnum

from host.adapters.files.identity import Finding


class CheckCode(StrEnum):
    """Codes of findings."""

    ACCOUNT_DIFFERS = "account-differs"
    AUDIT_LOG_MISSING = "audit-log-missing"
    DATABASE_DAMAGED = "database-damaged"
    FILE_IRREGULAR = "file-irregular"
    FILE_PERMISSIONS = "file-permissions"
    FILE_UNKNOWN = "file-unknown"
    KEY_UNUSABLE = "key-unusable"
    LEDGER_DIFFERS = "ledger-differs"
    PACKAGE_DAMAGED = "package-damaged"
    PACKAGE_MISSING = "package-missing"
    SCHEMA_UNKNOWN = "schema-unknown"
    TLS_PAIR_UNUSABLE = "tls-pair-unusable"
    VAULT_BEHIND_LOG = "vault-behind-audit-log"
    VAULT_UNREGISTERED = "vault-unregistered"


def finding(code: str, file: str, message: str, *, expected: object, found: object) -> Finding:
    """A finding whose message names the file."""
    return Finding(
        code=str(code),
        file=file,
        message=f"{file}: {message}",
        expected=str(expected),
        found=str(found),
    )
