"""`META-INF/GroupPolicy.json`: schema, parser rules, and the typed value behind it.

Corda checks the schema when a CPI is uploaded and further rules when a node parses the policy; both
are applied here at once, and problems are reported with their JSON paths.

Source: corda-api `corda.group.policy.json`; corda-runtime-os `MemberGroupPolicyImpl.kt`,
`MGMGroupPolicyImpl.kt`, `GroupParametersUpdateVerifier.kt`.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from cpi.crypto.certificate import Certificate
from cpi.errors import Code, GroupPolicyError, Issue
from cpi.package.member_names import MemberNameError, member_name_text, read_member_name
from cpi.schemas import validator
from cpi.strict_json import ISSUES_MAX, JsonRefusedError, parse_json, schema_issues

GROUP_POLICY_PATH = "META-INF/GroupPolicy.json"
CREATE_ID = "CREATE_ID"
FILE_FORMAT_VERSION = 1
_BYTES_MAX = 1024 * 1024
_UUID = re.compile(
    r"[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-[1-5][a-fA-F0-9]{3}-[89aAbB][a-fA-F0-9]{3}-[a-fA-F0-9]{12}"
)
_MEMBER_STATUSES = ("ACTIVE", "SUSPENDED", "PENDING")
_MPV = "corda.minimum.platform.version"
_CUSTOM_KEYS_MAX = 100
_CUSTOM_KEY_MAX = 128
_ENDPOINT = re.compile(r"endpointUrl-([1-9][0-9]{0,3})")
_MEMBERS_MAX = 10_000


class GroupPolicyKind(StrEnum):
    """The kind of policy: of a static network, or of a dynamic network's member or manager."""

    STATIC = "static"
    DYNAMIC = "dynamic"
    MGM = "mgm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a member is reached; `protocol_version` is Corda's P2P protocol, a number."""

    url: str
    protocol_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticMember:
    """A member of a static network. `name` is X.500 text as written; endpoints by their number."""

    name: str
    status: str
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPolicy:
    """A valid group policy. `group_id` is a UUID, or `CREATE_ID` for an MGM."""

    group_id: str
    kind: GroupPolicyKind
    document: Mapping[str, Any]
    static_members: tuple[StaticMember, ...]


def parse_group_policy(text: str | bytes, *, stored: bool = False) -> GroupPolicy:
    """Parse and validate a group policy.

    Args:
        text: the JSON text.
        stored: it was accepted before, possibly by a release that did not check members' names: a
            name that cannot be parsed excludes only its own member.

    Raises:
        GroupPolicyError: with the problems that were found, the first hundred of each step.
    """
    try:
        document = parse_json(text, bytes_max=_BYTES_MAX)
    except JsonRefusedError as error:
        message = "GroupPolicy file is incorrectly formatted and parsing failed: "
        if not text.strip():
            message = "GroupPolicy file is empty. "
        raise GroupPolicyError([_issue("$", f"{message}{error}")]) from error
    issues = group_policy_schema_issues(document)
    if isinstance(document, dict):
        issues += islice(_rule_issues(document, stored=stored), ISSUES_MAX)
    if issues:
        unique = dict.fromkeys(issues)
        raise GroupPolicyError(list(unique))
    kind = kind_of(document)
    members = _members(document) if kind is GroupPolicyKind.STATIC else []
    return GroupPolicy(
        group_id=document["groupId"],
        kind=kind,
        document=document,
        static_members=tuple(_member(member) for member in members),
    )


def group_policy_schema_issues(document: Any) -> list[Issue]:
    """Violations of the schema alone: the same verdicts as Corda's own schema."""
    return schema_issues(validator("group_policy"), document, Code.GROUP_POLICY)


def kind_of(document: Mapping[str, Any]) -> GroupPolicyKind:
    """The kind of a policy, from its JSON."""
    if document.get("groupId") == CREATE_ID:
        return GroupPolicyKind.MGM
    if "staticNetwork" in _object(document.get("protocolParameters")):
        return GroupPolicyKind.STATIC
    return GroupPolicyKind.DYNAMIC


def _rule_issues(document: Mapping[str, Any], *, stored: bool) -> Iterator[Issue]:
    """The parser rules; each checks only values of its own type."""
    yield from _header_issues(document)
    kind = kind_of(document)
    if kind is not GroupPolicyKind.MGM:
        yield from _p2p_issues(_object(document.get("p2pParameters")))
    if kind is GroupPolicyKind.DYNAMIC:
        for name, value in _object(document.get("mgmInfo")).items():
            yield from _blank(f"$.mgmInfo['{_shown(name)[1:-1]}']", value)
    if kind is GroupPolicyKind.STATIC:
        yield from _static_issues(document, names_are_read=not stored)


def _header_issues(document: Mapping[str, Any]) -> Iterator[Issue]:
    version = document.get("fileFormatVersion")
    if "fileFormatVersion" in document and (
        type(version) is not int or version != FILE_FORMAT_VERSION
    ):
        yield _issue(
            "$.fileFormatVersion",
            "No supported version of the group policy file available for version "
            f"{_shown(version)}, expected {FILE_FORMAT_VERSION}",
        )
    group_id = document.get("groupId")
    if isinstance(group_id, str) and group_id != CREATE_ID and not _UUID.fullmatch(group_id):
        yield _issue("$.groupId", f"{_shown(group_id)} is neither a UUID nor {CREATE_ID}")


def _p2p_issues(parameters: Mapping[str, Any]) -> Iterator[Issue]:
    required = ["tlsTrustRoots"]
    if parameters.get("sessionPki") != "NoPKI":
        required.append("sessionTrustRoots")
    for name in ("tlsTrustRoots", "sessionTrustRoots"):
        roots = parameters.get(name)
        if not isinstance(roots, list):
            continue
        path = f"$.p2pParameters.{name}"
        if not roots and name in required:
            yield _issue(path, f"Policy file must contain at least one trust root for {name}.")
        for index, root in enumerate(roots):
            reason = _certificate_fault(root) if isinstance(root, str) else None
            if reason is not None:
                yield _issue(
                    f"{path}[{index}]",
                    f"Certificate at index {index} for {name} cannot be parsed: {reason}",
                )
    subject = parameters.get("mtlsMgmClientCertificateSubject")
    yield from _blank("$.p2pParameters.mtlsMgmClientCertificateSubject", subject)


def _certificate_fault(pem: str) -> str | None:
    """Why Corda could not parse a trust root. Its contents are not judged: many roots are odd."""
    body = "".join(pem.strip().strip("-").split("-")[1:-1]).strip()
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
        Certificate(der)
    except ValueError as error:
        return str(error)
    return None


def _static_issues(document: Mapping[str, Any], *, names_are_read: bool) -> Iterator[Issue]:
    path = "$.protocolParameters.staticNetwork"
    members = _members(document)
    if len(members) > _MEMBERS_MAX:
        yield _issue(f"{path}.members", f"{len(members)} members, at most {_MEMBERS_MAX}")
        return
    for index, member in enumerate(members):
        yield from _member_issues(f"{path}.members[{index}]", member)
    if names_are_read:
        yield from _name_issues(path, members)
    network = _object(_object(document.get("protocolParameters")).get("staticNetwork"))
    yield from _group_parameter_issues(
        f"{path}.groupParameters", _object(network.get("groupParameters"))
    )


def _name_issues(path: str, members: Sequence[Mapping[str, Any]]) -> Iterator[Issue]:
    """Names that a host could not parse, and two spellings of one name."""
    seen = dict[str, int]()
    for index, member in enumerate(members):
        name, place = member.get("name"), f"{path}.members[{index}].name"
        if not isinstance(name, str) or not name.strip():
            continue
        try:
            first = seen.setdefault(member_name_text(read_member_name(name)), index)
        except MemberNameError as error:
            yield _issue(place, str(error))
            continue
        if first != index:
            yield _issue(place, f"{_shown(name)} is member {first} already")


def _member_issues(place: str, member: Mapping[str, Any]) -> Iterator[Issue]:
    name = member.get("name")
    if not isinstance(name, str) or not name.strip():
        yield _issue(f"{place}.name", "No member name specified.")
    status = member.get("memberStatus", "ACTIVE")
    if status not in _MEMBER_STATUSES:
        yield _issue(
            f"{place}.memberStatus",
            f"{_shown(status)} is not an allowed value, expected {', '.join(_MEMBER_STATUSES)}",
        )
    numbers = [m.group(1) for key in member if (m := _ENDPOINT.fullmatch(key))]
    if not numbers:
        yield _issue(f"{place}.endpointUrl-1", "No endpoint specified.")
    for number in numbers:
        url = member[f"endpointUrl-{number}"]
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            yield _issue(
                f"{place}.endpointUrl-{number}", f"{_shown(url)} is no http:// or https:// URL"
            )
        if _protocol(member.get(f"endpointProtocol-{number}")) is None:
            yield _issue(
                f"{place}.endpointProtocol-{number}",
                "No endpoint protocol specified: expected a number from 1, "
                f"found {_shown(member.get(f'endpointProtocol-{number}'))}",
            )


def _group_parameter_issues(path: str, parameters: Mapping[str, Any]) -> Iterator[Issue]:
    custom = [key for key in parameters if key != _MPV]
    for key in custom:
        if not key.startswith("ext.") or len(key) > _CUSTOM_KEY_MAX:
            yield _issue(
                f"{path}['{_shown(key)}']",
                "Only custom fields (with ext prefix, at most "
                f"{_CUSTOM_KEY_MAX} characters) and minimum platform version (key: {_MPV}) "
                "may be changed.",
            )
    if len(custom) > _CUSTOM_KEYS_MAX:
        yield _issue(path, f"{len(custom)} custom fields, at most {_CUSTOM_KEYS_MAX}")


def _member(member: Mapping[str, Any]) -> StaticMember:
    numbers = sorted(int(m.group(1)) for key in member if (m := _ENDPOINT.fullmatch(key)))
    return StaticMember(
        name=member["name"],
        status=member.get("memberStatus", "ACTIVE"),
        endpoints=tuple(
            Endpoint(
                url=member[f"endpointUrl-{number}"],
                protocol_version=_protocol(member[f"endpointProtocol-{number}"]) or 0,
            )
            for number in numbers
        ),
    )


def _members(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    network = _object(_object(document.get("protocolParameters")).get("staticNetwork"))
    members = network.get("members")
    return [m for m in members if isinstance(m, dict)] if isinstance(members, list) else []


def _protocol(value: Any) -> int | None:
    """The protocol version, which Corda's tools write as a number or, later, as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 5:
        value = int(value)
    return value if type(value) is int and 0 < value < 10_000 else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _blank(path: str, value: Any) -> Iterator[Issue]:
    if isinstance(value, str) and not value.strip():
        yield _issue(path, f'Key "{path.rpartition(".")[2]}" cannot be blank.')


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}..."


def _issue(path: str, message: str) -> Issue:
    return Issue(code=Code.GROUP_POLICY, message=f"{path}: {message}", entry=path)
