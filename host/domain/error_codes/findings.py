"""Findings of `cordbox host check`, `cordbox audit log verify` and `cordbox audit --policy`."""

from collections.abc import Mapping

_LOG = (
    "Keep a copy of the log and its head, find out who changed it, then acknowledge the entry with"
    " `cordbox audit log acknowledge`."
)
_ADMINISTRATIVE = "Keep a copy of the data directory, and find out who changed it."
_RESTORE = "Stop the host and restore a backup."
_POLICY = "Change the package, or the policy if it is meant to allow this."

CODES: Mapping[str, tuple[str, str]] = {
    # `cordbox host check`
    "account-differs": (
        "An account of bytes in `flows.sqlite` is not the sum of what counts to it.",
        "Report it; the host counts on from what is stored.",
    ),
    "audit-log-missing": (
        "A node whose vault has had effects has no audit log.",
        "Restore the log from a backup; without one the node's history cannot be proved.",
    ),
    "database-damaged": ("SQLite finds a file of a data directory damaged.", _RESTORE),
    "file-irregular": (
        (
            "Where a data directory should have a file stands a directory, a pipe or a link to"
            " nothing."
        ),
        "Put the file back.",
    ),
    "file-permissions": (
        "Others than its owner may read a file of a data directory.",
        "Let the host's user alone read it: `chmod 600`.",
    ),
    "file-unknown": (
        "A data directory holds a file that no host makes.",
        "Move it away, if it is yours.",
    ),
    "key-unusable": (
        "A stored key does not open under the master key that is there.",
        "Start with the master key or passphrase that belongs to the directory, or restore it.",
    ),
    "ledger-differs": (
        (
            "A vault lacks a transaction that concerns its node and that another node here has"
            " recorded, while no flow is open that would record it."
        ),
        "Find out which flow failed at this node; its CorDapp has to send the transaction again.",
    ),
    "package-damaged": (
        "The file of a stored CPI has another checksum.",
        "Upload the CPI again, or restore its file from a backup.",
    ),
    "package-missing": (
        "The file of a stored CPI is gone.",
        "Upload the CPI again, or restore its file from a backup.",
    ),
    "schema-unknown": (
        "A database lacks the tables of a feature.",
        "Start the host once with this release, or restore the database.",
    ),
    "tls-pair-unusable": (
        "Certificate and private key of `tls/` are not both there, or do not belong together.",
        "Put both files back, or delete both: the host makes new ones.",
    ),
    "vault-behind-audit-log": (
        "A vault has had fewer effects than its node's audit log tells of.",
        "Restore the vault of the same time as the log.",
    ),
    "vault-unregistered": (
        "A vault belongs to a node that the registers do not know.",
        "Restore the registers of the same time, or move the vault away.",
    ),
    # `cordbox audit log verify`
    "audit-anchor-differs": (
        "An audit log has another entry where the anchor of an earlier verification was.",
        _LOG,
    ),
    "audit-chain-broken": (
        (
            "An entry of an audit log does not name the hash of the entry before: something was"
            " changed, moved or removed there."
        ),
        _LOG,
    ),
    "audit-counts-forged": (
        "What is counted of refusals beside an audit log was not written with the host's key.",
        _LOG,
    ),
    "audit-entry-malformed": ("A line of an audit log is no entry in canonical form.", _LOG),
    "audit-hash-wrong": ("An entry of an audit log was changed.", _LOG),
    "audit-head-differs": ("The head beside an audit log belongs to another log.", _LOG),
    "audit-head-forged": (
        (
            "The head beside an audit log was not made with the host's key, now or when the log was"
            " opened."
        ),
        _LOG,
    ),
    "audit-head-missing": (
        (
            "The head beside an audit log is missing or damaged, or was when the log was opened, so"
            " that a cut at the end would not be seen."
        ),
        _LOG,
    ),
    "audit-holding-wrong": ("An audit log belongs to another virtual node.", _LOG),
    "audit-line-torn": (
        (
            "The last line of an audit log is incomplete; the host cuts it off at its next entry"
            " and says so there."
        ),
        "Nothing after a crash; otherwise as for a changed log.",
    ),
    "audit-log-cut": (
        (
            "An audit log was found to end before its head when it was opened: a power failure"
            " explains it, or none does; the message says which."
        ),
        _LOG,
    ),
    "audit-log-replaced": (
        "An audit log was found to have another entry than its head knew, when it was opened.",
        _LOG,
    ),
    "audit-log-truncated": (
        "An audit log ends before an entry that its head or the anchor knows.",
        _LOG,
    ),
    "audit-mac-wrong": ("An entry of an audit log was not made with the host's key.", _LOG),
    "audit-part-missing": (
        (
            "An audit log does not begin with its first part, and no entry says that the parts"
            " before were archived."
        ),
        "Put the parts back, or name the archive in the command.",
    ),
    "audit-sequence-broken": (
        "An entry of an audit log has another number than its place.",
        _LOG,
    ),
    # `cordbox audit log verify` of the administrative log
    "administrative-anchor-differs": (
        (
            "The administrative log has another entry where the anchor of an earlier verification"
            " was, or ends before it."
        ),
        _ADMINISTRATIVE,
    ),
    "administrative-chain-broken": (
        "An entry of the administrative log does not name the hash of the entry before.",
        _ADMINISTRATIVE,
    ),
    "administrative-entry-changed": (
        "An entry of the administrative log was changed.",
        _ADMINISTRATIVE,
    ),
    "administrative-entry-missing": (
        "Entries of the administrative log are missing, and none tells that they were deleted.",
        _ADMINISTRATIVE,
    ),
    "administrative-head-wrong": (
        (
            "The head of the administrative log knows another end, is missing, or was not made by"
            " this host."
        ),
        _ADMINISTRATIVE,
    ),
    "administrative-log-cut": (
        "The administrative log ended before its head when the host began to write.",
        _ADMINISTRATIVE,
    ),
    "administrative-mac-wrong": (
        "An entry of the administrative log was not made with the host's key.",
        _ADMINISTRATIVE,
    ),
    # `cordbox audit --policy`
    "audit-package-refused": (
        "A signature or a rule of the package format does not hold.",
        "See the refusal of the package in the report.",
    ),
    "audit-signer-untrusted": (
        "The signers do not lead to a trusted certificate.",
        "Check whose package it is; give the certificates to trust.",
    ),
    "audit-code-refused": (
        "A component is refused, or is not what its descriptor says.",
        "Do not use the package; have its maker build it again.",
    ),
    "audit-trust-not-judged": (
        "The policy asks for trust, and no certificate was given.",
        "Give the certificates to trust.",
    ),
    "audit-signer-not-allowed": ("A signer is none of those that the policy allows.", _POLICY),
    "audit-capability-not-allowed": (
        "A CPK declares a capability that the policy forbids.",
        _POLICY,
    ),
    "audit-form-not-allowed": ("A CPK has code in a form that the policy forbids.", _POLICY),
    "audit-runtime-not-allowed": (
        "A Python CPK names a runtime that the policy forbids.",
        _POLICY,
    ),
    "audit-feature-not-allowed": ("A component uses a feature that the policy forbids.", _POLICY),
    "audit-limit-too-high": ("A run would get a higher limit than the policy allows.", _POLICY),
    "audit-component-too-large": ("A component is larger than the policy allows.", _POLICY),
}
"""Code -> (cause, remedy)."""
