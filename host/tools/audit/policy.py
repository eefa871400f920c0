"""Audit policies: rules as JSON, and the findings of a package that breaks them.

Without a policy, reasons for a host to refuse the package are still findings.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from cpi.crypto.name_text import NameTextError, read_name_text
from cpi.strict_json import JsonRefusedError, parse_json
from host.domain.error_codes.findings import CODES as FINDINGS
from host.domain.errors import InvalidInputError
from host.tools.audit.model import Audit, ComponentFacts, SignerFacts, Trust
from host.tools.audit.schemas import policy_validator
from sandbox.host_api import ALWAYS_GRANTED

POLICY_BYTES_MAX = 1024 * 1024

RULES: Mapping[str, str] = MappingProxyType(
    {
        code: FINDINGS[code][0]
        for code in (
            "audit-package-refused",
            "audit-signer-untrusted",
            "audit-code-refused",
            "audit-trust-not-judged",
            "audit-signer-not-allowed",
            "audit-capability-not-allowed",
            "audit-form-not-allowed",
            "audit-runtime-not-allowed",
            "audit-feature-not-allowed",
            "audit-limit-too-high",
            "audit-component-too-large",
        )
    }
)
"""Code of a finding -> its meaning."""


class PolicyInvalidError(InvalidInputError):
    """A policy is not JSON, or breaks its schema."""

    code = "audit-policy-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A broken rule. `component` is the CPK's name, empty when it concerns the whole package."""

    code: str
    message: str
    component: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A checked policy; None means that a rule was omitted."""

    name: str = ""
    trust: Literal["any", "signed", "trusted"] = "signed"
    signers: tuple[Mapping[str, str], ...] | None = None
    capabilities: frozenset[str] | None = None
    forms: frozenset[str] | None = None
    runtimes: frozenset[str] | None = None
    features: frozenset[str] | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    component_bytes_max: int | None = None


def parse_policy(data: bytes) -> Policy:
    """Parse and check a policy.

    Raises:
        PolicyInvalidError: with the JSON path of every violation.
    """
    try:
        document: dict[str, Any] = parse_json(data, bytes_max=POLICY_BYTES_MAX)
    except JsonRefusedError as error:
        raise PolicyInvalidError(f"the policy is no strict JSON: {error}") from error
    faults = [f"{e.json_path}: {e.message[:300]}" for e in policy_validator().iter_errors(document)]
    if faults:
        raise PolicyInvalidError("the policy breaks its schema: " + "; ".join(sorted(faults)[:20]))

    def named(key: str) -> frozenset[str] | None:
        return frozenset(document[key]) if key in document else None

    return Policy(
        name=document.get("name", ""),
        trust=document.get("trust", "signed"),
        signers=tuple(document["signers"]) if "signers" in document else None,
        capabilities=named("capabilities"),
        forms=named("forms"),
        runtimes=named("runtimes"),
        features=named("features"),
        limits=document.get("limits", {}),
        component_bytes_max=document.get("componentBytesMax"),
    )


def judge(audit: Audit, policy: Policy) -> tuple[Finding, ...]:
    """Every rule that the package breaks."""
    findings = [*_trust(audit, policy), *_signers(audit, policy)]
    bodies = {runtime.digest: runtime.body for runtime in audit.runtimes}
    for each in audit.components:
        # What runs is judged: of Python code, the component of its runtime.
        component = replace(each, body=each.body or bodies.get(each.runtime or ""))
        for rule in _COMPONENT_RULES:
            findings += rule(component, policy)
    return tuple(findings)


def _trust(audit: Audit, policy: Policy) -> Iterator[Finding]:
    if policy.trust == "any":
        return
    if audit.trust is Trust.NOT_VERIFIED:
        for note in audit.trust_notes:
            place = f"{note.entry}: " if note.entry and note.entry not in note.message else ""
            message = f"{place}{note.message} [{note.code}]"
            yield Finding(code="audit-package-refused", message=message)
    elif audit.trust is Trust.UNTRUSTED:
        for note in audit.trust_notes:
            message = f"{note.message} [{note.code}]"
            yield Finding(code="audit-signer-untrusted", message=message)
    elif audit.trust is Trust.NOT_JUDGED and policy.trust == "trusted":
        message = "the policy asks for trusted signers: give the certificates to trust"
        yield Finding(code="audit-trust-not-judged", message=message)


def _signers(audit: Audit, policy: Policy) -> Iterator[Finding]:
    if policy.signers is None:
        return
    code = "audit-signer-not-allowed"
    if not audit.signers:
        yield Finding(code=code, message="nobody's signature holds")
    for signer in audit.signers:
        if not _is_allowed(signer, policy.signers, audit.trust):
            message = f"{signer.subject} (certificate {signer.certificate}) is not allowed"
            yield Finding(code=code, message=message)


def _is_allowed(signer: SignerFacts, allowed: tuple[Mapping[str, str], ...], trust: Trust) -> bool:
    for rule in allowed:
        by_certificate = rule.get("certificate", signer.certificate) == signer.certificate
        by_subject = _is_same_name(rule.get("subject", signer.subject), signer.subject)
        believed = "certificate" in rule or trust is Trust.TRUSTED
        if by_certificate and by_subject and believed:
            return True
    return False


def _is_same_name(asked: str, shown: str) -> bool:
    """Whether two texts are one X.500 name: people write blanks behind commas, reports do not."""
    if asked == shown:
        return True
    try:
        return read_name_text(asked) == read_name_text(shown)
    except NameTextError:
        return False


def _code(component: ComponentFacts, _policy: Policy) -> Iterator[Finding]:
    if component.refusal is not None:
        message = f"{component.refusal.message} [{component.refusal.code}]"
        yield Finding(code="audit-code-refused", message=message, component=component.name)


def _capabilities(component: ComponentFacts, policy: Policy) -> Iterator[Finding]:
    if policy.capabilities is None:
        return
    for capability in component.capabilities:
        if capability not in policy.capabilities | ALWAYS_GRANTED:
            yield Finding(
                code="audit-capability-not-allowed",
                message=f"capability {capability} is declared, and not allowed",
                component=component.name,
            )


def _forms(component: ComponentFacts, policy: Policy) -> Iterator[Finding]:
    if policy.forms is not None and component.form not in {*policy.forms, "none"}:
        yield Finding(
            code="audit-form-not-allowed",
            message=f"code in form {component.form}, allowed: {', '.join(sorted(policy.forms))}",
            component=component.name,
        )


def _runtimes(component: ComponentFacts, policy: Policy) -> Iterator[Finding]:
    runtime = component.runtime
    if policy.runtimes is not None and runtime and runtime not in policy.runtimes:
        yield Finding(
            code="audit-runtime-not-allowed",
            message=f"runtime {runtime} is not allowed",
            component=component.name,
        )


def _features(component: ComponentFacts, policy: Policy) -> Iterator[Finding]:
    if policy.features is None or component.body is None:
        return
    for feature in component.body.features:
        if feature not in policy.features:
            yield Finding(
                code="audit-feature-not-allowed",
                message=f"WebAssembly feature {feature} is used, and not allowed",
                component=component.name,
            )


def _limits(component: ComponentFacts, policy: Policy) -> Iterator[Finding]:
    for limit in component.limits:
        allowed = policy.limits.get(limit.name)
        if allowed is not None and limit.effective > allowed:
            yield Finding(
                code="audit-limit-too-high",
                message=f"{limit.name}: a run gets {limit.effective}, allowed {allowed}",
                component=component.name,
            )


def _size(component: ComponentFacts, policy: Policy) -> Iterator[Finding]:
    most, body = policy.component_bytes_max, component.body
    if most is not None and body is not None and body.size > most:
        yield Finding(
            code="audit-component-too-large",
            message=f"{body.size} bytes, at most {most}",
            component=component.name,
        )


_COMPONENT_RULES: tuple[Callable[[ComponentFacts, Policy], Iterator[Finding]], ...] = (
    _code,
    _capabilities,
    _forms,
    _runtimes,
    _features,
    _limits,
    _size,
)
