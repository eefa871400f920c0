"""What the builders of packages write, read back; and what they refuse to write."""

import json
from pathlib import Path

import pytest

from cpi.errors import (
    ArchiveError,
    GroupPolicyError,
    ManifestError,
    OutputExistsError,
    PackageRefusedError,
    SignatureError,
)
from cpi.jar.signing import sign_entries
from cpi.package.build import build_cpb, build_cpi, build_cpk
from cpi.package.external_channels import channel_issues, channel_names, channels_document
from cpi.package.files import read_limited, write_new
from cpi.package.group_policy import Endpoint, StaticMember, parse_group_policy
from cpi.package.group_policy_generation import generate_static_policy_of
from cpi.package.model import PackageType
from tests.cpi.support import accept, alice, cpb, cpk, cpk_spec, policy, root_signer


def test_the_document_of_channels_is_read_back_in_its_order_without_duplicates() -> None:
    document = channels_document(["b", "a", "b"])
    assert channel_issues(document) == []
    assert channel_names(document) == ("b", "a")
    assert json.loads(document)["channels"][0] == {"name": "b", "type": "SEND"}


def member(name: str = "O=Alice, L=London, C=GB", status: str = "ACTIVE") -> StaticMember:
    endpoints = (
        Endpoint(url="https://one:1", protocol_version=1),
        Endpoint(url="https://two:2", protocol_version=2),
    )
    return StaticMember(name=name, status=status, endpoints=endpoints)


def test_a_policy_of_members_keeps_their_status_and_their_endpoints() -> None:
    suspended = member("O=Bob, L=London, C=GB", "SUSPENDED")
    written = generate_static_policy_of([member(), suspended], group_id=None)
    read = parse_group_policy(written)
    assert [(m.status, len(m.endpoints)) for m in read.static_members] == [
        ("ACTIVE", 2),
        ("SUSPENDED", 2),
    ]
    assert [e.url for e in read.static_members[1].endpoints] == ["https://one:1", "https://two:2"]


def test_a_member_that_fits_into_no_policy_is_refused() -> None:
    with pytest.raises(GroupPolicyError) as refused:
        generate_static_policy_of([member(status="ASLEEP")], group_id=None)
    assert refused.value.code == "group-policy-invalid"


def test_attributes_that_the_builder_sets_cannot_be_given() -> None:
    with pytest.raises(ManifestError, match="bundle-version is set by the builder itself"):
        build_cpk(cpk_spec(attributes={"bundle-version": "2"}), [alice()])
    made = build_cpk(cpk_spec(attributes={"X-Commit": "abc"}), [alice()])
    assert accept(made, PackageType.CPK).id is not None


def test_a_bundle_without_packages_and_members_that_corda_would_not_find_are_refused() -> None:
    with pytest.raises(PackageRefusedError) as refused:
        build_cpb(name="b", version="1", cpks={}, keys=[alice()])
    assert refused.value.code == "package-empty"
    for name in ("a.cpk", "lib/a.jar"):
        with pytest.raises(PackageRefusedError, match="does not find it"):
            build_cpb(name="b", version="1", cpks={name: cpk()}, keys=[alice()])
    with pytest.raises(PackageRefusedError, match=r"must end in \.cpb"):
        build_cpi(name="c", version="1", cpb=("a.zip", cpb()), group_policy=policy(), keys=[])


def test_nothing_is_signed_without_a_key() -> None:
    with pytest.raises(SignatureError, match="at least one signing key") as refused:
        sign_entries({}, {"a": b"a"}, [])
    assert refused.value.code == "not-signed"


def test_contents_of_a_verified_package_are_those_of_its_names_alone() -> None:
    contents = accept(cpk(root_signer()), PackageType.CPK).cpks[0].entries
    assert set(contents) == {name for name in contents if name in contents}
    assert len(contents) == len(list(contents)) > 0
    assert "META-INF/MANIFEST.MF" not in contents
    assert "package/Cpk1.class" in repr(contents)
    with pytest.raises(KeyError):
        contents["no/such"]


def test_files_have_a_limit_and_are_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_new(file, b"1234", private=True)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_limited(file, 4) == b"1234"
    with pytest.raises(ArchiveError, match="more than 3 bytes"):
        read_limited(file, 3)
    with pytest.raises(OutputExistsError):
        write_new(file, b"5")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_that_appears_while_another_is_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check before writing saw no file; the link into place finds one."""
    file = tmp_path / "a"
    file.write_bytes(b"theirs")
    monkeypatch.setattr("os.path.lexists", lambda _: False)
    with pytest.raises(OutputExistsError):
        write_new(file, b"ours")
    assert file.read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
