"""The MGM's checks of a registration, with Corda's reasons. Pure.

Source: corda-runtime-os `StartRegistrationHandler.kt`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from host.domain.ids import EpochMs
from host.domain.x500 import InvalidX500NameError, MemberX500Name
from host.network.membership.diff import forbidden_changes
from host.network.values import contexts
from host.network.values.contexts import Context
from host.ports.mgm import PreAuthToken, TokenStatus

_URL_CHARACTERS_MAX = 2048
_NOTARY = "notary"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFacts:
    """What a group has now.

    Attributes:
        group_id: of the group.
        mgm: the MGM's name.
        newest: the member's context as it is listed; None before its first registration.
        newest_serial: of the listed information.
        members: names of members.
        services: names of notary services, and the keys of their notaries as PEM.
        token: what the request names, if there is such a token.
        keys_of_others: session keys of the request that other members have, by their hashes.
        subjects: allowed subjects of TLS certificates; None in a group with one-way TLS.
        now: the MGM's time.
    """

    group_id: str
    mgm: str
    newest: Context | None
    newest_serial: int
    members: frozenset[str]
    services: Mapping[str, str]
    token: PreAuthToken | None
    keys_of_others: frozenset[str] = frozenset()
    subjects: frozenset[str] | None
    now: EpochMs


def registration_fault(member: Context, registration: Context, facts: GroupFacts) -> str | None:
    """Why a registration is declined; None if the checks hold."""
    checks = (
        _name_fault(member, facts),
        # Before the serial: of two copies that claim a place, the slower one is told why it lost.
        _location_fault(member, facts),
        _serial_fault(registration, facts),
        _token_fault(member, registration, facts),
        _group_fault(member, facts),
        difference_fault(facts.newest, member),
        endpoints_fault(member),
        keys_fault(member),
        _foreign_fault(facts),
        notary_fault(member, facts.members, facts.services),
        _subject_fault(member, facts),
    )
    return next((fault for fault in checks if fault is not None), None)


def endpoints_fault(context: Context) -> str | None:
    """Why the endpoints of a context cannot be used."""
    urls = contexts.numbered(context, contexts.ENDPOINTS, "connectionURL")
    versions = contexts.numbered(context, contexts.ENDPOINTS, "protocolVersion")
    if not urls:
        return "There are no endpoints in the registration."
    if len(urls) != len(versions):
        return "Every endpoint needs a connectionURL and a protocolVersion."
    return next((fault for fault in map(_url_fault, urls) if fault), None)


def keys_fault(context: Context) -> str | None:
    """Why the keys of a context do not suffice."""
    if not contexts.keys_of(context, contexts.SESSION_KEYS):
        return "There are no session keys in the registration."
    is_notary = contexts.is_notary(context)
    ledger = contexts.keys_of(context, contexts.LEDGER_KEYS)
    if is_notary and ledger:
        return "A notary virtual node must not have ledger keys."
    if is_notary and not contexts.keys_of(context, contexts.NOTARY_KEYS):
        return "A notary must have at least one notary key."
    if not is_notary and not ledger:
        return "There are no ledger keys in the registration."
    return None


def notary_fault(
    context: Context, members: frozenset[str], services: Mapping[str, str]
) -> str | None:
    """Why the role of a context, or its notary service, is refused.

    Args:
        context: the member's.
        members: names of members.
        services: names of notary services, and the keys of their notaries as PEM.
    """
    roles = contexts.numbered(context, contexts.ROLES)
    unknown = next((role for role in roles if role != _NOTARY), None)
    if unknown is not None:
        return f"Unknown role {unknown[:64]!r}; the only role is {_NOTARY!r}."
    return _service_fault(context, members, services) if roles else None


def _service_fault(
    context: Context, members: frozenset[str], services: Mapping[str, str]
) -> str | None:
    try:
        service = str(MemberX500Name.parse(context.get(contexts.NOTARY_SERVICE, "")))
    except InvalidX500NameError:
        return "Notary must have a valid non-empty service name."
    if not context.get(contexts.NOTARY_PROTOCOL):
        return f"Notary service {service} has no flow protocol."
    versions = contexts.numbered(context, contexts.NOTARY_PROTOCOL_VERSIONS)
    if not all(_is_number(version) for version in versions):
        return f"Notary service {service} has a protocol version that is no whole number."
    if service in members or service == context.get(contexts.NAME):
        return f"Registering notary service {service} is refused: a virtual node has its name."
    own = {key.public_key for key in contexts.keys_of(context, contexts.NOTARY_KEYS)}
    if service in services and services[service] not in own:
        return f"Notary service {service} already exists."
    return None


def token_fault(token: PreAuthToken | None, owner: str, now: EpochMs) -> str | None:
    """Why a pre-auth token does not count."""
    if token is None or str(token.owner) != owner or token.status is not TokenStatus.AVAILABLE:
        return "Registration failed due to the pre-auth token: it is unknown, of another, or used."
    if token.ttl_at is not None and token.ttl_at <= now:
        return "Registration failed due to the pre-auth token: it has expired."
    return None


def _name_fault(member: Context, facts: GroupFacts) -> str | None:
    name = member.get(contexts.NAME, "")
    if name == facts.mgm:
        return "Registration request is registering an MGM holding identity."
    if name in facts.services:
        return f"Member's name {name} is the name of a notary service."
    return None


def _serial_fault(registration: Context, facts: GroupFacts) -> str | None:
    serial = contexts.serial_of(registration)
    if serial is None:
        return "Registration request serial is missing, negative or no number."
    if facts.newest is None:
        return None if serial == 0 else "First registration must have serial 0."
    if serial == 0:
        return "Member is registered already: a serial of 0 is for first registrations."
    if serial < facts.newest_serial:
        return f"Serial {serial} is below the newest known serial {facts.newest_serial}."
    return None


def _token_fault(member: Context, registration: Context, facts: GroupFacts) -> str | None:
    if contexts.AUTH_TOKEN not in registration:
        return None
    return token_fault(facts.token, member.get(contexts.NAME, ""), facts.now)


def _group_fault(member: Context, facts: GroupFacts) -> str | None:
    if member.get(contexts.GROUP_ID) != facts.group_id:
        return "Group ID in registration request does not match the group ID of the MGM."
    return None


def difference_fault(before: Context | None, member: Context) -> str | None:
    """What a registration changes though it may not; `before` is None for a first one."""
    if before is None:
        return None
    changed: Sequence[str] = forbidden_changes(before, member)
    if changed:
        shown = ", ".join(key[:128] for key in changed[:5])
        return f"Fields [{shown}] cannot be added, removed or updated during re-registration."
    return None


def _foreign_fault(facts: GroupFacts) -> str | None:
    """By its session key a member is known: a second one with it would take its place."""
    found = min(facts.keys_of_others, default=None)
    return None if found is None else f"Session key {found} is that of another member."


def _subject_fault(member: Context, facts: GroupFacts) -> str | None:
    if facts.subjects is None:
        return None
    subject = member.get(contexts.TLS_SUBJECT)
    if subject is None:
        return "The TLS certificate subject is missing: the group has mutual TLS."
    if subject not in facts.subjects:
        return f"The TLS certificate subject {subject[:256]} is not allowed by the MGM."
    return None


def _location_fault(member: Context, facts: GroupFacts) -> str | None:
    before = facts.newest or {}
    epoch, known = (c.get(contexts.LOCATION_EPOCH, "0") for c in (member, before))
    if not _is_number(epoch):
        return f"{contexts.LOCATION_EPOCH} is no whole number."
    is_moved = facts.newest is not None and (
        member.get(contexts.LOCATION_ID) != before.get(contexts.LOCATION_ID)
    )
    expected = int(known) + 1 if is_moved else int(known)
    if facts.newest is not None and int(epoch) != expected:
        return f"location-taken: {contexts.LOCATION_EPOCH} is {epoch}, expected {expected}"
    return None


def _url_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"Endpoint {url[:128]!r} is no URL."
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        return f"Endpoint {url[:128]!r} must be https://HOST:PORT, without user information."
    if parts.query or parts.fragment or len(url) > _URL_CHARACTERS_MAX or port == 0:
        return f"Endpoint {url[:128]!r} must have no query and no fragment."
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
