"""Data files of a CPK: those of the sources and of wheels that `data` in cordapp.toml names.

Code reads them with `importlib.resources` or `pkgutil.get_data`; a sandbox has no other files.
"""

from collections.abc import Mapping, Sequence

from host.tools.cordapps.project import CpkPlan
from host.tools.cordapps.sources import FILE_BYTES_MAX, SourceRefusedError, walk_sources
from sandbox.python_source import DATA_BYTES_MAX, is_data, is_data_path


def is_named(path: str, names: Sequence[str]) -> bool:
    """Whether a file is one of those named; a name that ends in `/` stands for a folder."""
    below = any(name.endswith("/") and path.startswith(name) for name in names)
    return is_data(path) and (path in names or below)


def data_problem(path: str, size: int) -> str | None:
    """Why a bundle cannot hold a data file; None if it can."""
    if not is_data_path(path):
        return f"{path}: a data file's name has letters, digits and _ . + ! @ - only"
    if size > FILE_BYTES_MAX:
        return f"{path}: {size} bytes, at most {FILE_BYTES_MAX}"
    return None


def package_data(plan: CpkPlan, vendored: Mapping[str, bytes]) -> dict[str, bytes]:
    """The data files of a CPK: bundle path -> content.

    Args:
        plan: names them, and the folder of its sources.
        vendored: those of its wheels.

    Raises:
        SourceRefusedError: a name without a file, a file that is in two places, sizes.
    """
    if not plan.data or plan.source is None:
        return {}
    problems: list[str] = []
    own: dict[str, bytes] = {}
    for path in walk_sources(plan.source):
        name = path.relative_to(plan.source).as_posix()
        if is_named(name, plan.data) and path.is_file() and not path.is_symlink():
            problem = data_problem(name, path.stat().st_size)
            if problem is None:
                own[name] = path.read_bytes()
            else:
                problems.append(problem)
    problems += [
        f"{path}: is a data file of the sources and of a wheel"
        for path in sorted(own.keys() & vendored.keys())
    ]
    files = {**vendored, **own}
    label = f"{plan.world.value}.data"
    problems += [
        f"{label}: {name!r} is no data file of the sources or of a wheel"
        for name in plan.data
        if not any(is_named(path, (name,)) for path in files)
    ]
    size = sum(map(len, files.values()))
    if size > DATA_BYTES_MAX:
        problems.append(f"{label}: {size} bytes, at most {DATA_BYTES_MAX}")
    if problems:
        raise SourceRefusedError(tuple(problems))
    return dict(sorted(files.items()))
