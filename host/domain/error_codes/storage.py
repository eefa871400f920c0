"""What to do about files of a data directory, keys at rest, audit logs, backups, containers."""

from collections.abc import Mapping

_RESTORE = "Stop the host and restore a backup, or the file alone if the message allows it."
_RESTORE_NOTARY = (
    "Put back the newest file; of an older one, the notary would accept states that are spent."
)
_SAFE = "Do not start the host before you know who changed it; keep a copy as evidence."

REMEDIES: Mapping[str, str] = {
    # Data directories
    "data-directory-in-order": "Start without `--new`: nothing is missing.",
    "data-directory-locked": "Stop the other host, or use another data directory.",
    "data-directory-missing": "Give the path that the host runs with as `--data-dir`.",
    "data-directory-moved": "Start a host on the database that the message names, with a data"
    " directory of its own.",
    "data-directory-unusable": "Give the host's user the directory, and room on its disk.",
    "data-file-damaged": _RESTORE,
    "data-file-empty": _RESTORE,
    "data-file-foreign": "Put back the file that belongs to this cluster.",
    "data-file-missing": _RESTORE,
    "data-file-older": "Restore all files of one backup together.",
    "database-away": "Start the database server, or mend the network to it; hosts go on by"
    " themselves.",
    "database-import-differs": "Drop the database, make it anew, and report the message: the data"
    " directory is as it was.",
    "database-import-refused": "Make an empty database (`cordbox database init`), or mend what"
    " `cordbox host check` finds in the data directory.",
    "database-used": "Make a database of its own for it (`cordbox database init`), or take"
    " `database_url` out of the settings.",
    "disk-full": "Free space on the disk; the host goes on by itself.",
    "host-not-running": "Start a host on the data directory first.",
    "ledger-damaged": "Check the disk, and restore a backup (`cordbox host check`).",
    "secret-file-invalid": "Give a readable file with the secret in its first line.",
    "storage": "See the file and reason in the message; check disk, owner and permissions.",
    "storage-busy": "Stop what else writes the database, such as a backup tool, and try again.",
    "storage-schema-too-new": "Use a release that is not older than the one that wrote it.",
    "uniqueness-empty": _RESTORE_NOTARY,
    "uniqueness-foreign": "Put back the file of this node and cluster.",
    "uniqueness-missing": _RESTORE_NOTARY,
    "uniqueness-older": _RESTORE_NOTARY,
    "uniqueness-restored": "Find out that the notary signed nothing after the backup, then confirm"
    " it with `cordbox notary resume`.",
    "vault-empty": _RESTORE,
    "vault-foreign": "Put back the file of this node and cluster.",
    "vault-missing": _RESTORE,
    "vault-older": "Restore all files of one backup together.",
    # Keys at rest
    "key-material": _SAFE,
    "master-key": "Give the passphrase or key file with which the data directory was made; a"
    " passphrase cannot be added later.",
    "master-key-gone": "Restore the backup that has this master key: what it wrapped cannot be"
    " read without it.",
    # Audit logs
    "act-not-recorded": "Free space or repair the disk below the administrative log; then repeat.",
    "administrative-log-unreadable": "Give the data directory of a host that has such a log.",
    "audit-archive-differs": "Archive to an empty folder, and find out which file is right.",
    "audit-key-damaged": "Restore the key's file from a backup.",
    "audit-key-foreign": "Put back the key's file that belongs to these logs.",
    "audit-key-missing": "Restore the key's file from a backup.",
    "audit-log-damaged": "Verify the log, keep a copy, then acknowledge what is missing.",
    "audit-log-not-good": "Verify the log, and acknowledge what it reports, before archiving.",
    "audit-log-unreadable": "Give the node's log below the data directory.",
    "audit-nothing-to-acknowledge": "Nothing, or give the number of an entry that reports a cut.",
    "audit-reason-invalid": "Give a reason of 1 to 500 printable characters.",
    # Backups and containers
    "backup-busy": "Wait until the other backup has ended.",
    "backup-chain-broken": "Copy the missing or damaged part again; or delete it and those"
    " after it, and lose what they hold.",
    "backup-content-invalid": "Give a file that `cordbox host backup` wrote.",
    "backup-exists": "Choose another file name.",
    "backup-source-invalid": "Give a host's data directory.",
    "restore-target-not-empty": "Restore into an empty or new directory.",
    "transfer-key-damaged": "Restore `secrets/transfer-key` from a backup, mode 0600; without one,"
    " delete it: a new one is made, and files for the old one are exported again.",
    "container-damaged": "Take another copy of the file.",
    "container-invalid": "Give a file of this kind, written by this release or an older one.",
    "container-key-wrong": "Give the passphrase or private key that belongs to the file.",
}
"""Code -> remedy. The first line of the class's docstring is the cause."""
