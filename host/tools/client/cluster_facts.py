"""The known facts of a cluster before an upload, and their snapshot file."""

import json
from typing import Any

import msgspec

from host.domain.errors import HostError, InvalidInputError

_FORMAT = 1


class StoredCpi(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A CPI stored in the cluster. `group_id` is None if its policy has none."""

    name: str
    version: str
    signer_summary_hash: str | None
    file_checksum: str
    group_id: str | None


class ClusterFacts(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Facts of one cluster; None for facts that it did not report.

    Attributes:
        cluster: its URL.
        platform_version: such as 50200.
        cpis: the stored CPIs.
        code_signers: PEM chains by alias, all of which are trusted.
        upload_bytes_max: the size of the largest file that it accepts.
        runtimes: digests of the pinned runtimes that it has.
        capabilities: the most that it grants to virtual nodes.
    """

    cluster: str
    snapshot_version: int = _FORMAT
    platform_version: int | None = None
    cpis: tuple[StoredCpi, ...] | None = None
    code_signers: dict[str, str] | None = None
    upload_bytes_max: int | None = None
    runtimes: tuple[str, ...] | None = None
    capabilities: tuple[str, ...] | None = None


class ClusterSnapshotError(InvalidInputError):
    """The file is not a snapshot of a cluster, or a certificate in it cannot be read."""

    code = "cluster-snapshot-invalid"


class ClusterAnswerError(HostError):
    """A cluster sent an answer that no host sends, such as another status or shape."""

    code = "cluster-answer"


def dump_facts(facts: ClusterFacts) -> bytes:
    """The snapshot: JSON that people can read and complete."""
    return json.dumps(msgspec.to_builtins(facts), indent=2, ensure_ascii=False).encode() + b"\n"


def load_facts(data: bytes, *, source: str) -> ClusterFacts:
    """Read a snapshot.

    Raises:
        ClusterSnapshotError: it is not a snapshot of this version; the message has the JSON path.
    """
    try:
        facts = msgspec.json.decode(data, type=ClusterFacts)
    except (ValueError, RecursionError) as error:
        raise ClusterSnapshotError(f"{source}: {error}") from error
    if facts.snapshot_version != _FORMAT:
        raise ClusterSnapshotError(
            f"{source}: snapshot version is {facts.snapshot_version}, expected {_FORMAT}"
        )
    return facts


def stored_cpis(reply: Any) -> tuple[StoredCpi, ...]:
    """The CPIs in the reply to `GET /cpi`.

    Raises:
        ClusterAnswerError: it has another shape.
    """
    try:
        return tuple(
            StoredCpi(
                name=item["id"]["cpiName"],
                version=item["id"]["cpiVersion"],
                signer_summary_hash=item["id"].get("signerSummaryHash"),
                file_checksum=item["cpiFileFullChecksum"],
                group_id=_group_id(item.get("groupPolicy")),
            )
            for item in reply["cpis"]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ClusterAnswerError(f"the list of CPIs has an unknown shape: {error!r}") from error


def _group_id(policy: object) -> str | None:
    try:
        group_id = json.loads(policy)["groupId"] if isinstance(policy, str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return group_id if isinstance(group_id, str) else None
