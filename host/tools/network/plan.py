"""What `cordbox network up` is to bring up, and the folder in which it lives."""

import json
import secrets
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from host.domain.errors import InvalidInputError
from host.domain.x500 import MemberX500Name
from host.tools.network.own_files import write_once

MGM, NOTARY = "O=MGM, L=London, C=GB", "O=Notary, L=London, C=GB"
NOTARY_SERVICE = "O=Notary Service, L=London, C=GB"
_FIRST_NAMES = ("Alice", "Bob", "Charlie", "Dora", "Erin", "Frank")


class NetworkChangedError(InvalidInputError):
    """The folder holds a network with other hosts or other terms than those asked for."""

    code = "network-up-changed"


class NetworkUnknownError(InvalidInputError):
    """The folder holds no network, or a file that is none of its."""

    code = "network-up-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlace:
    """One host: ports on loopback, where its REST interface and its gateway listen."""

    rest: int
    gateway: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.rest}"

    @property
    def gateway_url(self) -> str:
        return f"https://127.0.0.1:{self.gateway}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """A network's hosts and terms; they stay as the first start made them.

    Attributes:
        hosts: the MGM is on the first, members are spread over all.
        is_mutual: gateways show certificates to each other.
        has_session_certificates: sessions of members need certificates.
        needs_approval: an operator approves each registration.
    """

    hosts: tuple[HostPlace, ...]
    is_mutual: bool
    has_session_certificates: bool
    needs_approval: bool


class NetworkFolder:
    """Files of a network on one machine.

    Attributes:
        root: the folder.
        authority: of its certificate authority.
        packages: of CPBs that were built.
        password_file: the password of `admin` on each host.
    """

    def __init__(self, root: Path) -> None:
        self.root = root = root.absolute()
        self.authority = root / "authority"
        self.packages = root / "packages"
        self.password_file = root / "admin-password"
        self._file = root / "network.json"

    def open(self) -> NetworkPlan:
        """The plan of the network that the folder holds.

        Raises:
            NetworkUnknownError: it holds none.
        """
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=NetworkPlan)
        except FileNotFoundError:
            raise NetworkUnknownError(
                f"{self.root} holds no network: `cordbox network up` makes one"
            ) from None
        except msgspec.MsgspecError as error:
            raise NetworkUnknownError(f"{self._file} is no file of a network: {error}") from error

    def make(self, wanted: NetworkPlan) -> NetworkPlan:
        """The plan that the folder holds, which is `wanted` if it holds none.

        Raises:
            NetworkChangedError: it holds another.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        write_once(self.root / ".gitignore", "*\n")
        write_once(self.password_file, secrets.token_urlsafe(18) + "\n")
        write_once(self._file, json.dumps(asdict(wanted), indent=2) + "\n")
        held = self.open()
        if (len(held.hosts), _terms(held)) != (len(wanted.hosts), _terms(wanted)):
            raise NetworkChangedError(
                f"{self.root} holds a network of {len(held.hosts)} hosts with other terms than"
                " asked for: give another --dir, or delete it"
            )
        return held

    def data(self, number: int) -> Path:
        """The data directory of a host, by its number from 1."""
        return self.root / f"host-{number}"

    def log(self, number: int) -> Path:
        return self.root / f"host-{number}.log"

    def certificate(self, number: int) -> Path:
        """What clients of a host trust."""
        return self.data(number) / "tls" / "certificate.pem"

    @property
    def password(self) -> str:
        return self.password_file.read_text(encoding="utf-8").strip()


def free_places(count: int) -> tuple[HostPlace, ...]:
    """Hosts on ports of loopback that nobody listens on."""
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2 * count)]
    try:
        ports = [each.getsockname()[1] for each in with_ports]
    finally:
        for each in with_ports:
            each.close()
    pairs = zip(ports[::2], ports[1::2], strict=True)
    return tuple(HostPlace(rest=rest, gateway=gateway) for rest, gateway in pairs)


def member_names(given: Sequence[str], count: int) -> tuple[str, ...]:
    """The X.500 names of members: those given, then generated ones up to `count`."""
    names = [str(MemberX500Name.parse(name)) for name in given]
    number = 0
    while len(names) < count:
        known = _FIRST_NAMES[number] if number < len(_FIRST_NAMES) else f"Member {number + 1}"
        name = f"O={known}, L=London, C=GB"
        number += 1
        if name not in names:
            names.append(name)
    return tuple(names)


def _terms(plan: NetworkPlan) -> tuple[bool, bool, bool]:
    return plan.is_mutual, plan.has_session_certificates, plan.needs_approval
