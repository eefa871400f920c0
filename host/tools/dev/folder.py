"""The folder of a development network: signing key, group policy, host data and log.

It is created at the first start and reused later, so that nodes, their data and their flows survive
a restart.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from cpi.package.group_policy import parse_group_policy
from cpi.package.group_policy_generation import generate_static_policy
from host.domain.errors import InvalidInputError
from host.domain.x500 import MemberX500Name
from host.tools.network.own_files import signing_key, write_once

_ENDPOINT = "https://localhost:1080"


class MembersChangedError(InvalidInputError):
    """The requested members are not those of the network in the folder."""

    code = "dev-members-changed"


class DevFolder:
    """Files of one development network.

    Attributes:
        data: the host's data directory.
        packages: the packages of the last build.
        cpi: the CPI that the host runs, for `cordbox flow replay`.
        log: the host's log file.
        password_file: holds the password of the host's user admin.
        key: signs packages.
        group_policy: of the network, JSON text.
        group_id: of the network.
        members: X.500 names of those that run the CorDapp.
        notary: X.500 name of the notary; None: the network has none.
    """

    def __init__(self, root: Path, members: Sequence[str], *, notary: str | None = None) -> None:
        """Open the folder, or create it for `members` and a member that is the notary, if any.

        Raises:
            MembersChangedError: the folder holds a network of other members.
            GroupPolicyError, InvalidX500NameError: the members are no members.
        """
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
        self.root = root
        self.data = root / "data"
        self.packages = root / "packages"
        self.cpi = root / "running.cpi"
        self.log = root / "host.log"
        write_once(root / ".gitignore", "*\n")
        self.password_file = root / "admin-password"
        write_once(self.password_file, secrets.token_urlsafe(18) + "\n")
        self.key = signing_key(root)
        self.notary = None if notary is None else str(MemberX500Name.parse(notary))
        everybody = (*members, *(() if notary is None else (notary,)))
        self.group_policy = self._policy(everybody)
        policy = parse_group_policy(self.group_policy)
        self.group_id = policy.group_id
        names = tuple(member.name for member in policy.static_members)
        self.members = tuple(name for name in names if name != self.notary)
        asked = {str(MemberX500Name.parse(name)) for name in everybody}
        if asked != set(names):
            raise MembersChangedError(
                f"{root} holds a network of {'; '.join(names)}, expected"
                f" {'; '.join(sorted(asked))}: give another --dir, or delete it"
            )

    @property
    def password(self) -> str:
        return self.password_file.read_text(encoding="utf-8").strip()

    @property
    def certificate(self) -> bytes:
        """The signer's certificate, PEM."""
        return self.key.certificate_chain[0].public_bytes(Encoding.PEM)

    def _policy(self, members: Sequence[str]) -> str:
        file = self.root / "GroupPolicy.json"
        if not file.exists():
            names = [str(MemberX500Name.parse(name)) for name in members]
            policy = generate_static_policy(
                names=names, group_id=None, endpoint_url=_ENDPOINT, endpoint_protocol=1
            )
            write_once(file, policy)
        return file.read_text(encoding="utf-8")
