"""Group policies: the same verdicts as Corda's schema, and the parser's rules on top."""

import copy
import json
import os
import re
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft201909Validator

from cpi.crypto.pem_text import is_pem_certificate
from cpi.errors import GroupPolicyError
from cpi.package.group_policy import (
    GroupPolicyKind,
    group_policy_schema_issues,
    parse_group_policy,
)
from cpi.package.group_policy_generation import generate_mgm_policy, generate_static_policy
from tests.cpi.support import policy
from tests.support.properties import examples
from tests.support.vectors import VECTORS

MUTATIONS = int(os.environ.get("CORDBOX_MUTATIONS", "400"))
FILES = sorted((VECTORS / "group-policy").glob("*.json"))
_LINEAR = (
    r"^-+BEGIN CERTIFICATE-+[A-Za-z0-9+/\\\r\n]*={0,2}[\\n\r\n]*-+END CERTIFICATE-+(\r\n|\n)?\Z"
)


@cache
def cordas_schema() -> Draft201909Validator:
    """Corda's schema; its certificate pattern backtracks in Python, an equal one takes its place."""
    path = VECTORS / "schemas" / "corda.group.policy-1.0.schema.json"
    schema = json.loads(path.read_text())
    schema["$defs"]["certificate"]["pattern"] = _LINEAR
    return Draft201909Validator(schema)


@pytest.mark.conformance
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_vectors(file: Path) -> None:
    document = json.loads(file.read_text())
    valid = not group_policy_schema_issues(document)
    assert valid == cordas_schema().is_valid(document) == ("INVALID" not in file.name)
    if valid:
        kind = parse_group_policy(file.read_text()).kind
        assert kind.value in file.name
    else:
        with pytest.raises(GroupPolicyError, match=r"corda\.minimum\.platform\.version"):
            parse_group_policy(file.read_text())


VALUES: list[Any] = [
    None,
    True,
    0,
    1,
    -1,
    1.5,
    "",
    "1",
    "CREATE_ID",
    "xCREATE_ID",
    "83d48afa-ebb3-4ae3-91c7-3615e6f86f5f",
    "83d48afa-ebb3-4ae3-91c7-3615e6f86f5fjunk",
    "83d48afa-ebb3-6ae3-91c7-3615e6f86f5f",
    "a.b.C",
    ".a",
    "a.",
    "a b",
    "NoPKI",
    "nopki",
    "Standard",
    "Combined",
    "1.2",
    "Mutual",
    [],
    {},
    [{}],
    {"a": "b"},
    {"a": 1},
    {"members": []},
    {"members": [1]},
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\r\n",
    "-----BEGIN CERTIFICATE-----\nAA=A\n-----END CERTIFICATE-----",
    50000,
    49999,
    {"ext.a": "x" * 801, "corda.minimum.platform.version": 99999},
    {"ext.b": 1},
]


def paths(document: Any, prefix: tuple = ()) -> list[tuple]:
    items: Any = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    return [p for key, value in items for p in [(*prefix, key), *paths(value, (*prefix, key))]]


def mutate(document: dict, draw: Any) -> dict:
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = paths(document)
        if not places:
            return document
        *parents, last = draw(st.sampled_from(places))
        target = document
        for key in parents:
            target = target[key]
        action = draw(st.sampled_from(["set", "delete", "add"]))
        if action == "delete":
            del target[last]
        elif action == "set" or not isinstance(target, dict):
            target[last] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        else:
            key = draw(
                st.sampled_from(
                    ["x", "mgmInfo", "staticNetwork", "groupParameters", "sessionTrustRoots"]
                )
            )
            target[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return document


@pytest.mark.conformance
@pytest.mark.property
@settings(deadline=None, max_examples=MUTATIONS)
@given(st.data())
def test_mutations_have_the_same_verdict_as_cordas_schema(data: st.DataObject) -> None:
    document = json.loads(data.draw(st.sampled_from(FILES)).read_text())
    mutated = mutate(document, data.draw)
    ours = not group_policy_schema_issues(mutated)
    assert ours == cordas_schema().is_valid(mutated)
    try:
        parse_group_policy(json.dumps(mutated))
    except GroupPolicyError:
        return
    assert ours, "what the schema refuses, the parser refuses"


def test_static_members() -> None:
    parsed = parse_group_policy(policy())
    assert parsed.kind is GroupPolicyKind.STATIC
    assert [m.name for m in parsed.static_members] == [
        "O=Alice, L=London, C=GB",
        "O=Bob, L=London, C=GB",
    ]
    member = parsed.static_members[0]
    assert member.status == "ACTIVE"
    assert [(e.url, e.protocol_version) for e in member.endpoints] == [
        ("https://localhost:10000", 1)
    ]


def test_generated_policies_are_new_and_valid() -> None:
    arguments = {
        "names": ["O=A, L=London, C=GB"],
        "group_id": None,
        "endpoint_url": "https://a:1",
        "endpoint_protocol": 1,
    }
    one, other = (parse_group_policy(generate_static_policy(**arguments)) for _ in range(2))
    assert one.group_id != other.group_id
    assert parse_group_policy(generate_mgm_policy()).kind is GroupPolicyKind.MGM
    with pytest.raises(GroupPolicyError, match="https"):
        generate_static_policy(**{**arguments, "endpoint_url": "ftp://a"})


def broken(change) -> list[str]:
    document = json.loads(policy())
    change(document)
    with pytest.raises(GroupPolicyError) as refused:
        parse_group_policy(json.dumps(document))
    return [issue.entry or "" for issue in refused.value.issues]


NETWORK = "$.protocolParameters.staticNetwork"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda d: d.update(groupId=d["groupId"] + "junk"), "$.groupId"),
        (lambda d: d.update(groupId="xCREATE_ID"), "$.groupId"),
        (lambda d: d.update(fileFormatVersion=2), "$.fileFormatVersion"),
        (lambda d: d.update(fileFormatVersion="1"), "$.fileFormatVersion"),
        (lambda d: d.update(fileFormatVersion=True), "$.fileFormatVersion"),
        (lambda d: d["p2pParameters"].update(tlsTrustRoots=[]), "$.p2pParameters.tlsTrustRoots"),
        (
            lambda d: d["p2pParameters"]["tlsTrustRoots"].append(
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
            ),
            "$.p2pParameters.tlsTrustRoots[1]",
        ),
        (
            lambda d: d["p2pParameters"].update(mtlsMgmClientCertificateSubject=" "),
            "$.p2pParameters.mtlsMgmClientCertificateSubject",
        ),
        (lambda d: members(d)[0].pop("name"), f"{NETWORK}.members[0].name"),
        (lambda d: members(d)[0].update(name=" "), f"{NETWORK}.members[0].name"),
        (
            lambda d: members(d)[1].update(name="C=GB, L=London, O=Alice"),
            f"{NETWORK}.members[1].name",
        ),
        (
            lambda d: members(d)[0].update(memberStatus="active"),
            f"{NETWORK}.members[0].memberStatus",
        ),
        (
            lambda d: members(d)[0].pop("endpointUrl-1"),
            f"{NETWORK}.members[0].endpointUrl-1",
        ),
        (
            lambda d: members(d)[0].update({"endpointUrl-1": "ftp://a"}),
            f"{NETWORK}.members[0].endpointUrl-1",
        ),
        (
            lambda d: members(d)[0].update({"endpointProtocol-1": 0}),
            f"{NETWORK}.members[0].endpointProtocol-1",
        ),
        (
            lambda d: network(d).update(groupParameters={"other": "x"}),
            f"{NETWORK}.groupParameters[''other'']",
        ),
    ],
)
def test_parser_rules(change, path: str) -> None:
    assert path in broken(change)


def network(document: dict) -> dict:
    return document["protocolParameters"]["staticNetwork"]


def members(document: dict) -> list[dict]:
    return network(document)["members"]


def test_all_problems_are_reported_at_once() -> None:
    def change(document: dict) -> None:
        document["groupId"] = "x"
        document["registrationProtocol"] = "1"
        members(document)[0].pop("name")

    assert len(broken(change)) >= 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "GroupPolicy file is empty"),
        ("  ", "GroupPolicy file is empty"),
        ("nonsense", "parsing failed"),
        ('{"groupId":"a","groupId":"b"}', "Duplicate field 'groupId'"),
        ("[" * 5000, "nested deeper"),
        ('{"fileFormatVersion":NaN}', "NaN is no JSON number"),
        ("[]", "is not of type 'object'"),
        ("x" * 2_000_000, "more than"),
        (b"\xff", "utf-8"),
    ],
)
def test_what_is_no_policy(text: str | bytes, message: str) -> None:
    with pytest.raises(GroupPolicyError, match=re.escape(message)):
        parse_group_policy(text)


def test_protocol_may_be_text() -> None:
    document = json.loads(policy())
    members(document)[0]["endpointProtocol-1"] = "1"
    parsed = parse_group_policy(json.dumps(document))
    assert parsed.static_members[0].endpoints[0].protocol_version == 1


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", True),
        ("-BEGIN CERTIFICATE--END CERTIFICATE-", True),
        ("-BEGIN CERTIFICATE-END CERTIFICATE-", False),
        ("-BEGIN CERTIFICATE-A-END CERTIFICATE-", True),
        ("-----BEGIN CERTIFICATE-----AA-----END CERTIFICATE-----\r\n", True),
        ("-----BEGIN CERTIFICATE-----AA-----END CERTIFICATE-----\n\n", False),
        ("-----BEGIN CERTIFICATE-----A A-----END CERTIFICATE-----", False),
        ("-----BEGIN CERTIFICATE-----A===-----END CERTIFICATE-----", False),
        ("-----BEGIN CERTIFICATE-----A=A-----END CERTIFICATE-----", False),
        ("BEGIN CERTIFICATE-----A-----END CERTIFICATE-----", False),
        ("-----BEGIN CERTIFICATE-----A-----END CERTIFICATE----- ", False),
        ("", False),
    ],
)
def test_pem_shape(text: str, good: bool) -> None:
    assert is_pem_certificate(text) is good


_PIECES = [
    "-",
    "--",
    "BEGIN CERTIFICATE",
    "END CERTIFICATE",
    "A",
    "n",
    "=",
    "\\",
    "\n",
    "\r\n",
    " ",
]


@pytest.mark.property
@settings(deadline=None, max_examples=examples(500))
@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_pem_shape_is_the_pattern_of_cordas_schema(text: str) -> None:
    for candidate in (text, f"-BEGIN CERTIFICATE-{text}-END CERTIFICATE-", f"{text}\n"):
        assert is_pem_certificate(candidate) == bool(re.match(_LINEAR, candidate)), candidate


def test_pem_check_is_linear() -> None:
    hostile = "-----BEGIN CERTIFICATE-----" + "n\n" * 400_000 + "!"
    begin = time.process_time()
    assert not is_pem_certificate(hostile)
    assert not is_pem_certificate("-" * 800_000)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("O=Alice", "attribute L is missing"),
        ("O=Al\\\\x, L=London, C=GB", "unknown escape"),
        ("L=London, C=GB, O=Bob", "is member 0 already"),
        ('O=\\"Bob\\"; L=London; C=GB', "is member 0 already"),
    ],
)
def test_names_are_read_as_a_host_reads_them(name: str, words: str) -> None:
    """What no node could register under is refused when the policy is made, not when one joins."""
    text = policy().replace("O=Alice, L=London, C=GB", name)
    with pytest.raises(GroupPolicyError, match=words) as refused:
        parse_group_policy(text)
    assert refused.value.entry.endswith(".name")
    assert parse_group_policy(text, stored=True).static_members
