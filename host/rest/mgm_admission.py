"""The MGM resource: rules of approval, pre-auth tokens, and subjects of client certificates."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import Body, Query, Request, Response
from pydantic import Field

from host.domain.linear_pattern import PATTERN_CHARACTERS_MAX
from host.domain.x500 import MemberX500Name
from host.ports.mgm import ApprovalRule, RuleKind, TokenStatus
from host.ports.mgm import PreAuthToken as Token
from host.rest.durations import duration_ms
from host.rest.mgm import Remark
from host.rest.operation import resource
from host.rest.pages import NEXT_HEADERS, Asked, as_json, listed
from host.rest.parameters import CertificateSubject, IsUuid, MemberName, NodeHash, Uuid
from host.rest.services import Services
from host.rest.wire import instant, wire

router = resource("MGM")

_LISTED: dict[int | str, dict[str, Any]] = {200: {"headers": NEXT_HEADERS}}
_RULES = "/mgm/{holdingidentityshorthash}/approval/rules"
_TOKENS = "/mgm/{holdingidentityshorthash}/preauthtoken"
_SUBJECTS = "/mgm/{holdingidentityshorthash}/mutual-tls/allowed-client-certificate-subjects"
_PATHS = {RuleKind.STANDARD: _RULES, RuleKind.PREAUTH: f"{_RULES}/preauth"}
_CONCERNED = {
    RuleKind.STANDARD: "registrations without a pre-auth token",
    RuleKind.PREAUTH: "registrations with a pre-auth token",
}


@wire
class ApprovalRuleRequestParams:
    """`rule_regex` is searched in the names of the entries that a registration changes."""

    rule_regex: Annotated[str, Field(max_length=PATTERN_CHARACTERS_MAX)]
    rule_label: Remark | None = None


@wire
class ApprovalRuleInfo:
    rule_id: str
    rule_regex: str
    rule_label: str | None = None


@wire
class PreAuthTokenRequest:
    """`ttl` is a duration in ISO 8601, such as `P4D`; without it the token does not expire."""

    owner_x500_name: Annotated[str, MemberName]
    ttl: Annotated[str, Field(json_schema_extra={"format": "duration"})] | None = None
    remarks: Remark | None = None


@wire
class PreAuthTokenRevocation:
    remarks: Remark | None = None


_NO_REMARKS = PreAuthTokenRevocation()


@wire
class PreAuthToken:
    """`ttl` is the instant at which it expires."""

    id: str
    owner_x500_name: str
    status: TokenStatus
    ttl: datetime | None = None
    creation_remark: str | None = None
    removal_remark: str | None = None


_RULE_JSON = as_json(ApprovalRuleInfo)
_TOKEN_JSON = as_json(PreAuthToken)


def _rule_operations(kind: RuleKind) -> None:
    """The operations on the rules of one kind; they differ in their paths alone."""
    path, concerned, name = _PATHS[kind], _CONCERNED[kind], kind.value.lower()

    def get_rules(
        holdingidentityshorthash: NodeHash, services: Services, request: Request, asked: Asked
    ) -> Response:
        rules = services.mgm.approval_rules(holdingidentityshorthash, kind)
        order = f"{name} rules of {holdingidentityshorthash}"
        page = asked.of_all(order, rules, lambda rule: (0, rule.rule_id), newest_first=False)
        return listed(request, page, lambda rule: _RULE_JSON(_rule(rule)))

    def post_rule(
        holdingidentityshorthash: NodeHash,
        request: Annotated[ApprovalRuleRequestParams, Body(alias="ruleParams")],
        services: Services,
    ) -> ApprovalRuleInfo:
        return _rule(
            services.mgm.add_approval_rule(
                holdingidentityshorthash, kind, request.rule_regex, request.rule_label
            )
        )

    def delete_rule(holdingidentityshorthash: NodeHash, ruleid: str, services: Services) -> None:
        services.mgm.delete_approval_rule(holdingidentityshorthash, kind, ruleid)

    get_rules.__doc__ = f"List the rules by which {concerned} are approved by hand."
    post_rule.__doc__ = f"Have {concerned} approved by hand that change what the rule names."
    delete_rule.__doc__ = f"Delete a rule for {concerned}."
    router.get(
        path, name=f"get_{name}_rules", response_model=list[ApprovalRuleInfo], responses=_LISTED
    )(get_rules)
    router.post(path, name=f"post_{name}_rule")(post_rule)
    router.delete(
        f"{path}/{{ruleid}}", name=f"delete_{name}_rule", status_code=HTTPStatus.NO_CONTENT
    )(delete_rule)


for _kind in (RuleKind.PREAUTH, RuleKind.STANDARD):  # `preauth` must not be taken for a rule's id
    _rule_operations(_kind)


@router.get(_TOKENS, response_model=list[PreAuthToken], responses=_LISTED)
def get_tokens(
    *,
    holdingidentityshorthash: NodeHash,
    services: Services,
    request: Request,
    asked: Asked,
    ownerx500name: Annotated[
        str | None, MemberName, Query(description="Name of the member that may use the token.")
    ] = None,
    preauthtokenid: Annotated[str | None, IsUuid, Query(description="One token.")] = None,
    viewinactive: Annotated[
        bool, Query(description="Also tokens that were used, were revoked or have expired.")
    ] = False,
) -> Response:
    """List the pre-auth tokens of a group that can be used."""
    tokens = services.mgm.pre_auth_tokens(
        holdingidentityshorthash,
        owner=None if ownerx500name is None else MemberX500Name.parse(ownerx500name),
        token_id=preauthtokenid,
        view_inactive=viewinactive,
    )
    order = f"tokens of {holdingidentityshorthash}"
    page = asked.of_all(order, tokens, lambda token: (0, token.token_id), newest_first=False)
    return listed(request, page, lambda token: _TOKEN_JSON(_token(token)))


@router.post(_TOKENS)
def post_token(
    holdingidentityshorthash: NodeHash,
    request: Annotated[PreAuthTokenRequest, Body(alias="request")],
    services: Services,
) -> PreAuthToken:
    """Make a token that lets one registration of its owner pass by the rules for tokens alone."""
    return _token(
        services.mgm.generate_pre_auth_token(
            holdingidentityshorthash,
            MemberX500Name.parse(request.owner_x500_name),
            ttl_ms=None if request.ttl is None else duration_ms(request.ttl),
            remarks=request.remarks,
        )
    )


@router.put(f"{_TOKENS}/revoke/{{preauthtokenid}}")
def put_revoked_token(
    holdingidentityshorthash: NodeHash,
    preauthtokenid: Uuid,
    services: Services,
    request: Annotated[PreAuthTokenRevocation, Body(alias="request")] = _NO_REMARKS,
) -> PreAuthToken:
    """Revoke a pre-auth token that was not used yet; the body may be left out."""
    return _token(
        services.mgm.revoke_pre_auth_token(
            holdingidentityshorthash, preauthtokenid, request.remarks
        )
    )


@router.get(_SUBJECTS, response_model=list[str], responses=_LISTED)
def get_subjects(
    holdingidentityshorthash: NodeHash, services: Services, request: Request, asked: Asked
) -> Response:
    """List the subjects of TLS client certificates with which registrations may be sent."""
    subjects = services.mgm.allowed_client_certificate_subjects(holdingidentityshorthash)
    order = f"subjects of {holdingidentityshorthash}"
    page = asked.of_all(order, subjects, lambda subject: (0, subject), newest_first=False)
    return listed(request, page, msgspec.json.encode)


@router.put(f"{_SUBJECTS}/{{subject}}", status_code=HTTPStatus.NO_CONTENT)
def put_subject(
    holdingidentityshorthash: NodeHash, subject: CertificateSubject, services: Services
) -> None:
    """Let members register whose TLS client certificate has this subject."""
    services.mgm.allow_client_certificate_subject(holdingidentityshorthash, subject)


@router.delete(f"{_SUBJECTS}/{{subject}}", status_code=HTTPStatus.NO_CONTENT)
def delete_subject(
    holdingidentityshorthash: NodeHash, subject: CertificateSubject, services: Services
) -> None:
    """Let no more members register whose TLS client certificate has this subject."""
    services.mgm.disallow_client_certificate_subject(holdingidentityshorthash, subject)


def _rule(rule: ApprovalRule) -> ApprovalRuleInfo:
    return ApprovalRuleInfo(rule_id=rule.rule_id, rule_regex=rule.regex, rule_label=rule.label)


def _token(token: Token) -> PreAuthToken:
    return PreAuthToken(
        id=token.token_id,
        owner_x500_name=str(token.owner),
        status=token.status,
        ttl=None if token.ttl_at is None else instant(token.ttl_at),
        creation_remark=token.creation_remark,
        removal_remark=token.removal_remark,
    )
