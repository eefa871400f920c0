"""Options by which backups are encrypted and opened: a passphrase, or keys of age."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from host.adapters.files.container import Opener, Sealer

_PASSPHRASE_VARIABLE = "CORDBOX_BACKUP_PASSPHRASE"  # noqa: S105  # the variable's name
_EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False)

passphrase_file_option = click.option(
    "--passphrase-file",
    type=_EXISTING,
    help=f"File whose first line is the passphrase; or give it in {_PASSPHRASE_VARIABLE}.",
)
identity_file_option = click.option(
    "--identity-file",
    type=_EXISTING,
    help="File with the age private key that belongs to the backup's public key.",
)


def sealer_of(recipient: str | None, passphrase_file: Path | None) -> "Sealer":
    from host.adapters.files.container import Sealer

    if recipient is not None:
        if passphrase_file is not None:
            raise click.UsageError("Give --recipient or --passphrase-file, not both.")
        return Sealer.to_recipient(recipient)
    return Sealer.by_passphrase(passphrase_of(passphrase_file, confirm=True))


def opener_of(identity_file: Path | None, passphrase_file: Path | None) -> "Opener":
    from host.adapters.files.container import Opener

    if identity_file is not None:
        if passphrase_file is not None:
            raise click.UsageError("Give --identity-file or --passphrase-file, not both.")
        from host.adapters.files.secret_files import read_secret_text

        return Opener(identities=read_secret_text(identity_file))
    return Opener(passphrase=passphrase_of(passphrase_file, confirm=False))


def passphrase_of(file: Path | None, *, confirm: bool) -> str:
    if file is not None:
        from host.adapters.files.secret_files import read_secret

        return read_secret(file)
    given = os.environ.get(_PASSPHRASE_VARIABLE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"Give --passphrase-file or {_PASSPHRASE_VARIABLE}, or a public or private key."
        )
    return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
