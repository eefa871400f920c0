"""Matches paths to templates of operations without letter case, as Corda's server does. Pure."""

from collections.abc import Iterable, Iterator

from host.domain.ascii_case import ascii_lower


def path_in_right_case(path: str, templates: Iterable[str]) -> str | None:
    """The existing path that differs from `path` only in letter case; None if there is none.

    Only the fixed segments of a template are compared without case; values of parameters are
    unchanged.
    """
    segments = path.split("/")
    for template in templates:
        wanted = template.split("/")
        if len(wanted) == len(segments) and all(
            fixed.startswith("{") or fixed == ascii_lower(segment)
            for fixed, segment in zip(wanted, segments, strict=True)
        ):
            right = "/".join(
                segment if fixed.startswith("{") else fixed
                for fixed, segment in zip(wanted, segments, strict=True)
            )
            if right != path:
                return right
    return None


def templates_of(path: str, templates: Iterable[str]) -> Iterator[str]:
    """The templates that `path` fits, including letter case."""
    segments = path.split("/")
    for template in templates:
        wanted = template.split("/")
        if len(wanted) == len(segments) and all(
            fixed == segment or (fixed.startswith("{") and segment != "")
            for fixed, segment in zip(wanted, segments, strict=True)
        ):
            yield template
