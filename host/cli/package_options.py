"""What the signing and verifying commands share: keystore, certificate and output options."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

if TYPE_CHECKING:
    from cryptography import x509

    from cpi.keys import Keystore, SigningKey
    from cpi.model import PackageType, VerifiedPackage

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """An opened keystore with its key, and further certificates to trust."""

    key: "SigningKey"
    trusted: "tuple[x509.Certificate, ...]"
    signature_name: str | None

    def check(self, data: bytes, package_type: "PackageType", what: str) -> "VerifiedPackage":
        """Verify a package that is to be packed, or that was just made.

        Raises:
            PackageRefusedError: entries start with `what`.
        """
        from cpi.errors import PackageRefusedError
        from cpi.verify import verify_package

        try:
            return verify_package(data, package_type=package_type, trusted=self.trusted)
        except PackageRefusedError as error:
            raise PackageRefusedError([issue.below(what) for issue in error.issues]) from error


def signing_options(function: _F) -> _F:
    """Corda's signing options: keystore, password, key and signature file name."""
    for option in (
        click.option("--sig-file", "signature_name", help="Base name of the signature files."),
        click.option("--key", "-k", "alias", help="Alias of the key; optional if there is one."),
        password_option(required=True),
        click.option("--keystore", "-s", type=EXISTING_FILE, required=True, help="PKCS#12 file."),
        certificate_option,
        output_option,
    ):
        function = option(function)
    return function


def password_option(*, required: bool) -> Callable[[_F], _F]:
    """`--storepass` with its aliases; the environment variable keeps it out of `ps`."""
    return click.option(
        "--storepass",
        "--password",
        "-p",
        "password",
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


def open_signing(
    keystore: Path,
    password: str,
    alias: str | None,
    certificates: tuple[Path, ...],
    signature_name: str | None,
) -> Signing:
    """Open what `signing_options` gave.

    The signing key's own certificate is trusted, and so is every other certificate in the keystore.

    Raises:
        KeystoreError: keystore, password, alias or certificate cannot be used.
    """
    from cpi.keys import load_signing_key

    password = resolve_password(password)
    key = load_signing_key(keystore, password=password, alias=alias)
    trusted = _open_keystore(keystore, password).anchors()
    return Signing(
        key=key,
        trusted=(*trusted, *read_certificates(certificates)),
        signature_name=signature_name,
    )


def trusted_certificates(
    certificates: tuple[Path, ...], keystore: Path | None, password: str | None
) -> "tuple[x509.Certificate, ...]":
    """What `verify` shall trust.

    Raises:
        click.UsageError: a keystore without its password, or nothing at all.
        KeystoreError: a file cannot be used.
    """
    trusted = read_certificates(certificates)
    if keystore is not None:
        if password is None:
            raise click.UsageError("--keystore needs --storepass")
        trusted += _open_keystore(keystore, resolve_password(password)).anchors()
    if not trusted:
        raise click.UsageError("give --certificate or --keystore: what shall be trusted?")
    return trusted


def read_certificates(paths: tuple[Path, ...]) -> "tuple[x509.Certificate, ...]":
    """Every certificate of PEM files.

    Raises:
        KeystoreError: a file holds none, or one that cannot be read.
    """
    from cpi.certificates import load_pem_certificates
    from cpi.files import read_limited

    return tuple(
        certificate
        for path in paths
        for certificate in load_pem_certificates(read_limited(path), source=str(path))
    )


def _open_keystore(keystore: Path, password: str) -> "Keystore":
    from cpi.keys import load_keystore

    return load_keystore(keystore, password=password)


class Moment(click.ParamType[datetime]):
    """An ISO 8601 time; without a zone it is UTC."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Parse the text.

        Raises:
            click.BadParameter: it is no time.
        """
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no ISO 8601 time", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
