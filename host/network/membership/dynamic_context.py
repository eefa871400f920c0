"""The contexts of registrations in dynamic networks, as callers give them. Pure.

Source: corda-api `member.dynamic.registration.context` and `mgm.registration.context` schemas 1.0.
"""

import re
from collections.abc import Mapping, Sequence

from host.network.membership.errors import RegistrationInvalidError
from host.network.values import contexts
from host.network.values.contexts import Context

_N = r"(0|[1-9][0-9]{0,3})"
_KEY = rf"corda\.(session|ledger|notary)\.keys\.{_N}\.(id|signature\.spec)"
_ENDPOINT = rf"corda\.endpoints\.{_N}\.(connectionURL|protocolVersion)"
_MEMBER = re.compile(
    rf"{_KEY}|{_ENDPOINT}|corda\.roles\.{_N}|corda\.notary\.service\.(name|backchain\.required"
    rf"|flow\.protocol\.(name|version\.{_N}))|corda\.auth\.token|corda\.serial"
    r"|ext\.[a-zA-Z0-9.]{1,123}"
)
_MGM = re.compile(
    rf"corda\.session\.keys\.{_N}\.(id|signature\.spec)|{_ENDPOINT}|corda\.ecdh\.key\.id"
    r"|corda\.group\.(protocol\.(registration|synchronisation|p2p\.mode)|key\.session\.policy"
    rf"|pki\.(session|tls)|tls\.(type|version)|trustroot\.(session|tls)\.{_N})|corda\.serial"
)
_REQUIRED = (
    "corda.ecdh.key.id",
    "corda.group.protocol.registration",
    "corda.group.protocol.synchronisation",
    "corda.group.key.session.policy",
    "corda.group.pki.session",
    "corda.group.pki.tls",
    "corda.group.tls.version",
    "corda.group.protocol.p2p.mode",
)
_VALUES: Mapping[str, Sequence[str]] = {
    "corda.group.key.session.policy": ("Distinct", "Combined"),
    "corda.group.pki.session": ("Standard", "NoPKI"),
    "corda.group.pki.tls": ("Standard",),
    "corda.group.tls.type": ("OneWay", "Mutual"),
    "corda.group.tls.version": ("1.3",),
    "corda.group.protocol.p2p.mode": ("Authenticated_Encryption", "Authentication"),
}
OF_REGISTRATION = (contexts.SERIAL, contexts.AUTH_TOKEN)
"""Entries that the MGM alone reads: they are no part of the member's information."""


def check_member_context(given: Context) -> None:
    """Check the names of the entries of a member's context.

    Raises:
        RegistrationInvalidError: names the first one that the schema does not have.
    """
    _check_names(given, _MEMBER, "member.dynamic.registration.context")


def check_mgm_context(given: Context) -> None:
    """Check an MGM's context against the schema, and against what this host supports.

    Raises:
        RegistrationInvalidError: names the first wrong entry.
    """
    _check_names(given, _MGM, "mgm.registration.context")
    for key in _REQUIRED:
        if not given.get(key):
            raise RegistrationInvalidError(f"Provided MGM registration context has no {key}.")
    for key, allowed in _VALUES.items():
        if key in given and given[key] not in allowed:
            raise RegistrationInvalidError(
                f"{key} must be {' or '.join(allowed)}, found {given[key][:64]!r}"
            )
    if not contexts.numbered(given, "corda.group.trustroot.tls"):
        raise RegistrationInvalidError("No trust roots for TLS were provided.")
    if given["corda.group.pki.session"] == "Standard" and not contexts.numbered(
        given, "corda.group.trustroot.session"
    ):
        raise RegistrationInvalidError("No session trust roots were provided.")


def _check_names(given: Context, known: re.Pattern[str], schema: str) -> None:
    for key in given:
        if not known.fullmatch(key):
            raise RegistrationInvalidError(
                f"property {key[:128]!r} is not defined in the schema {schema}"
            )
