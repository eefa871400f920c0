"""A real identity provider, npm's oidc-provider, on this machine."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.npm import npm_modules

CODE = {"grant_types": ["authorization_code"], "response_types": ["code"]}
"""What a client of the authorisation code flow registers."""
AUDIENCE = "https://cordbox.example/api"
_SCRIPT = Path(__file__).with_name("identity_provider.mjs")


@dataclass(frozen=True)
class IdentityProvider:
    """Its URL, and the file of the authority that has signed its certificate."""

    issuer: str
    ca_file: Path


def provider_modules() -> Path:
    """The folder with oidc-provider; skips where it is not installed."""
    return npm_modules("oidc-provider")


@contextmanager
def identity_provider(
    folder: Path,
    *,
    clients: Sequence[Mapping[str, object]],
    groups: Mapping[str, Sequence[str]],
) -> Iterator[IdentityProvider]:
    """A provider that takes every password.

    Args:
        folder: for its key and certificates.
        clients: as they are registered.
        groups: of each user, by login name.
    """
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    given = {
        "modules": str(provider_modules()),
        "key": str(folder / "key.pem"),
        "certificate": str(folder / "certificate.pem"),
        "audience": AUDIENCE,
        "groups": groups,
        "clients": clients,
    }
    with subprocess.Popen(
        ["node", str(_SCRIPT), json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            issuer = json.loads(process.stdout.readline())["issuer"]
            yield IdentityProvider(issuer=issuer, ca_file=folder / "ca.pem")
        finally:
            process.stdin.close()
            process.wait(30)
