"""`cordbox secret-config`: seal secrets for sections of settings, as Corda's CLI does."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.package_options import EXISTING_FILE
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from host.settings.secret_box import SecretBox

_CHARACTERS_MAX = 64 * 1024
_TYPES = ("CORDA", "VAULT")


def _sealing_options(command: "Callable[..., None]") -> "Callable[..., None]":
    for option in (
        click.option("--salt-file", type=EXISTING_FILE, help="File whose first line is the salt."),
        click.option("-s", "--salt", help="The host's salt of secrets."),
        click.option(
            "--passphrase-file", type=EXISTING_FILE, help="File whose first line is the passphrase."
        ),
        click.option("-p", "--passphrase", help="The host's passphrase of secrets."),
        click.option(
            "-t",
            "--type",
            "kind",
            type=click.Choice(_TYPES, case_sensitive=False),
            default="CORDA",
            help="Corda's types of secrets; VAULT is refused, as hosts read none from there.",
        ),
    ):
        command = option(command)
    return command


@click.group("secret-config", cls=PrettyGroup)
def command() -> None:
    """Seal secrets for sections of settings, under the passphrase and salt of a host.

    The files of both are the settings `secrets_passphrase_file` and `secrets_salt_file`. What is
    written on a command line can be seen by other users of the machine: use files and `-`.
    """


@command.command("create")
@click.argument("value")
@click.option("-v", "--vault-path", help="Path of a secret in HashiCorp Vault: for type VAULT.")
@_sealing_options
def create(
    *,
    value: str,
    vault_path: str | None,
    kind: str,
    passphrase: str | None,
    passphrase_file: Path | None,
    salt: str | None,
    salt_file: Path | None,
) -> None:
    """Print VALUE sealed, as `cordbox config put` takes it; `-` reads it from standard input."""
    import msgspec

    from host.adapters.os.system import SystemEntropy

    _refuse_vault("VAULT" if vault_path is not None else kind)
    box = _box(_one("passphrase", passphrase, passphrase_file), _one("salt", salt, salt_file))
    sealed = box.sealed(_given(value), SystemEntropy())
    click.echo(json.dumps(msgspec.to_builtins(sealed), separators=(",", ":")))


@command.command("decrypt")
@click.argument("value")
@_sealing_options
def decrypt(
    *,
    value: str,
    kind: str,
    passphrase: str | None,
    passphrase_file: Path | None,
    salt: str | None,
    salt_file: Path | None,
) -> None:
    """Print the text of VALUE, the base64 after `encryptedSecret`; `-` reads standard input."""
    _refuse_vault(kind)
    box = _box(_one("passphrase", passphrase, passphrase_file), _one("salt", salt, salt_file))
    click.echo(box.opened(_given(value)))


def _refuse_vault(kind: str) -> None:
    from host.settings.secret import SecretTypeError

    if kind.upper() != "CORDA":
        raise SecretTypeError(
            "secrets of type VAULT are not supported: hosts read none from HashiCorp Vault; seal"
            " the value itself with type CORDA"
        )


def _box(passphrase: str, salt: str) -> "SecretBox":
    from host.settings.secret_box import SecretBox

    return SecretBox(passphrase, salt)


def _one(name: str, text: str | None, file: Path | None) -> str:
    from host.adapters.files.secret_files import read_secret

    if (text is None) == (file is None):
        raise click.UsageError(f"give either --{name} or --{name}-file")
    return read_secret(file) if file is not None else text or ""


def _given(value: str) -> str:
    if value != "-":
        return value
    text = sys.stdin.read(_CHARACTERS_MAX + 1)
    if len(text) > _CHARACTERS_MAX:
        raise click.UsageError(f"standard input has more than {_CHARACTERS_MAX} characters")
    return text.removesuffix("\n").removesuffix("\r")
