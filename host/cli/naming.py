"""Refusals of a file's content, with the file's name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cpi.errors import Code, CollectedError, CpiError, GroupPolicyError, Issue


@contextmanager
def refusals_of(file: Path | str) -> Iterator[None]:
    """What is refused in the block names `file`, unless it does already."""
    try:
        yield
    except CollectedError as refused:
        issues = [_named(issue, str(file), refused) for issue in refused.issues]
        raise type(refused)(issues) from refused
    except CpiError as refused:
        (issue,) = refused.issues
        if str(file) in refused.message:
            raise
        named = _named(issue, str(file), refused)
        raise type(refused)(Code(refused.code), refused.message, entry=named.entry) from refused


def _named(issue: Issue, file: str, refused: CpiError) -> Issue:
    if isinstance(refused, GroupPolicyError):  # whose entries are paths within the JSON text
        return Issue(code=issue.code, message=issue.message, entry=file)  # begins with the path
    return issue if (issue.entry or "").startswith(file) else issue.below(file)
