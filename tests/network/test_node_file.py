"""The file of a node: what its manifest has to tell, and items in sections."""

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.adapters.files.container import ContainerInvalidError, Manifest, Section
from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.network.location.node_file import (
    SIGNATURE,
    facts_of,
    holding_of,
    read_items,
    signed_bytes,
    write_items,
)
from host.ports.node_contents import NodeItemInvalidError

NODE = HoldingIdentity(x500_name=MemberX500Name.parse("O=Alice, L=London, C=GB"), group_id="g")
KNOWN = {"node": 1, "keys": 2, "flows": 1}


def _manifest(**changes):
    facts = facts_of(
        NODE, export_id="e", at=1, epoch=3, key="pem", spec="s", versions={"node": 1, "keys": 2}
    )
    sections = tuple(Section(name=n, bytes=1, digest="d") for n in ("node", "keys", SIGNATURE))
    names = changes.pop("sections", None)
    if names is not None:
        sections = tuple(Section(name=n, bytes=1, digest="d") for n in names)
    return Manifest(header="h", facts={**facts, **changes}, sections=sections)


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_items_are_read_as_they_were_written(items):
    stream = io.BytesIO()
    section = write_items(stream, items)
    assert section.bytes == len(stream.getvalue())
    assert list(read_items(io.BytesIO(stream.getvalue()))) == items


@given(st.binary(max_size=100))
def test_other_bytes_are_items_or_are_refused(data):
    try:
        items = list(read_items(io.BytesIO(data)))
    except NodeItemInvalidError:
        return
    stream = io.BytesIO()
    write_items(stream, items)
    assert stream.getvalue() == data


@pytest.mark.parametrize("data", [b"\0\0\0", b"\0\0\0\5abcd", b"\xff\xff\xff\xff"])
def test_a_cut_or_huge_item_is_refused(data):
    with pytest.raises(NodeItemInvalidError):
        list(read_items(io.BytesIO(data)))


def test_a_manifest_names_its_node():
    assert holding_of(_manifest(), KNOWN) == NODE
    assert holding_of(_manifest(sections=("node", SIGNATURE)), KNOWN) == NODE


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "host"},
        {"format": 2},
        {"epoch": -1},
        {"epoch": "3"},
        {"at": "1"},
        {"at": 2**53 + 1},
        {"epoch": 2**31 - 1},
        {"exportId": "e" * 37},
        {"groupId": "g" * 65},
        {"groupId": "g\0"},
        {"signedBy": "k" * 16385},
        {"signedBy": ""},
        {"exportId": ""},
        {"x500Name": "O=Alice"},
        {"shortHash": "0" * 12},
        {"version.keys": 3},
        {"version.keys": "1"},
        {"sections": ("node",)},
        {"sections": ("keys", "node", SIGNATURE)},
        {"sections": ("node", "other", SIGNATURE)},
        {"sections": (SIGNATURE, "node")},
        {"sections": ("node", "flows", SIGNATURE)},
    ],
    ids=repr,
)
def test_another_manifest_is_refused(changes):
    with pytest.raises(ContainerInvalidError):
        holding_of(_manifest(**changes), KNOWN)


def test_a_signature_covers_each_fact_and_section():
    manifest = _manifest()
    before = signed_bytes(manifest.facts, manifest.sections)
    for name in manifest.facts:
        assert signed_bytes({**manifest.facts, name: "x"}, manifest.sections) != before
    first, *rest = manifest.sections
    for change in ({"name": "x"}, {"bytes": 2}, {"digest": "x"}):
        changed = msgspec.structs.replace(first, **change)
        assert signed_bytes(manifest.facts, [changed, *rest]) != before
    assert before.startswith(b" " * 64 + b"cordbox/v1/")  # flows cannot sign such bytes
