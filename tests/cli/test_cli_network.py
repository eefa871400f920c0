"""`cordbox network groupPolicy`: Corda's options, a fresh and valid policy."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from cpi.group_policy import GroupPolicyKind, parse_group_policy

Run = Callable[..., tuple[int, str, str]]
MEMBERS = ("--name", "O=Alice, L=London, C=GB", "--name", "O=Bob, L=London, C=GB")
ENDPOINT = ("--endpoint", "https://localhost:8080", "--endpoint-protocol", "1")


@pytest.mark.parametrize("group", ["network", "mgm"])
def test_static_policy_on_stdout(run: Run, group: str) -> None:
    code, out, err = run(group, "groupPolicy", *MEMBERS, *ENDPOINT)
    assert (code, err) == (0, "")
    policy = parse_group_policy(out)
    assert policy.kind is GroupPolicyKind.STATIC
    assert [m.name for m in policy.static_members] == [
        "O=Alice, L=London, C=GB",
        "O=Bob, L=London, C=GB",
    ]
    assert UUID(policy.group_id)


def test_group_id_and_output_file(run: Run, tmp_path: Path) -> None:
    group, file = "83d48afa-ebb3-4ae3-91c7-3615e6f86f5f", tmp_path / "GroupPolicy.json"
    words = ("network", "groupPolicy", *MEMBERS, *ENDPOINT, "--group-id", group, "-o", file)
    assert run(*words)[0] == 0
    assert parse_group_policy(file.read_text()).group_id == group
    assert run(*words)[0] == 1, "an existing file is kept"


def test_manager_policy(run: Run) -> None:
    code, out, _ = run("network", "groupPolicy", "--mgm")
    assert code == 0
    assert parse_group_policy(out).kind is GroupPolicyKind.MGM


@pytest.mark.parametrize(
    "document",
    [
        {
            "endpoint": "https://a:1",
            "endpointProtocol": 1,
            "memberNames": ["O=A, L=London, C=GB"],
        },
        {
            "endpoint": "https://default:1",
            "endpointProtocol": "1",
            "members": [
                {"name": "O=A, L=London, C=GB", "status": "SUSPENDED", "endpoint": "https://a:1"}
            ],
        },
    ],
    ids=["names", "members"],
)
def test_network_file(run: Run, tmp_path: Path, document: dict) -> None:
    file = tmp_path / "network.json"
    file.write_text(json.dumps(document))
    code, out, _ = run("network", "groupPolicy", "--file", file)
    assert code == 0
    (member,) = parse_group_policy(out).static_members
    assert member.endpoints[0].url == "https://a:1"
    assert member.status == ("SUSPENDED" if "members" in document else "ACTIVE")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "No member name specified"),
        (MEMBERS, "Endpoint must be specified using '--endpoint'."),
        ((*MEMBERS, *ENDPOINT[:2]), "Endpoint protocol must be specified"),
        ((*MEMBERS, "--mgm"), "--mgm takes no members"),
        ((*ENDPOINT, "--file", "{file}"), "Endpoint may not be specified"),
        ((*MEMBERS, "--file", "{file}"), "Member name(s) may not be specified"),
        (("--file", "{file}"), "Only one of 'memberNames' and 'members'"),
    ],
)
def test_wrong_usage(run: Run, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    file = tmp_path / "network.json"
    file.write_text('{"members": [], "memberNames": []}')
    code, _, err = run("network", "groupPolicy", *(w.format(file=file) for w in words))
    assert code == 2
    assert message in " ".join(err.split())


def test_members_that_make_no_valid_policy(run: Run) -> None:
    code, _, err = run("network", "groupPolicy", *MEMBERS, *MEMBERS, *ENDPOINT)
    assert code == 1
    assert err.startswith("error[group-policy-invalid]: ")
