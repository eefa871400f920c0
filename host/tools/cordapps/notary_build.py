"""Builds the signed CPB of a notary that Cordbox ships."""

from collections.abc import Callable, Mapping, Sequence

from cpi.crypto.keys import SigningKey
from cpi.jar.signing import Stamp
from cpi.package.build import build_cpb
from host.tools.cordapps.build import prepare_cordapp, sign_cordapp
from host.tools.cordapps.project import load_project
from host.tools.notary_server import server_project
from sandbox.runtime import Sandbox


def notary_cpb(
    name: str,
    contracts: Mapping[str, bytes],
    *,
    keys: Sequence[SigningKey],
    sandbox: Sandbox,
    progress: Callable[[str], None],
    signature_name: str | None = None,
    stamp: Stamp | None = None,
) -> bytes:
    """The CPB; the same release, contracts and keys give the same content.

    Args:
        name: of the notary, as `SERVERS` has it.
        contracts: signed contract CPKs by file name, for a notary that verifies contracts.
        keys: sign the notary's CPK and the CPB.
        sandbox: makes the image and runs `describe`.
        progress: is told each step in a sentence.
        signature_name: base name of the signature files, for one key only.
        stamp: timestamps each signature.

    Raises:
        NotaryServerUnknownError: no notary has this name.
        CpiError: names, versions or keys that no package can have.
    """
    prepared = prepare_cordapp(load_project(server_project(name)), sandbox, progress)
    signed = sign_cordapp(prepared, keys, signature_name=signature_name, stamp=stamp)
    own = {cpk.file_name: signed[cpk.file_name] for cpk in prepared.cpks}
    return build_cpb(
        name=prepared.name,
        version=prepared.version,
        cpks={**contracts, **own},
        keys=keys,
        signature_name=signature_name,
        stamp=stamp,
    )
