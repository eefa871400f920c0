import json
from dataclasses import replace

import pytest

from host.guests.walls import Door
from host.tools.audit.model import Trust
from host.tools.audit.policy import (
    RULES,
    Policy,
    PolicyInvalidError,
    _is_same_name,
    judge,
    parse_policy,
)
from sandbox.limits import Limits
from sandbox.pinned import default_runtime
from sandbox.world import World


def policy(**rules) -> Policy:
    return parse_policy(json.dumps({"policyVersion": 1, **rules}).encode())


@pytest.fixture(scope="module")
def hostile(audit, sample):
    return audit(sample("hostile").cpi)


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"capabilities": ["ledger", "persistence"]}, "audit-capability-not-allowed"),
        ({"forms": ["component"]}, "audit-form-not-allowed"),
        ({"runtimes": ["SHA-256:" + "0" * 64]}, "audit-runtime-not-allowed"),
        ({"features": ["simd", "reference-types"]}, "audit-feature-not-allowed"),
        ({"limits": {"wallMsMax": 9999}}, "audit-limit-too-high"),
        ({"componentBytesMax": 1_000_000}, "audit-component-too-large"),
        ({"signers": [{"subject": "CN=Nobody"}]}, "audit-signer-not-allowed"),
        ({"signers": [{"certificate": "SHA-256:" + "0" * 64}]}, "audit-signer-not-allowed"),
    ],
)
def test_each_rule_finds_its_breach(hostile, rules, code):
    findings = judge(hostile, policy(**rules))
    assert {finding.code for finding in findings} == {code}
    assert code in RULES


def test_a_policy_that_fits_finds_nothing(hostile):
    fitting = policy(
        trust="trusted",
        capabilities=["external-messaging", "ledger", "persistence", "sessions"],
        forms=["python"],
        runtimes=[default_runtime(World.WORKFLOW).digest],
        features=["bulk-memory", "reference-types"],
        limits={"fuelMax": 2_000_000_000, "wallMsMax": 10_000},
        componentBytesMax=64 << 20,
        signers=[{"certificate": hostile.signers[0].certificate}],
    )
    assert judge(hostile, fitting) == ()


def test_a_name_counts_only_when_it_is_trusted(audit, sample, hostile):
    named = policy(signers=[{"subject": hostile.signers[0].subject}])
    assert judge(hostile, named) == ()
    unjudged = audit(sample("hostile").cpi, trusted=())
    assert [f.code for f in judge(unjudged, named)] == ["audit-signer-not-allowed"]


@pytest.mark.parametrize(
    ("asked", "is_same"),
    [
        ("CN=Release,O=Example,C=GB", True),
        ("cn=Release, O=Example, C=GB", True),
        ('CN="Release", O=Example; C=GB', True),
        ("O=Example, CN=Release, C=GB", False),
        ("CN=Release, O=Example", False),
        ("CN=release, O=Example, C=GB", False),
        ("Release", False),
    ],
)
def test_a_name_is_compared_as_a_name_and_not_as_a_text(asked, is_same):
    assert _is_same_name(asked, "CN=Release,O=Example,C=GB") is is_same


def test_policy_may_ask_for_trust(audit, sample):
    unjudged = audit(sample("hostile").cpi, trusted=())
    codes = [f.code for f in judge(unjudged, policy(trust="trusted"))]
    assert codes == ["audit-trust-not-judged"]


def test_policy_may_waive_trust_but_not_broken_code(hostile, component_cpk, audit):
    lie = {"contracts": ({"name": "other.Contract", "states": []},)}
    broken = audit(component_cpk(facts=lie), trusted=())
    assert [f.code for f in judge(broken, policy(trust="any"))] == ["audit-code-refused"]
    assert judge(replace(hostile, trust=Trust.NOT_VERIFIED), policy(trust="any")) == ()


def test_nobody_is_no_allowed_signer(hostile):
    nobody = replace(hostile, signers=(), trust=Trust.NOT_VERIFIED)
    rules = policy(trust="any", signers=[{"subject": "CN=auditee"}])
    assert [f.code for f in judge(nobody, rules)] == ["audit-signer-not-allowed"]


def test_lower_host_limits_satisfy_a_policy(audit, sample):
    strict = audit(sample("hostile").cpi, limits=Limits(wall_ms_max=500))
    assert judge(strict, policy(limits={"wallMsMax": 500})) == ()


def test_capabilities_that_the_host_does_not_allow_are_closed(audit, sample):
    (component,) = audit(sample("hostile").cpi, allowed=frozenset({"ledger"})).components
    open_doors = {fact.interface for fact in component.imports if fact.door is Door.OPEN}
    assert open_doors == {"ledger"}
    assert not any("other virtual nodes" in sentence for sentence in component.leaves)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "no strict JSON"),
        (b'{"policyVersion": 2}', "$.policyVersion"),
        (b'{"policyVersion": 1, "capabilites": []}', "capabilites"),
        (b'{"policyVersion": 1, "limits": {"fuelMax": 0}}', "$.limits.fuelMax"),
        (b'{"policyVersion": 1, "runtimes": ["sha256:00"]}', "$.runtimes[0]"),
        (b'{"policyVersion": 1, "policyVersion": 1}', "Duplicate"),
        (b"[]", "$"),
    ],
)
def test_wrong_policies_are_refused_with_their_place(text, said):
    with pytest.raises(PolicyInvalidError) as refused:
        parse_policy(text)
    assert said in refused.value.message
