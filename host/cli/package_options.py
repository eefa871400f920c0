"""Options shared by the commands about packages: keystore, certificate and output."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cpi.crypto.certificate import Certificate
    from cpi.crypto.keys import Keystore

_F = TypeVar("_F", bound=Callable[..., Any])
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT_FILE = click.Path(dir_okay=False, path_type=Path)


certificate_option = click.option(
    "--certificate",
    "certificates",
    type=EXISTING_FILE,
    multiple=True,
    help="PEM file with certificates to trust; repeatable.",
)
output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)


class PasswordOption(click.Option):
    """An option for a password, which may be empty: also in its environment variable."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:  # noqa: ARG002 - click's
        """The variable's value; click takes an empty one for none."""
        return os.environ.get(str(self.envvar))


def password_option(*, required: bool) -> Callable[[_F], _F]:
    """`--storepass` with its aliases; the environment variable keeps it out of `ps`."""
    return click.option(
        "--storepass",
        "--password",
        "-p",
        "password",
        cls=PasswordOption,
        required=required,
        envvar="CORDBOX_STOREPASS",
        show_envvar=True,
        help="Keystore password; env:NAME reads it from a variable.",
    )


def resolve_password(text: str) -> str:
    """The password itself, or the value of the variable that `env:NAME` names.

    Raises:
        click.UsageError: the variable is not set.
    """
    if not text.startswith("env:"):
        return text
    value = os.environ.get(text[4:])
    if value is None:
        raise click.UsageError(f"environment variable {text[4:]} is not set")
    return value


def trusted_certificates(
    certificates: tuple[Path, ...], keystore: Path | None, password: str | None
) -> "tuple[Certificate, ...]":
    """The certificates that `verify` trusts.

    Raises:
        click.UsageError: a keystore without its password, or nothing at all.
        KeystoreError: a file cannot be used.
    """
    trusted = read_certificates(certificates)
    if keystore is not None:
        trusted += _open_keystore(keystore, password).anchors()
    if not trusted:
        raise click.UsageError("give --certificate or --keystore: what shall be trusted?")
    return trusted


def read_certificates(paths: tuple[Path, ...]) -> "tuple[Certificate, ...]":
    """Every certificate of PEM files.

    Raises:
        KeystoreError: a file has no certificate, or one that cannot be read.
    """
    from cpi.crypto.certificates import load_pem_certificates
    from cpi.package.files import read_limited

    return tuple(
        certificate
        for path in paths
        for certificate in load_pem_certificates(read_limited(path), source=str(path))
    )


def _open_keystore(keystore: Path, password: str | None) -> "Keystore":
    from cpi.crypto.keys import load_keystore
    from cpi.errors import Code, KeystoreError

    try:
        return load_keystore(keystore, password=password and resolve_password(password))
    except KeystoreError as error:
        if password is None and error.code == Code.KEYSTORE_PASSWORD:
            raise click.UsageError("--keystore needs --storepass") from error
        raise


code_signer_option = click.option(
    "--code-signer",
    "code_signers",
    type=EXISTING_FILE,
    multiple=True,
    help="Certificate whose key signs the CPB, which hosts are to trust; repeatable.",
)
