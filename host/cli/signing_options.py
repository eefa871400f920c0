"""The options of commands that sign: keys in files and hardware, signature names, timestamps."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from host.cli.package_options import (
    EXISTING_FILE,
    PasswordOption,
    certificate_option,
    output_option,
    read_certificates,
    resolve_password,
)
from host.cli.values import Text

if TYPE_CHECKING:
    from cpi.crypto.certificate import Certificate
    from cpi.crypto.keys import Keystore, SigningKey
    from cpi.errors import Issue
    from cpi.jar.signing import Stamp
    from cpi.package.model import PackageType, VerifiedPackage

_F = TypeVar("_F", bound=Callable[..., Any])
_HARDWARE = "pkcs11:"
_HARDWARE_PLUGIN = "pkcs11_hsm"


class _Password(Text):
    """A single text value, even if it comes from the environment and contains spaces."""

    name = "text"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return (rv,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Opened keys, the certificates trusted with them, and the timestamp authority."""

    keys: "tuple[SigningKey, ...]"
    trusted: "tuple[Certificate, ...]"
    signature_name: str | None
    stamp: "Stamp | None"

    def checked_keys(self) -> "list[Issue]":
        """Check that every key's certificate is valid and trusted now; gives warnings.

        Raises:
            TrustError: names the certificate and the reason.
        """
        from cpi.crypto.trust import validate_path
        from cpi.jar.signer_warnings import signing_warnings

        now = datetime.now(UTC)
        warnings: list[Issue] = []
        stamped = self.stamp is not None
        for key in self.keys:
            chain = key.certificate_chain
            validate_path(chain, self.trusted, at=now, whose="signing key's")
            warnings += signing_warnings(chain, has_timestamp=stamped, at=now)
        return warnings

    def warn(self, output: str) -> "list[Issue]":
        """As `checked_keys`; the warnings are shown at once, unless the output is JSON."""
        warnings = self.checked_keys()
        if output != "json":
            for issue in warnings:
                click.echo(f"warning[{issue.code}]: {issue.message}", err=True)
        return warnings

    def read_cpks(self, paths: "Sequence[Path]") -> dict[str, bytes]:
        """The CPKs that a CPB is to hold, by file name, each verified.

        Raises:
            click.UsageError: two have the same name.
            CpiError: a file cannot be read, or breaks a rule.
        """
        from cpi.package.files import read_limited
        from cpi.package.model import PackageType

        cpks: dict[str, bytes] = {}
        for path in paths:
            if path.name in cpks:
                raise click.UsageError(f"two CPKs have the file name {path.name}")
            cpks[path.name] = read_limited(path)
            self.check(cpks[path.name], PackageType.CPK, str(path))
        return cpks

    def check(self, data: bytes, package_type: "PackageType", what: str) -> "VerifiedPackage":
        """Verify a package before it is packed, or after it was made.

        Raises:
            PackageRefusedError: entries start with `what`.
        """
        from cpi.errors import PackageRefusedError
        from cpi.package.verify import verify_package

        try:
            return verify_package(data, package_type=package_type, trusted=self.trusted)
        except PackageRefusedError as error:
            raise PackageRefusedError([issue.below(what) for issue in error.issues]) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningOptions:
    """The values that `signing_options` collects from the command line; nothing is opened yet."""

    keystores: tuple[Path, ...]
    passwords: tuple[str, ...]
    keys: tuple[str, ...]
    certificate_files: tuple[Path, ...]
    certificates: tuple[Path, ...]
    signature_name: str | None
    tsa: str | None
    tsa_policy: str | None

    def open(self) -> Signing:
        """Open every key.

        The keys' own certificates are trusted, and so is every other certificate in the keystores.

        Raises:
            click.UsageError: the options do not fit together.
            CpiError: a file, password, alias or certificate cannot be used.
            HostError: a hardware key cannot be used.
        """
        aliases = [key for key in self.keys if not key.startswith(_HARDWARE)]
        uris = [key for key in self.keys if key.startswith(_HARDWARE)]
        pairs = self._pairs(aliases, uris)
        passwords = self._passwords(len(self.keystores) + len(uris))
        chains = read_certificates(self.certificate_files)
        opened = dict(
            zip(self.keystores, _keystores(self.keystores, passwords, chains), strict=True)
        )
        keys = [opened[path].key(alias, source=path) for path, alias in pairs]
        for uri, password in zip(uris, passwords[len(self.keystores) :], strict=True):
            keys.append(_hardware_key(uri, password, chains))
        anchors = (a for keystore in opened.values() for a in keystore.anchors())
        own = (key.anchor for key in keys)
        trusted = tuple(dict.fromkeys((*own, *anchors, *read_certificates(self.certificates))))
        return Signing(
            keys=tuple(keys),
            trusted=trusted,
            signature_name=self.signature_name,
            stamp=self._stamp(trusted),
        )

    def _pairs(self, aliases: Sequence[str], uris: Sequence[str]) -> list[tuple[Path, str | None]]:
        """Each key in a file: keystore and alias."""
        if not self.keystores:
            if aliases or not uris:
                raise click.UsageError("give --keystore FILE, or --key pkcs11:...")
            return []
        if len(self.keystores) == 1:
            return [(self.keystores[0], alias) for alias in aliases or (None,)]
        if aliases and len(aliases) != len(self.keystores):
            raise click.UsageError(
                f"{len(self.keystores)} keystores, but {len(aliases)} aliases: give --key once for "
                "each --keystore, in the same order, or not at all"
            )
        return [
            (path, aliases[place] if aliases else None) for place, path in enumerate(self.keystores)
        ]

    def _passwords(self, needed: int) -> list[str | None]:
        """One password for each keystore, then for each hardware key; a single one is for all."""
        given = [resolve_password(text) for text in self.passwords]
        if len(given) < 2:
            return [given[0] if given else None for _ in range(needed)]
        if len(given) != needed:
            raise click.UsageError(
                f"{needed} keystores and hardware keys, but {len(given)} passwords: give "
                "--storepass once for all, or once for each"
            )
        return [*given]

    def _stamp(self, trusted: "tuple[Certificate, ...]") -> "Stamp | None":
        if self.tsa is None:
            if self.tsa_policy is not None:
                raise click.UsageError("--tsa-policy needs --tsa")
            return None
        from cpi.jar.timestamp_requests import timestamper
        from host.cli.timestamp_client import http_fetcher

        return timestamper(http_fetcher(self.tsa), trusted=trusted, policy=self.tsa_policy)


def signing_options(function: _F) -> _F:
    """Corda's signing options and ours; the command gets them as `signing: SigningOptions`."""

    @functools.wraps(function)
    def collected(**values: Any) -> Any:
        taken = {field.name: values.pop(field.name) for field in fields(SigningOptions)}
        return function(signing=SigningOptions(**taken), **values)

    command: Any = collected
    for option in _options():
        command = option(command)
    return command  # type: ignore[no-any-return]


def _options() -> Iterator[Callable[[Any], Any]]:
    yield click.option("--sig-file", "signature_name", help="Base name of the signature files.")
    yield click.option("--tsa-policy", help="Policy OID that the timestamp must be under.")
    yield click.option(
        "--tsa", "-t", help="URL of a timestamp authority (RFC 3161); trust it by --certificate."
    )
    yield click.option(
        "--certificate-file",
        "certificate_files",
        type=EXISTING_FILE,
        multiple=True,
        help="PEM file with the signing key's certificate and issuers, where its keystore or "
        "token has none; repeatable.",
    )
    yield click.option(
        "--key",
        "-k",
        "keys",
        multiple=True,
        help="Alias of the key, optional if there is one; or pkcs11:token=...;object=... for a "
        "key in hardware. Repeat it for several signers.",
    )
    yield click.option(
        "--storepass",
        "--password",
        "-p",
        "passwords",
        cls=PasswordOption,
        type=_Password(),
        multiple=True,
        envvar="CORDBOX_STOREPASS",
        show_envvar=True,
        help="Keystore password or token PIN: one for all, or one for each keystore and then each "
        "hardware key. env:NAME reads it from a variable.",
    )
    yield click.option(
        "--keystore",
        "-s",
        "keystores",
        type=EXISTING_FILE,
        multiple=True,
        help="PKCS#12 or PEM file with the key; repeatable.",
    )
    yield certificate_option
    yield output_option


def _keystores(
    paths: Sequence[Path],
    passwords: Sequence[str | None],
    certificates: "tuple[Certificate, ...]",
) -> "Iterator[Keystore]":
    from cpi.crypto.keys import load_keystore

    for path, password in zip(paths, passwords, strict=False):
        yield load_keystore(path, password=password, certificates=certificates)


def _hardware_key(
    uri: str, password: str | None, certificates: "tuple[Certificate, ...]"
) -> "SigningKey":
    from host.runtime.plugin_loading import make_plugin_manager

    plugins = make_plugin_manager((_HARDWARE_PLUGIN,))
    key: SigningKey = plugins.hook.register_signing_key(
        uri=uri, password=password, certificates=certificates
    )
    return key
