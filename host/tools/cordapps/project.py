"""The project file `cordapp.toml`, which describes the parts of a CorDapp.

Every problem of a file is reported at once, by its key. Paths are resolved against the project's
folder and must stay inside it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cpi.package.external_channels import CHANNEL_NAME
from host.domain.errors import InvalidInputError
from host.domain.packages import CodeWorld
from host.domain.refused import what_there_is
from host.domain.toml_text import TomlRefusedError, parse_toml
from host.tools.cordapps.project_lines import line_of
from sandbox import host_api

PROJECT_FILE = "cordapp.toml"
PROJECT_BYTES_MAX = 64 * 1024
MODULES_MAX = 100
CAPABILITIES = tuple(sorted(host_api.CAPABILITIES))
LIMIT_NAMES = ("fuelMax", "memoryBytesMax", "wallMsMax")
DEPENDENCIES_MAX = 50

_CPK_KEYS = (
    "name",
    "version",
    "source",
    "modules",
    "component",
    "language",
    "vendor-lock",
    "vendor-wheels",
    "data",
    "unreached",
)
KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "": ("cordapp", "contract", "workflow", "limits"),
        "cordapp": ("name", "version", "vendor", "licence"),
        "contract": _CPK_KEYS,
        "workflow": (*_CPK_KEYS, "capabilities", "dependencies", "external-channels"),
        "workflow.dependencies": ("file",),
        "limits": LIMIT_NAMES,
    }
)
"""Section -> its keys; everything else is refused."""

_NAMED = re.compile(r"\[?([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?)")
_APP_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){0,2}(\.[0-9A-Za-z_-]+)?")
_SYMBOLIC_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_DATA = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+!@-]*/)*(?:[A-Za-z0-9_][A-Za-z0-9_.+!@-]*)?")
_LANGUAGE = re.compile(r"[a-z][a-z0-9+-]{0,31}")
_TEXT_MAX = 255
_CPK_VERSION_MAX = 2**31 - 1
_LIMIT_MAX = 2**53 - 1


class ProjectInvalidError(InvalidInputError):
    """`cordapp.toml` is missing, unreadable or wrong; `problems` names every fault."""

    code = "cordapp-project-invalid"

    def __init__(self, path: Path, problems: tuple[str, ...]) -> None:
        super().__init__(f"{path}: " + "; ".join(problems))
        self.entry = str(path)
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class CpkPlan:
    """One CPK to build, from Python sources or from a finished component.

    Either `source` (a folder) and `modules` (its entry modules) are set, or `component` (a file),
    or `source` and `language`.

    Attributes:
        language: names the toolchain that makes the component; None for Python.
        vendor_lock, vendor_wheels: the lock of third-party packages and the folder of their wheels;
            both are set or none.
        dependency_files: contract CPKs of others that the code builds upon, by file.
        external_channels: where flows may send messages to outside the network.
        data: files of the sources and of vendored packages that code reads as package data; a name
            that ends in `/` stands for all files of a folder.
        unreached: dotted names of modules and packages that the author declares never to be
            imported.
    """

    world: CodeWorld
    symbolic_name: str
    version: int
    source: Path | None
    modules: tuple[str, ...]
    component: Path | None
    capabilities: tuple[str, ...]
    language: str | None = None
    vendor_lock: Path | None = None
    vendor_wheels: Path | None = None
    dependency_files: tuple[Path, ...] = ()
    external_channels: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CordappProject:
    """A validated `cordapp.toml`. `limits` are the requested ones (`fuelMax` and so on)."""

    root: Path
    name: str
    version: str
    vendor: str
    licence: str
    contract: CpkPlan | None
    workflow: CpkPlan | None
    limits: Mapping[str, int]


def load_project(directory: Path) -> CordappProject:
    """Read and check `cordapp.toml` of a project folder.

    Raises:
        ProjectInvalidError: no such file, no TOML, or any wrong, missing or unknown key.
    """
    path = directory / PROJECT_FILE
    document, text = _read_toml(path)
    table = _Table(document, directory.resolve())
    project = table.project()
    if table.problems or project is None:
        raise ProjectInvalidError(path, tuple(_placed(each, text) for each in table.problems))
    return project


def _placed(problem: str, text: str) -> str:
    """A problem with the line of what it names, if that is in the file."""
    named = _NAMED.match(problem)
    line = None if named is None else line_of(text, named[1])
    return problem if line is None else f"line {line}: {problem}"


def _read_toml(path: Path) -> tuple[dict[str, object], str]:
    """The file's document and its text."""
    try:
        with path.open("rb") as stream:
            data = stream.read(PROJECT_BYTES_MAX + 1)
    except OSError as refused:
        raise ProjectInvalidError(path, (f"cannot be read: {refused.strerror}",)) from refused
    try:
        return parse_toml(data, bytes_max=PROJECT_BYTES_MAX), data.decode()
    except TomlRefusedError as refused:
        raise ProjectInvalidError(path, (f"is no TOML: {refused}",)) from refused


class _Table:
    """Reads values from the document and collects all problems."""

    def __init__(self, document: dict[str, object], root: Path) -> None:
        self.problems: list[str] = []
        self._document = document
        self._root = root

    def project(self) -> CordappProject | None:
        self._refuse_unknown("", self._document, KEYS[""])
        app = self._section("cordapp")
        if app is None:
            self.problems.append("[cordapp] is missing")
            return None
        name = self._text("cordapp", app, "name", _APP_NAME)
        version = self._text("cordapp", app, "version", _VERSION)
        vendor = self._text("cordapp", app, "vendor")
        licence = self._text("cordapp", app, "licence")
        contract = self._cpk(CodeWorld.CONTRACT)
        workflow = self._cpk(CodeWorld.WORKFLOW)
        if "contract" not in self._document and "workflow" not in self._document:
            self.problems.append("neither [contract] nor [workflow] is there: nothing to build")
        if contract and workflow and contract.symbolic_name == workflow.symbolic_name:
            self.problems.append(
                f"contract.name and workflow.name are both {contract.symbolic_name!r}"
            )
        return CordappProject(
            root=self._root,
            name=name,
            version=version,
            vendor=vendor,
            licence=licence,
            contract=contract,
            workflow=workflow,
            limits=self._limits(),
        )

    def _cpk(self, world: CodeWorld) -> CpkPlan | None:
        section = world.value
        values = self._section(section)
        if values is None:
            return None
        component, foreign = "component" in values, "language" in values
        given = tuple(
            key for key in ("source", "modules", "component", "language") if key in values
        )
        if (
            (component and len(given) > 1)
            or (foreign and given != ("source", "language"))
            or not given
        ):
            self.problems.append(
                f"{section}: give either source and modules, or source and language, or component"
            )
            return None
        finished = component or foreign
        vendor_lock, vendor_wheels = self._vendoring(section, values, component=finished)
        return CpkPlan(
            world=world,
            symbolic_name=self._text(section, values, "name", _SYMBOLIC_NAME),
            version=self._integer(section, values, "version", _CPK_VERSION_MAX),
            source=None if component else self._path(section, values, "source", folder=True),
            modules=() if finished else self._names(section, values, "modules", _MODULE),
            language=self._text(section, values, "language", _LANGUAGE) if foreign else None,
            component=self._path(section, values, "component", folder=False) if component else None,
            capabilities=self._capabilities(section, values),
            vendor_lock=vendor_lock,
            vendor_wheels=vendor_wheels,
            dependency_files=self._dependency_files(section, values),
            external_channels=self._channels(section, values),
            data=self._python_names(section, values, "data", _DATA, component=finished),
            unreached=self._python_names(section, values, "unreached", _MODULE, component=finished),
        )

    def _vendoring(
        self, section: str, values: dict[str, object], *, component: bool
    ) -> tuple[Path | None, Path | None]:
        given = [key for key in ("vendor-lock", "vendor-wheels") if key in values]
        if not given:
            return None, None
        if component:
            self.problems.append(f"{section}.{given[0]}: a component brings its packages itself")
            return None, None
        if len(given) == 1:
            self.problems.append(f"{section}: vendor-lock and vendor-wheels belong together")
        return (
            self._path(section, values, "vendor-lock", folder=False)
            if given != ["vendor-wheels"]
            else None,
            self._path(section, values, "vendor-wheels", folder=True)
            if given != ["vendor-lock"]
            else None,
        )

    def _python_names(
        self,
        section: str,
        values: dict[str, object],
        key: str,
        pattern: re.Pattern[str],
        *,
        component: bool,
    ) -> tuple[str, ...]:
        """A list that may be left out, sorted, and that only Python sources have."""
        if key not in values or values[key] == []:
            return ()
        if component:
            self.problems.append(f"{section}.{key}: a component has no Python modules")
            return ()
        return tuple(sorted(self._names(section, values, key, pattern)))

    def _dependency_files(self, section: str, values: dict[str, object]) -> tuple[Path, ...]:
        items = values.get("dependencies", [])
        label = f"{section}.dependencies"
        if not isinstance(items, list) or len(items) > DEPENDENCIES_MAX:
            self.problems.append(f"{label} must be at most {DEPENDENCIES_MAX} tables")
            return ()
        found = []
        for number, item in enumerate(items):
            place = f"{label}[{number}]"
            if not isinstance(item, dict):
                self.problems.append(f"{place} is no table")
                continue
            self._refuse_unknown(f"{place}.", item, KEYS[label])
            found.append(self._path(place, item, "file", folder=False))
        paths = tuple(path for path in found if path is not None)
        if len({path.name for path in paths}) != len(paths):
            self.problems.append(f"{label}: two files have one name")
        return paths

    def _channels(self, section: str, values: dict[str, object]) -> tuple[str, ...]:
        if "external-channels" not in values:
            return ()
        return tuple(sorted(self._names(section, values, "external-channels", CHANNEL_NAME)))

    def _capabilities(self, section: str, values: dict[str, object]) -> tuple[str, ...]:
        if "capabilities" not in values or values["capabilities"] == []:
            return ()
        names = self._names(section, values, "capabilities", None)
        unknown = sorted(set(names) - set(CAPABILITIES))
        if unknown:
            self.problems.append(
                f"{section}.capabilities: {', '.join(map(repr, unknown))} unknown, "
                f"expected some of {', '.join(CAPABILITIES)}"
            )
        return tuple(sorted(names))

    def _limits(self) -> Mapping[str, int]:
        values = self._section("limits") or {}
        return {name: self._integer("limits", values, name, _LIMIT_MAX) for name in sorted(values)}

    def _section(self, name: str) -> dict[str, object] | None:
        values = self._document.get(name)
        if values is None:
            return None
        if not isinstance(values, dict):
            self.problems.append(f"{name} is no table")
            return None
        self._refuse_unknown(f"{name}.", values, KEYS[name])
        return {key: value for key, value in values.items() if key in KEYS[name]}

    def _refuse_unknown(
        self, prefix: str, values: dict[str, object], known: tuple[str, ...]
    ) -> None:
        for key in sorted(set(values) - set(known)):
            meant = what_there_is(key, known)
            self.problems.append(f"{prefix}{key} is no known key; {meant}")

    def _text(
        self,
        section: str,
        values: dict[str, object],
        key: str,
        pattern: re.Pattern[str] | None = None,
    ) -> str:
        value = values.get(key)
        if not isinstance(value, str) or not value.strip():
            self.problems.append(f"{section}.{key} must be a text, found {value!r}")
            return ""
        if len(value) > _TEXT_MAX or not value.isprintable():
            self.problems.append(f"{section}.{key} must be at most {_TEXT_MAX} printable letters")
        elif pattern and not pattern.fullmatch(value):
            self.problems.append(f"{section}.{key}: {value!r} does not match {pattern.pattern}")
        return value

    def _integer(self, section: str, values: dict[str, object], key: str, maximum: int) -> int:
        value = values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
            self.problems.append(
                f"{section}.{key} must be an integer from 1 to {maximum}, found {value!r}"
            )
            return 1
        return value

    def _names(
        self,
        section: str,
        values: dict[str, object],
        key: str,
        pattern: re.Pattern[str] | None,
    ) -> tuple[str, ...]:
        value = values.get(key)
        if not isinstance(value, list) or not 1 <= len(value) <= MODULES_MAX:
            self.problems.append(f"{section}.{key} must be a list of 1 to {MODULES_MAX} names")
            return ()
        for name in value:
            if not isinstance(name, str) or (pattern and not pattern.fullmatch(name)):
                self.problems.append(f"{section}.{key}: {name!r} is no name")
                return ()
        if len(set(value)) != len(value):
            self.problems.append(f"{section}.{key} names one thing twice")
        return tuple(value)

    def _path(
        self, section: str, values: dict[str, object], key: str, *, folder: bool
    ) -> Path | None:
        text = self._text(section, values, key)
        path = (self._root / text).resolve()
        if not text:
            return None
        if not path.is_relative_to(self._root):
            self.problems.append(f"{section}.{key}: {text!r} leaves the project's folder")
        elif not (path.is_dir() if folder else path.is_file()):
            kind = "folder" if folder else "file"
            self.problems.append(f"{section}.{key}: {text!r} is no {kind}")
        return path
