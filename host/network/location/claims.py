"""Claims of a node's place: told to its MGM, and answered by its list."""

from dataclasses import dataclass
from enum import StrEnum

from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.ids import ShortHash
from host.network.location.places import Location
from host.network.membership import relocation
from host.network.membership.errors import RegistrationInvalidError
from host.network.membership.member_registrations import MemberRegistrations
from host.network.membership.mgm_group import relocate_mgm
from host.network.membership.network_access import NetworkAccess, group_of_node
from host.network.membership.package import PackageRefusedError, check_member
from host.network.membership.relocation import Listed
from host.network.values.member import SignedMember
from host.ports.hosted import HostedIdentities, NetworkSetup


class ClaimInvalidError(InvalidInputError):
    """A virtual node's place cannot be claimed like this."""

    code = "location-claim-invalid"


class Answer(StrEnum):
    """What the MGM has said of a claim."""

    NONE = "none"
    GRANTED = "granted"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceClaims:
    """Thread-safe.

    Attributes:
        access: the host's parts of dynamic networks.
        registrations: requests of members.
        hosted: network setups.
    """

    access: NetworkAccess
    registrations: MemberRegistrations
    hosted: HostedIdentities

    def is_dynamic(self, short_hash: ShortHash) -> bool:
        """Whether the node's network has an MGM that decides."""
        return relocation.is_dynamic(self.access, short_hash)

    def has_judge(self, short_hash: ShortHash) -> bool:
        """Whether an MGM, of which the node is a member, decides which copy of it works."""
        return self.is_dynamic(short_hash) and not self.is_mgm(short_hash)

    def is_mgm(self, short_hash: ShortHash) -> bool:
        with self.access.database.read() as connection:
            return relocation.is_mgm(connection, short_hash)

    def listed(self, short_hash: ShortHash) -> Listed | None:
        """The place of a node in the list that it has here."""
        return relocation.listed(self.access, short_hash)

    def ask_for_list(self, short_hash: ShortHash) -> None:
        """Have a node that was granted its place ask for its list: the other copy had it sent."""
        relocation.ask_for_list(self.access, short_hash)

    def set_up(self, short_hash: ShortHash, tls_alias: str) -> None:
        """Give an arrived node the TLS certificate of this cluster; its session keys stay.

        Raises:
            ClaimInvalidError: it had no network setup.
            HostError: the certificate does not fit.
        """
        before = self.hosted.hosted(short_hash)
        if before is None:
            raise ClaimInvalidError(f"virtual node {short_hash} came without a network setup")
        wanted = NetworkSetup(tls_alias=tls_alias, session_keys=before.session_keys)
        self.hosted.setup(short_hash, wanted)

    def send(
        self,
        short_hash: ShortHash,
        *,
        epoch: int,
        location_id: str,
        urls: tuple[str, ...],
        token: str | None,
    ) -> None:
        """Ask the MGM for a place; an MGM grants it to itself, since it has no MGM above.

        Raises:
            ClaimInvalidError: the endpoints cannot be used, or the node never registered.
        """
        entries = relocation.place_entries(epoch, location_id, urls)
        node = self.access.node(short_hash)
        try:
            if self.is_mgm(short_hash):
                relocate_mgm(self.access, node, entries)
                return
            of_claim = relocation.of_claim(self.access, short_hash, token)
            self.registrations.relocate(node, entries, of_claim)
        except RegistrationInvalidError as exc:
            raise ClaimInvalidError(exc.reason) from exc

    def answer(self, short_hash: ShortHash, location: Location) -> tuple[Answer, str | None]:
        """What the MGM has said of the claim of a row, and why it was refused."""
        found = self.listed(short_hash)
        if found is not None and location.location_id is not None:
            if (found.epoch, found.location_id) == (location.epoch, location.location_id):
                return Answer.GRANTED, None
            if found.epoch >= location.epoch:
                return Answer.TAKEN, "another copy of the virtual node was granted the place"
        elif found is not None and found.epoch > location.epoch:
            return Answer.TAKEN, "the list of members shows a later place"
        if location.location_id is None:
            return Answer.NONE, None
        return Answer.NONE, relocation.claim_refused(self.access, short_hash, location.location_id)

    def proved(self, short_hash: ShortHash, proof: SignedMember) -> Listed:
        """The place in information of the node's member that its MGM has signed.

        Raises:
            ClaimInvalidError: it is not signed, or of another member.
        """
        node = self.access.node(short_hash)
        try:
            group = group_of_node(self.access, node)
            if group is None:
                raise ClaimInvalidError("the proof of the move does not count: there is no MGM")
            name = check_member(proof, group.signer, self.access.public_keys)
        except (PackageRefusedError, NotFoundError) as exc:
            raise ClaimInvalidError(f"the proof of the move does not count: {exc.message}") from exc
        if name != str(node.holding.x500_name):
            raise ClaimInvalidError(f"the proof of the move is of {name[:128]}")
        return relocation.listed_of(proof)
