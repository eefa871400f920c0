"""The documented steps by which a virtual node becomes the MGM or a member of a dynamic network.

Each step looks first whether it was done before, so that an interrupted run can be repeated.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from host.domain.errors import NotFoundError
from host.domain.json import JsonObject, JsonValue
from host.domain.x500 import MemberX500Name
from host.tools.client.answers import parsed, shaped
from host.tools.client.host_client import HostClient
from host.tools.network.answer_shapes import Config, Node, Rule, Uploaded
from host.tools.network.authority import Issue
from host.tools.network.operations import (
    APPROVED,
    allow_client,
    cpis,
    create_node,
    group_policy,
    nodes,
    register,
    registrations,
    until_approved,
)

TLS_ALIAS = "p2p-tls-cert"
_TLS_KEY_ALIAS = "p2p-TLS"
_SESSION_ALIAS = "session-certificate"
_ALIASES = {"p2p-tls": TLS_ALIAS, "p2p-session": _SESSION_ALIAS}
_CLUSTER = "p2p"
"""Tenant of the keys of gateways."""
_EC = "CORDA.ECDSA.SECP256R1"
_SIGNATURE_SPEC = "SHA256withECDSA"
_GATEWAY, _LINK_MANAGER = "corda.p2p.gateway", "corda.p2p.linkManager"
_REVOCATION = "revocationCheck"
NOTARY_ROLE = "notary"
_CONFIGURATIONS: tuple[Literal["sourceConfig", "configWithDefaults"], ...] = (
    "sourceConfig",
    "configWithDefaults",
)
_NO_PKI = "NoPKI"
_EVERY = ".*"
"""A rule that each registration meets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTerms:
    """What an MGM demands of its network.

    Attributes:
        tls_roots: PEM certificates that certificates of gateways lead to.
        session_roots: the same for certificates of sessions; empty: sessions have none.
        is_mutual: gateways show certificates to each other.
    """

    tls_roots: Sequence[str]
    session_roots: Sequence[str] = ()
    is_mutual: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Onboarding:
    """Makes virtual nodes of one cluster members of dynamic networks.

    Attributes:
        client: of a host of the cluster.
        gateways: URLs at which the cluster's gateways are reached.
        issue: the certificate authority.
        subject: of the cluster's TLS certificate.
        tell: is called with a line for each step that is done.
    """

    client: HostClient
    gateways: Sequence[str]
    issue: Issue
    subject: str
    tell: Callable[[str], None] = field(default=lambda _line: None)

    def prepare_cluster(self, *, is_mutual: bool) -> None:
        """Give the cluster its TLS certificate, and switch off what a development network lacks.

        Certificates of a development authority name no place of revocation lists, so their
        revocation is not checked.
        """
        wanted: dict[str, JsonValue] = {f"sslConfig.{_REVOCATION}.mode": "OFF"}
        if is_mutual:
            wanted["sslConfig.tlsType"] = "MUTUAL"
        self._configure(_GATEWAY, wanted)
        self._configure(_LINK_MANAGER, {f"{_REVOCATION}.mode": "OFF"})
        if TLS_ALIAS in self._texts("/certificate/cluster/p2p-tls"):
            return
        key = self.key(_CLUSTER, "TLS", _TLS_KEY_ALIAS)
        hosts = sorted({urlsplit(url).hostname or "" for url in self.gateways})
        self._certify("p2p-tls", _CLUSTER, key, subject=self.subject, hosts=hosts)
        self.tell(f"TLS certificate {TLS_ALIAS} for {', '.join(hosts)}")

    def node(self, checksum: str, name: str) -> str:
        """The short hash of the virtual node of a CPI and a name; makes it if it is missing."""
        name = str(MemberX500Name.parse(name))
        cpi = [each["id"] for each in cpis(self.client) if each["cpiFileChecksum"] == checksum]
        for found in nodes(self.client):
            holding = found["holdingIdentity"]
            if holding["x500Name"] == name and found["cpiIdentifier"] in cpi:
                return holding["shortHash"]
        made = create_node(self.client, checksum, name)
        self.tell(f"virtual node {made} for {name}")
        return made

    def mgm(self, node: str, terms: NetworkTerms) -> None:
        """Register a virtual node as the MGM of a new network, and let it meet its members."""
        session = self.key(node, "SESSION_INIT", f"{node}-session")
        ecdh = self.key(node, "PRE_AUTH", f"{node}-auth")
        if self.approved(node) is None:
            context = {
                "corda.session.keys.0.id": session,
                "corda.ecdh.key.id": ecdh,
                **_GROUP,
                "corda.group.tls.type": "Mutual" if terms.is_mutual else "OneWay",
                "corda.group.pki.session": "Standard" if terms.session_roots else _NO_PKI,
                **self._endpoints(),
                **_numbered("corda.group.trustroot.tls", terms.tls_roots),
                **_numbered("corda.group.trustroot.session", terms.session_roots),
            }
            request = register(self.client, node, context)
            until_approved(self.client, node, request)
            self.tell(f"virtual node {node} is the MGM of a network")
        self.set_up(node, session, has_certificate=bool(terms.session_roots))

    def allow_client(self, mgm: str, subject: str) -> None:
        """Let hosts with a client certificate of `subject` register at an MGM with mutual TLS."""
        allow_client(self.client, mgm, subject)

    def demand_approval(self, mgm: str) -> None:
        """Have an operator of an MGM approve each registration."""
        path = f"/mgm/{mgm}/approval/rules"
        rules = shaped(self.client.get(path), list[Rule], path)
        if not any(rule["ruleRegex"] == _EVERY for rule in rules):
            rule = {"ruleRegex": _EVERY, "ruleLabel": "each registration"}
            self.client.post(path, {"ruleParams": rule})

    def member(
        self, node: str, *, roles: Sequence[str], extra: Mapping[str, str], has_certificate: bool
    ) -> str | None:
        """Ask for a virtual node's membership; returns the request's id, None for a member.

        Args:
            node: short hash.
            roles: of the member.
            extra: further entries of its registration.
            has_certificate: sessions of the network need certificates.
        """
        category, keys = ("NOTARY", "notary") if NOTARY_ROLE in roles else ("LEDGER", "ledger")
        session = self.key(node, "SESSION_INIT", f"{node}-session")
        ledger = self.key(node, category, f"{node}-{keys}")
        self.set_up(node, session, has_certificate=has_certificate)
        if self.approved(node) is not None:
            return None
        context = {
            "corda.session.keys.0.id": session,
            "corda.session.keys.0.signature.spec": _SIGNATURE_SPEC,
            f"corda.{keys}.keys.0.id": ledger,
            f"corda.{keys}.keys.0.signature.spec": _SIGNATURE_SPEC,
            **self._endpoints(),
            **_numbered("corda.roles", roles),
            **extra,
        }
        return register(self.client, node, context)

    def key(self, tenant: str, category: str, alias: str) -> str:
        """The id of a tenant's key with an alias, which is made if it is missing."""
        place = f"/key/{tenant}"
        for key_id in shaped(self.client.get(place, alias=alias), dict[str, object], place):
            return key_id
        if tenant != _CLUSTER:
            self.client.post(f"/hsm/soft/{tenant}/{category}")
        path = f"/key/{tenant}/alias/{quote(alias, safe='')}/category/{category}/scheme/{_EC}"
        return shaped(self.client.post(path), Uploaded, path)["id"]

    def set_up(self, node: str, session: str, *, has_certificate: bool) -> None:
        """Let a virtual node meet members of other clusters."""
        key: dict[str, JsonValue] = {"sessionKeyId": session, "preferred": True}
        if has_certificate:
            key["sessionCertificateChainAlias"] = _SESSION_ALIAS
            place = f"/certificate/vnode/{node}/p2p-session"
            if _SESSION_ALIAS not in self._texts(place):
                self._certify("p2p-session", node, session, subject=self.name(node))
        body: JsonObject = {
            "p2pTlsCertificateChainAlias": TLS_ALIAS,
            "useClusterLevelTlsCertificateAndKey": True,
            "sessionKeysAndCertificates": [key],
        }
        self.client.put(f"/network/setup/{node}", body)

    def name(self, node: str) -> str:
        """The X.500 name of a virtual node."""
        path = f"/virtualnode/{node}"
        return shaped(self.client.get(path), Node, path)["holdingIdentity"]["x500Name"]

    def approved(self, node: str) -> str | None:
        """The id of an approved registration of a virtual node, if there is one."""
        for each in registrations(self.client, node):
            if each["registrationStatus"] == APPROVED:
                return each["registrationId"]
        return None

    def group_policy(self, mgm: str) -> str:
        """The group policy that CPIs of members need."""
        return group_policy(self.client, mgm).decode(errors="replace")

    def _texts(self, path: str) -> list[str]:
        return shaped(self.client.get(path), list[str], path)

    def _endpoints(self) -> Mapping[str, str]:
        urls = _numbered("corda.endpoints", self.gateways, ".connectionURL")
        versions = _numbered("corda.endpoints", ["1"] * len(self.gateways), ".protocolVersion")
        return {**urls, **versions}

    def _certify(
        self, usage: str, tenant: str, key: str, *, subject: str, hosts: Iterable[str] = ()
    ) -> None:
        body = {"x500Name": subject, "subjectAlternativeNames": list(hosts)}
        answer = self.client.send("POST", f"/certificate/{tenant}/{key}", body)
        csr = answer.decode(errors="replace")
        files = {"certificate": ("certificate.pem", self.issue(csr).encode())}
        place = "cluster" if tenant == _CLUSTER else f"vnode/{tenant}"
        self.client.upload(
            "PUT", f"/certificate/{place}/{usage}", files, {"alias": _ALIASES[usage]}
        )

    def _configure(self, section: str, wanted: JsonObject) -> None:
        """Set the keys of a section that it has and that differ; others stay as they are."""
        path = f"/config/{section}"
        answer = shaped(self.client.get(path), Config, path)
        source, in_force = (
            shaped(parsed(answer[key].encode(), path), dict[str, Any], path)
            for key in _CONFIGURATIONS
        )
        changed = {
            path: value
            for path, value in wanted.items()
            if (found := _at(in_force, path)) is not None and found != value
        }
        if not changed:
            return
        version = answer["schemaVersion"]
        for path, value in changed.items():
            _put(source, path, value)
        self.client.put(
            "/config",
            {
                "section": section,
                "version": answer["version"],
                "config": source,
                "schemaVersion": {"major": version["major"], "minor": version["minor"]},
            },
        )
        self.tell(f"{section}: {', '.join(f'{path} = {v}' for path, v in changed.items())}")


def needs_session_certificates(client: HostClient, checksum: str) -> bool:
    """Whether the group policy of a CPI demands certificates of sessions."""
    for each in cpis(client):
        if each["cpiFileChecksum"] == checksum:
            policy = parsed((each.get("groupPolicy") or "{}").encode(), "/cpi")
            return _at(policy, "p2pParameters.sessionPki") not in (None, _NO_PKI)
    raise NotFoundError(f"the host has no CPI {checksum}", kind="CPI", named=checksum)


_GROUP = {
    "corda.group.protocol.registration": "net.corda.membership.impl.registration.dynamic.member"
    ".DynamicMemberRegistrationService",
    "corda.group.protocol.synchronisation": "net.corda.membership.impl.synchronisation"
    ".MemberSynchronisationServiceImpl",
    "corda.group.protocol.p2p.mode": "Authenticated_Encryption",
    "corda.group.key.session.policy": "Distinct",
    "corda.group.pki.tls": "Standard",
    "corda.group.tls.version": "1.3",
}


def _numbered(prefix: str, values: Sequence[str], suffix: str = "") -> Mapping[str, str]:
    return {f"{prefix}.{index}{suffix}": value for index, value in enumerate(values)}


def _at(values: object, path: str) -> object | None:
    for part in path.split("."):
        if not isinstance(values, dict) or part not in values:
            return None
        values = values[part]
    return values


def _put(values: dict[str, JsonValue], path: str, value: JsonValue) -> None:
    *outer, last = path.split(".")
    for part in outer:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise NotFoundError(f"{path} is no key of the section", kind="key", named=path)
        values = inner
    values[last] = value
