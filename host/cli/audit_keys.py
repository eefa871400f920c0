"""The keys of audit logs, as files."""

from pathlib import Path

import click


def audit_key_of(file: Path) -> bytes:
    """The key in a file such as `secrets/audit-key` of a data directory."""
    from cpi.package.files import read_limited
    from host.nodes.audit_log.service import KEY_BYTES

    key = read_limited(file, 4096)
    if len(key) != KEY_BYTES:
        raise click.UsageError(f"{file}: expected {KEY_BYTES} bytes, found {len(key)}")
    return key
