"""A version of a member's information, signed by the member and by the MGM. Pure."""

from functools import cached_property

from msgspec import Struct

from host.domain.membership import MemberInfo, MemberStatus
from host.domain.x500 import MemberX500Name
from host.network.values import contexts
from host.network.values.contexts import Context, read_context
from host.network.values.errors import ContextInvalidError
from host.network.values.signed import Purpose, hash_of_parts, signed_text


class SignedMember(Struct, frozen=True, kw_only=True, array_like=True, dict=True):
    """Two contexts and their signatures.

    Attributes:
        member_context: what the member says of itself.
        member_signature: of `member_text`, by the first session key that the context names.
        mgm_context: status, serial and times, as the MGM decided them.
        mgm_signature: of `mgm_text`, by the MGM's session key.
    """

    member_context: bytes
    member_signature: bytes
    mgm_context: bytes
    mgm_signature: bytes

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over the four parts with their lengths."""
        return hash_of_parts(
            self.member_context, self.member_signature, self.mgm_context, self.mgm_signature
        )

    @cached_property
    def member(self) -> Context:
        """The member's context.

        Raises:
            ContextInvalidError: it is malformed.
        """
        return read_context(self.member_context)

    @cached_property
    def mgm(self) -> Context:
        """The MGM's context.

        Raises:
            ContextInvalidError: it is malformed.
        """
        return read_context(self.mgm_context)

    @property
    def name(self) -> str:
        """The member's name, in its canonical form.

        Raises:
            ContextInvalidError: there is none.
            InvalidX500NameError: it is none.
        """
        return str(MemberX500Name.parse(_entry(self.member, contexts.NAME)))

    @property
    def status(self) -> MemberStatus:
        """The status that the MGM gave it.

        Raises:
            ContextInvalidError: there is none.
        """
        try:
            return MemberStatus(_entry(self.mgm, contexts.STATUS))
        except ValueError as exc:
            raise ContextInvalidError(f"{contexts.STATUS} is none: {exc}") from exc

    @property
    def serial(self) -> int:
        """The number of the version, counted by the MGM.

        Raises:
            ContextInvalidError: there is none.
        """
        found = contexts.serial_of(self.mgm)
        if found is None:
            raise ContextInvalidError(f"{contexts.SERIAL} is missing, or no number")
        return found

    @property
    def is_mgm(self) -> bool:
        return self.mgm.get(contexts.IS_MGM) == "true"

    def info(self) -> MemberInfo:
        """The member as its group sees it.

        Raises:
            ContextInvalidError: an entry is missing or malformed.
            InvalidX500NameError: its name is none.
        """
        version = _entry(self.member, contexts.PLATFORM_VERSION)
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            raise ContextInvalidError(f"{contexts.PLATFORM_VERSION} is no number")
        return MemberInfo(
            name=MemberX500Name.parse(self.name),
            group_id=_entry(self.member, contexts.GROUP_ID),
            status=self.status,
            ledger_keys=tuple(
                key.public_key for key in contexts.keys_of(self.member, contexts.LEDGER_KEYS)
            ),
            platform_version=int(version),
            serial=self.serial,
            member_context=tuple(sorted(self.member.items())),
            mgm_context=tuple(sorted(self.mgm.items())),
        )


def member_text(realm: str, member_context: bytes) -> bytes:
    """What a member signs of its context."""
    return signed_text(Purpose.MEMBER_CONTEXT, realm, member_context)


def mgm_text(realm: str, member_context: bytes, mgm_context: bytes) -> bytes:
    """What the MGM signs: the SHA-256 of both contexts."""
    return signed_text(Purpose.MGM_CONTEXT, realm, hash_of_parts(member_context, mgm_context))


def _entry(context: Context, key: str) -> str:
    found = context.get(key)
    if not found:
        raise ContextInvalidError(f"a context has no {key}")
    return found
