"""An MGM's signed lists, for tests: members with real keys, and any lie that the MGM may tell."""

import hashlib
from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from host.domain.group_parameters import group_parameters_json, signed_bytes
from host.domain.ids import EpochMs
from host.domain.json import canonical_json
from host.domain.membership import GroupParameters
from host.keys import SchemePublicKeys
from host.network.membership.package import Signer
from host.network.values.contexts import encode_context
from host.network.values.head import Head, SignedHead, encode_head, head_text, root_of
from host.network.values.member import SignedMember, member_text, mgm_text
from host.network.values.messages import Entry, Package, SignedParameters

GROUP_ID = "83d48afa-ebb3-4ae3-91c7-3615e6f86f5f"
REALM = "ab" * 32
SPEC = "SHA256withECDSA"
PUBLIC_KEYS = SchemePublicKeys()


class Key:
    """A P-256 key pair."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.pem = (
            self._private.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data, ec.ECDSA(hashes.SHA256()))


class ListOfMgm:
    """A list that grows; everything that was signed is kept."""

    def __init__(self, key: Key | None = None, group_id: str = GROUP_ID) -> None:
        self.key = key or Key()
        self.group_id = group_id
        self.signer = Signer(realm=REALM, group_id=group_id, mgm_key=self.key.pem, spec=SPEC)
        self.heads = list[SignedHead]()
        self.entries = list[Entry]()
        self.members = dict[bytes, SignedMember]()
        self.current = dict[str, bytes]()
        self.parameters = self._parameters()

    def member(
        self, name: str, *, serial: int = 1, status: str = "ACTIVE", key: Key | None = None
    ) -> SignedMember:
        """Information with both signatures."""
        key = key or Key()
        member = encode_context(
            {
                "corda.name": name,
                "corda.groupId": self.group_id,
                "corda.platformVersion": "50200",
                "corda.session.keys.0.pem": key.pem,
                "corda.session.keys.0.signature.spec": SPEC,
            }
        )
        mgm = encode_context({"corda.status": status, "corda.serial": str(serial)})
        return SignedMember(
            member_context=member,
            member_signature=key.sign(member_text(REALM, member)),
            mgm_context=mgm,
            mgm_signature=self.key.sign(mgm_text(REALM, member, mgm)),
        )

    def add(self, members: Mapping[str, SignedMember]) -> SignedHead:
        """The next version."""
        version = len(self.heads) + 1
        for name, found in members.items():
            self.members[found.digest] = found
            self.current[name] = found.digest
            self.entries.append(Entry(version=version, name=name, digest=found.digest))
        head = self.head(version)
        self.heads.append(head)
        return head

    def head(self, version: int, **changes: object) -> SignedHead:
        """A head of the members that there are."""
        values: dict[str, object] = {
            "groupId": self.group_id,
            "version": version,
            "previous": self.heads[version - 2].hash.hex() if version > 1 else "",
            "root": root_of(self.current).hex(),
            "members": len(self.current),
            "parameters": _hash(self.parameters.content),
            "at": EpochMs(version),
            **changes,
        }
        content = encode_head(msgspec.convert(values, Head, strict=False))
        return SignedHead(content=content, signature=self.key.sign(head_text(REALM, content)))

    def package(self, after: int) -> Package:
        """What leads from a version to the newest."""
        entries = [e for e in self.entries if e.version > after]
        if after == 0:
            entries = list({e.name: e for e in entries}.values())
        return Package(
            from_version=after,
            heads=tuple(self.heads[after:] if after else self.heads[-1:]),
            entries=tuple(entries),
            members=tuple(self.members[e.digest] for e in entries),
            parameters=(self.parameters,),
        )

    def _parameters(self) -> SignedParameters:
        content = canonical_json(
            group_parameters_json(
                GroupParameters(
                    group_id=self.group_id,
                    epoch=1,
                    modified_at=EpochMs(1),
                    minimum_platform_version=50000,
                    notaries=(),
                )
            )
        )
        return SignedParameters(
            content=content, signature=self.key.sign(signed_bytes(content)), at=1
        )


def _hash(content: bytes) -> str:
    return f"SHA-256:{hashlib.sha256(content).hexdigest().upper()}"
