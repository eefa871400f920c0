"""Dotted module names of files in a bundle, and the way back."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath


def module_name(path: str) -> str:
    """`iou.flows` for `iou/flows.py`, `iou` for `iou/__init__.py`."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_of(paths: Iterable[str]) -> dict[str, str]:
    """Dotted module name -> path; a package's `__init__.py` goes before a module of its name."""
    return {
        module_name(path): path
        for path in sorted(paths, key=lambda path: (path.endswith("/__init__.py"), path))
    }


def packages_of(paths: Iterable[str]) -> frozenset[str]:
    """Dotted names of all folders, also of those without an `__init__.py`."""
    parents = {parent for path in paths for parent in PurePosixPath(path).parents}
    return frozenset(p.as_posix().replace("/", ".") for p in parents if p.parts)


def parents_and_self(module: str) -> tuple[str, ...]:
    """`a`, `a.b` and `a.b.c` for `a.b.c`: what Python imports for it, in this order."""
    parts = module.split(".")
    return tuple(".".join(parts[: count + 1]) for count in range(len(parts)))


def absolute(path: str, level: int, module: str) -> str:
    """What `from ..module import` with `level` dots means in the file `path`.

    The dots stay where they lead out of the top-level package, which Python refuses.
    """
    if not level:
        return module
    if level >= len(PurePosixPath(path).parts):
        return "." * level + module
    package = PurePosixPath(path).parts[:-level]
    return ".".join((*package, module) if module else package)


def paths_to(module: str, modules: Mapping[str, str]) -> tuple[str, ...]:
    """The files of a module and of the packages around it, outermost first."""
    return tuple(modules[name] for name in parents_and_self(module) if name in modules)
