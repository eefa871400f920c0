"""`cordbox network groupPolicy`: Corda's options, a fresh and valid policy."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from cpi.package.group_policy import GroupPolicyKind, parse_group_policy

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


def test_without_options_it_is_the_sample_network(run: Run) -> None:
    code, out, err = run("mgm", "groupPolicy")
    assert (code, err) == (0, "")
    members = {m.name: m.status for m in parse_group_policy(out).static_members}
    assert members == {
        "O=Alice, L=London, C=GB": "ACTIVE",
        "O=Bob, L=London, C=GB": "ACTIVE",
        "O=Charlie, L=London, C=GB": "SUSPENDED",
    }


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


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".YAML"])
def test_network_file_in_yaml(run: Run, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"network{suffix}"
    file.write_text(
        "endpoint: https://default:1\n"
        'endpointProtocol: "1"\n'
        "members:\n"
        "  - name: C=GB, L=London, O=Alice\n"
        "    status: SUSPENDED\n"
        "  - name: C=GB, L=London, O=Bob\n"
        "    endpoint: https://bob:2\n"
        "    endpointProtocol: 2\n"
    )
    code, out, _ = run("network", "groupPolicy", "--file", file)
    assert code == 0
    alice, bob = parse_group_policy(out).static_members
    assert (alice.name, alice.status) == ("C=GB, L=London, O=Alice", "SUSPENDED")
    assert [(e.url, e.protocol_version) for e in (*alice.endpoints, *bob.endpoints)] == [
        ("https://default:1", 1),
        ("https://bob:2", 2),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "a: &x 1\nb: *x", "line 2, column 4: an alias"),
        ("a.yml", "[1]", "expected an object"),
        ("a.json", "{", "Could not read static network information"),
        ("a.txt", "{}", "expected .json, .yaml or .yml"),
        ("a.yaml", "memberNames: x", "expected a list"),
        ("a.yaml", "memberNames: []", "No member name specified"),
        ("a.yaml", "memberNames: ['O=A, C=GB']", "No endpoint specified"),
        ("a.yaml", "endpoint: https://a:1\nmemberNames: ['O=A']", "No endpoint protocol"),
    ],
)
def test_network_files_that_are_refused(
    run: Run, tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    output = tmp_path / "GroupPolicy.json"
    code, _, err = run("network", "groupPolicy", "--file", tmp_path / name, "-o", output)
    assert code == 2
    assert message in " ".join(err.replace("\u2502", " ").split())
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--endpoint", "https://a"), "No member name specified"),
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


def test_members_that_make_no_valid_policy(run: Run, tmp_path: Path) -> None:
    """Every problem is listed, each with its JSON path, and nothing is written."""
    output = tmp_path / "GroupPolicy.json"
    words = ("network", "groupPolicy", *MEMBERS, *MEMBERS, *ENDPOINT, "-o", output)
    code, _, err = run(*words)
    assert code == 1
    members = "$.protocolParameters.staticNetwork.members"
    assert [line.partition(".name: ")[0] for line in err.splitlines()] == [
        f"error[group-policy-invalid]: {members}[2]",
        f"error[group-policy-invalid]: {members}[3]",
    ]
    assert not output.exists()


def test_a_policy_is_validated(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "GroupPolicy.json"
    assert run("network", "groupPolicy", "--mgm", "-o", file)[0] == 0
    code, out, err = run("network", "validate", file)
    assert (code, out, err) == (0, f"{file}: valid mgm group policy, group CREATE_ID\n", "")
    code, out, _ = run("mgm", "validate", file, "--output", "json")
    assert json.loads(out) == {
        "valid": True,
        "kind": "mgm",
        "groupId": "CREATE_ID",
        "members": [],
        "errors": [],
    }
    document = json.loads(file.read_text())
    document.update(groupId="x", fileFormatVersion=2, registrationProtocol=1)
    file.write_text(json.dumps(document))
    code, out, err = run("network", "validate", file)
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert len(lines) > 3
    assert all(line.startswith(f"error[group-policy-invalid]: {file}: $") for line in lines)
    code, out, _ = run("network", "validate", file, "--output", "json")
    report = json.loads(out)
    assert (code, report["valid"], len(report["errors"])) == (1, False, len(lines))
    assert {"$.groupId", "$.fileFormatVersion", "$.registrationProtocol"} <= {
        error["entry"] for error in report["errors"]
    }
