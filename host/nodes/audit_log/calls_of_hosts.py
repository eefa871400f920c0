"""Calls of a virtual node that several hosts have logged, each counted once.

A host that takes over a flow repeats the calls whose answers the killed one had not committed,
under their numbers, so that both logs tell of one effect.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.nodes.audit_log.chain import CALL
from host.nodes.audit_log.verification import read_entries


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsOfNode:
    """What the logs of one node tell together.

    Attributes:
        node: its short hash.
        logs: how many hosts have one.
        calls: distinct calls, by flow, number and step; of refusals that a log counts, the first.
        repeated: of these, in more than one log.
    """

    node: str
    logs: int
    calls: int
    repeated: int


def calls_of_hosts(logs: Iterable[tuple[str | None, Path]]) -> Sequence[CallsOfNode]:
    """The calls of each node that more than one of the logs are about.

    Args:
        logs: each with the short hash of its node.

    Raises:
        AuditLogUnreadableError: one cannot be read.
    """
    by_node: dict[str, list[Path]] = defaultdict(list)
    for node, file in logs:
        if node is not None:
            by_node[node].append(file)
    return [_of_node(node, files) for node, files in sorted(by_node.items()) if len(files) > 1]


def _of_node(node: str, files: Sequence[Path]) -> CallsOfNode:
    seen: Counter[tuple[str, ...]] = Counter()
    for file in files:
        # Within one log a call may be twice, too: its host was restarted before the commit.
        seen.update({_identity(entry) for entry in read_entries(file) if entry.get("kind") == CALL})
    repeated = sum(count > 1 for count in seen.values())
    return CallsOfNode(node=node, logs=len(files), calls=len(seen), repeated=repeated)


def _identity(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(name)) for name in ("flow", "call", "step"))
