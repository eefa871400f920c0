"""The first host with its network, hosts of their own, and moves between them."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host.tools.client.host_client import HostClient
from host.tools.network.authority import DevelopmentAuthority
from host.tools.network.onboarding import TLS_ALIAS, Onboarding
from host.tools.network.operations import trust, trust_files
from host.tools.network.own_files import signing_key
from host.tools.network.plan import MGM, NOTARY, NetworkFolder
from host.tools.network.up import ALIAS
from sample_cordapps.demo.console import DemoConsole
from sample_cordapps.demo.processes import CommandFailedError, CommandLine, HostProcess
from sample_cordapps.demo.rest import RestClient

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A host: its REST interface, the certificate to trust, its gateway."""

    url: str
    certificate: str
    gateway: str


@dataclass
class Network:
    """Members, each on the host where it is now.

    Attributes:
        nodes: short hashes by name.
        places: host of each member.
    """

    console: DemoConsole
    folder: Path
    signer: Path
    nodes: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    _clients: dict[str, RestClient] = field(default_factory=dict)
    _hosts: list[HostProcess] = field(default_factory=list)
    _is_up: bool = False

    def __post_init__(self) -> None:
        self._shell = CommandLine(self.console, Path.cwd())
        self._files = NetworkFolder(self.folder)

    def up(self, count: int, cpb: Path) -> list[str]:
        """Bring up a network on one host; returns the names of its members."""
        self._is_up = True
        text = self._shell.cordbox(
            *("network", "up", "--hosts", "1", "--members", str(count), "--notary"),
            *("--cpb", str(cpb), "--code-signer", str(self.signer)),
            *("--dir", str(self.folder), "--output", "json"),
            quiet=True,
        )
        facts = json.loads(text)
        (host,) = facts["hosts"]
        first = Place(
            url=host["url"], certificate=host["certificate"], gateway=str(host["gateway"])
        )
        for node in facts["virtualNodes"]:
            name = str(node["x500Name"])
            self.nodes[name], self.places[name] = node["holdingIdentityShortHash"], first
        return [name for name in self.nodes if name not in {MGM, NOTARY}]

    def at(self, name: str) -> tuple[RestClient, str]:
        """A client of the host where a member is, and the member's short hash."""
        return self._client(self.places[name]), self.nodes[name]

    def new_host(self, number: int) -> Place:
        """Start a host of its own, as its operator does: with a TLS certificate of its own."""
        data = self.folder / f"own-{number}"
        words = ["host", "run", "--data-dir", str(data), "--listen", "127.0.0.1:0"]
        words += ["--gateway-listen", "127.0.0.1:0", "--workers", "combined"]
        words += ["--admin-password-file", str(self._files.password_file), "--output", "json"]
        host = HostProcess(
            self.console, Path.cwd(), words=words, log=self.folder / f"own-{number}.log"
        )
        self._hosts.append(host)
        ready = host.start()
        host.show(ready)
        gateway = f"https://{ready['gatewayListen']}"
        place = Place(url=ready["url"], certificate=ready["certificate"], gateway=gateway)
        with HostClient(
            place.url,
            user="admin",
            password=self._files.password,
            ca_file=Path(place.certificate),
        ) as client:
            Onboarding(
                client=client,
                gateways=(gateway,),
                issue=DevelopmentAuthority(self._files.authority).issue,
                subject=f"CN=Gateway, O=Own host {number}, L=London, C=GB",
            ).prepare_cluster(is_mutual=False)
            trust(client, signing_key(self._files.root), alias=ALIAS)
            trust_files(client, [self.signer])
        return place

    def move(self, name: str, to: Place) -> None:
        """Move a member or the MGM, as docs/how-to/move-a-node.md says."""
        granted = () if name == MGM else ("--token", self._token(name))
        source = self.places[name]
        password = str(self._files.password_file)
        file = self.folder / f"{self.nodes[name]}.cbxnode"
        self._until_available(
            *("vnode", "move", name, "--to", to.url, "--to-ca-file", to.certificate),
            *("--to-password-file", password, "--file", str(file)),
            *("--endpoint", to.gateway, "--tls-alias", TLS_ALIAS, *granted),
            *("--url", source.url, "--ca-file", source.certificate, "--password-file", password),
        )
        self.places[name] = to

    def _until_available(self, *words: str) -> None:
        """Run a command again while a host is too busy to answer, as an operator would."""
        for _ in range(_TRIES - 1):
            try:
                self._shell.cordbox(*words)
            except CommandFailedError as failed:
                if failed.exit_code != os.EX_TEMPFAIL:
                    raise
            else:
                return
        self._shell.cordbox(*words)

    def _token(self, name: str) -> str:
        """What lets the MGM grant a member's move by itself."""
        mgm, node = self.at(MGM)
        return str(mgm.post(f"/mgm/{node}/preauthtoken", {"ownerX500Name": name})["id"])

    def look(self, name: str, path: str) -> Any:
        """What a path below a member answers, `{}` standing for its short hash."""
        client, node = self.at(name)
        return client.get(path.format(node), show=False)

    def processes(self) -> list[int]:
        """Of the hosts of their own."""
        return [host.pid for host in self._hosts]

    def down(self) -> None:
        """Stop all hosts."""
        for client in self._clients.values():
            client.close()
        for host in self._hosts:
            host.stop()
        if self._is_up:
            self._shell.cordbox("network", "down", "--dir", str(self.folder))

    def _client(self, place: Place) -> RestClient:
        if place.url not in self._clients:
            self._clients[place.url] = RestClient(
                self.console,
                url=place.url,
                certificate=Path(place.certificate),
                password_file=self._files.password_file,
            )
        return self._clients[place.url]
