"""Which services a CorDapp's code uses, read from its syntax tree.

A flow reaches a service by an attribute of a fixed name, such as `self.ledger_service`. The scan
detects those, but not other accesses (`getattr`, a service passed on under another name). It only
helps the author: the sandbox, not the scan, enforces the grants.
"""

import ast
from collections.abc import Iterator, Mapping

from host.domain.packages import CodeWorld
from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.sources import SDK_PACKAGE
from sandbox.host_api import INTERFACES, SUB_CAPABILITIES
from sandbox.python_source import is_data

CAPABILITY_OF: Mapping[str, str] = {
    **{service: each.name for each in INTERFACES for service in each.services},
    **{service: each.name for each in SUB_CAPABILITIES for service in each.services},
}
"""Service attribute of the SDK's `Flow` -> capability that its calls need."""


def undeclared_uses(plan: CpkPlan, sources: Mapping[str, str]) -> tuple[str, ...]:
    """The first use of each capability that a workflow CPK uses and does not declare."""
    if plan.world is not CodeWorld.WORKFLOW:
        return ()
    found: dict[str, str] = {}
    for path, text in sorted(sources.items()):
        if path.startswith(f"{SDK_PACKAGE}/") or is_data(path):
            continue
        for line, what, capability in _uses(text, path):
            if capability not in plan.capabilities:
                found.setdefault(
                    capability,
                    f"{path}:{line}: {what} needs the capability {capability!r}, "
                    "which workflow.capabilities does not name",
                )
    return tuple(found.values())


def _uses(text: str, path: str) -> Iterator[tuple[int, str, str]]:
    try:
        tree = ast.parse(text, filename=path)
    except (SyntaxError, ValueError, RecursionError):
        return  # a vendored module that is never imported
    yield from sorted(use for node in ast.walk(tree) for use in _uses_of(node))


def _uses_of(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    if isinstance(node, ast.Attribute) and node.attr in CAPABILITY_OF:
        yield node.lineno, node.attr, CAPABILITY_OF[node.attr]
    elif isinstance(node, ast.ClassDef):
        bases = {getattr(base, "attr", getattr(base, "id", None)) for base in node.bases}
        if "ResponderFlow" in bases:
            yield node.lineno, f"responder flow {node.name}", "sessions"
