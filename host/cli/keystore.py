"""`cordbox keystore`: make signing keys and export their certificates."""

from pathlib import Path

import click

from host.cli.lines import tell_done
from host.cli.package_options import PasswordOption, output_option, resolve_password
from host.cli.pretty import PrettyGroup

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("keystore", cls=PrettyGroup)
def command() -> None:
    """Make signing keys and export their certificates (PKCS#12)."""


@command.command("create")
@click.option("--file", "file", type=_FILE, required=True, help="Keystore to write; must be new.")
@click.option(
    "--storepass",
    "-p",
    "password",
    cls=PasswordOption,
    required=True,
    envvar="CORDBOX_STOREPASS",
    help="Password of file and key; env:NAME reads it from a variable.",
)
@click.option("--alias", default="signing key 1", show_default=True, help="Alias of the key.")
@click.option("--dname", required=True, help='Subject, "CN=Signer, O=Acme, L=London, C=GB".')
@click.option(
    "--key-algorithm",
    type=click.Choice(["EC", "RSA", "RSASSA-PSS", "Ed25519"], case_sensitive=False),
    default="EC",
    show_default=True,
)
@click.option("--key-size", type=int, help="Bits: EC 256 or 384, RSA and RSASSA-PSS 2048 to 4096.")
@click.option("--validity-days", type=int, default=3650, show_default=True)
@output_option
def create(
    *,
    file: Path,
    password: str,
    alias: str,
    dname: str,
    key_algorithm: str,
    key_size: int | None,
    validity_days: int,
    output: str,
) -> None:
    """Make a key with a self-signed code-signing certificate."""
    from cpi.crypto.keystore_creation import create_keystore
    from cpi.package.files import write_new

    data = create_keystore(
        password=resolve_password(password),
        alias=alias,
        distinguished_name=dname,
        key_algorithm=key_algorithm,
        key_size=key_size,
        validity_days=validity_days,
    )
    write_new(file, data, private=True)
    text = f"{file}: {key_algorithm} key {alias!r} for {dname}"
    tell_done(output, text, file=str(file), keyAlgorithm=key_algorithm, alias=alias, dname=dname)


@command.command("export-certificate")
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Keystore.",
)
@click.option(
    "--storepass",
    "-p",
    "password",
    cls=PasswordOption,
    required=True,
    envvar="CORDBOX_STOREPASS",
    help="Its password.",
)
@click.option("--alias", help="Alias of the key; may be left out when there is one key.")
@click.option("--output", "-o", "output", type=_FILE, help="PEM file to write; default stdout.")
def export_certificate(file: Path, password: str, alias: str | None, output: Path | None) -> None:
    """Write the key's certificate chain as PEM, leaf first."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from cpi.crypto.keys import load_signing_key
    from cpi.package.files import write_new

    key = load_signing_key(file, password=resolve_password(password), alias=alias)
    pem = b"".join(c.public_bytes(Encoding.PEM) for c in key.certificate_chain)
    if output is None:
        click.echo(pem.decode(), nl=False)
    else:
        write_new(output, pem)
