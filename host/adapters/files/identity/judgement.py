"""Checks a data directory's files for consistency with each other. Pure.

All stores and `cordbox-id` contain one epoch. It is incremented in a fixed order: the flow store,
the registers, `cordbox-id`; an interrupted increment is completed before the next one begins. So
after any crash the flow store is at most one ahead of the registers and of `cordbox-id`, and
neither of those is ever ahead of a file that precedes it in the order. Any other state shows a file
that is older than the others. Copies from within one epoch are detected by the marks of commits.
"""

from collections.abc import Iterator, Mapping, Sequence

from host.adapters.files.identity.directory_id import NAME, DirectoryId
from host.adapters.files.identity.files import STORES, FileState
from host.adapters.files.identity.findings import Finding
from host.adapters.files.identity.marks import NAME as MARKS
from host.adapters.files.identity.marks import is_behind

_FLOWS, _CLUSTER = STORES


def judge(
    directory_id: DirectoryId | None,
    states: Mapping[str, FileState],
    evidence: str | None,
    marks: Mapping[str, int] | None = None,
) -> Sequence[Finding]:
    """Find the problems of a data directory.

    Args:
        directory_id: the content of `cordbox-id`, None if it does not exist.
        states: the inspection of each of `STORES`.
        evidence: a file that only a cluster creates, None if there is none.
        marks: the newest marked commit of each store; None without a file of marks.
    """
    unreadable = [
        _finding(
            "data-file-damaged", name, f"cannot be read: {state.problem}", "a database", "none"
        )
        for name, state in states.items()
        if state.problem is not None
    ]
    if unreadable:
        return unreadable
    mixed = [
        _behind(name, *state.lacks, by="and its write-ahead log follows upon commit")
        for name, state in states.items()
        if state.lacks is not None
    ]
    if mixed:
        return mixed
    if directory_id is None and marks is not None:
        return [_missing(NAME, f"{MARKS} is beside it")]
    if directory_id is None:
        return list(_without_id(states, evidence))
    found = list(_with_id(directory_id, states))
    if directory_id.has_marks and marks is None:
        found.append(_missing(MARKS, f"{NAME} knows it"))
    return found or list(_epochs(directory_id, states)) or list(_commits(states, marks or {}))


def next_epoch(epochs: Sequence[int]) -> int:
    """The next epoch of all files: an interrupted increment is completed first."""
    return max(epochs) + (len(set(epochs)) == 1)


def _commits(states: Mapping[str, FileState], marks: Mapping[str, int]) -> Iterator[Finding]:
    for name, state in states.items():
        known = marks.get(name)
        if known is not None and state.identity is not None and is_behind(state.commits, known):
            yield _behind(name, known, state.commits, by="while others know of commit")


def _without_id(states: Mapping[str, FileState], evidence: str | None) -> Iterator[Finding]:
    """Without an id, the directory is new, or from a release that wrote no ids."""
    if any(state.identity is not None for state in states.values()):
        yield _missing(NAME, "the stores beside it carry a cluster's id")
        return
    if evidence is None:
        return
    for name, state in states.items():
        if state.size is None:
            yield _missing(name, f"there is {evidence}")
        elif state.size == 0:
            yield _empty(name)


def _with_id(directory_id: DirectoryId, states: Mapping[str, FileState]) -> Iterator[Finding]:
    for name, state in states.items():
        is_noted = name in directory_id.files
        if state.size is None:
            if is_noted:
                yield _missing(name, f"{NAME} knows it")
        elif state.size == 0:
            if is_noted:
                yield _empty(name)
        elif state.identity is None:
            if is_noted:
                yield _foreign(name, directory_id.cluster_id, "a file that carries no cluster's id")
        elif state.identity.cluster_id != directory_id.cluster_id:
            yield _foreign(name, directory_id.cluster_id, f"cluster {state.identity.cluster_id}")
        elif state.identity.kind != STORES[name]:
            yield _foreign(name, f"kind {STORES[name]}", f"kind {state.identity.kind}")


def _epochs(directory_id: DirectoryId, states: Mapping[str, FileState]) -> Iterator[Finding]:
    known = directory_id.epoch
    at = {
        name: state.identity.generation
        for name, state in states.items()
        if state.identity is not None and name in directory_id.files
    }
    flows, cluster = at.get(_FLOWS), at.get(_CLUSTER)
    least = max(known, cluster or 0)
    if flows is not None and flows < least:
        yield _older(_FLOWS, least, flows)
        return
    least = max(known, 0 if flows is None else flows - 1)
    if cluster is not None and cluster < least:
        yield _older(_CLUSTER, least, cluster)
    if at and max(at.values()) > known + 1:
        yield _older(NAME, max(at.values()) - 1, known)


def _missing(name: str, why: str) -> Finding:
    return _finding("data-file-missing", name, f"is missing: {why}", "a file", "none")


def _empty(name: str) -> Finding:
    return _finding("data-file-empty", name, "is empty: it had content", "a database", "0 bytes")


def _foreign(name: str, expected: str, found: str) -> Finding:
    message = f"is of another cluster or kind: expected {expected}, found {found}"
    return _finding("data-file-foreign", name, message, expected, found)


def _older(name: str, expected: int, found: int) -> Finding:
    message = f"is older than what other files know of it: epoch {found}, at least {expected} known"
    return _finding(
        "data-file-older", name, message, f"epoch {expected} or later", f"epoch {found}"
    )


def _behind(name: str, expected: int, found: int, *, by: str) -> Finding:
    return _finding(
        "data-file-older",
        name,
        f"is an older copy: it is at commit {found}, {by} {expected}",
        f"commit {expected} or later",
        f"commit {found}",
    )


def _finding(code: str, name: str, message: str, expected: str, found: str) -> Finding:
    return Finding(
        code=code, file=name, message=f"{name} {message}", expected=expected, found=found
    )
