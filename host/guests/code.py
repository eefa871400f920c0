"""The code of a CPK: extracting it from a verified package and building its component.

Both users share this code so that they cannot differ: the upload, which verifies a descriptor, and
the look-up before a run, which rebuilds a component that is no longer in the cache.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cpi.archive.zstd_frame import ZstdRefusedError, unpack_frame
from cpi.package.descriptor import PYTHON_PREFIX, CodeDescriptor
from cpi.package.model import VerifiedCpk
from host.domain.errors import InvalidInputError
from host.domain.guest_text import GuestTextError, checked_json, cut_message, mended_json
from sandbox.compile_budget import CompileBudget
from sandbox.errors import SandboxError
from sandbox.guest import Component
from sandbox.limits import Limits
from sandbox.python_source import PythonSource, data_text, is_data
from sandbox.runnable import Runnable
from sandbox.runtime import Sandbox
from sandbox.world import World

_REQUIRED = ("contracts", "states", "commands", "flows", "entities")
DESCRIBED = (*_REQUIRED, "queries")
"""Keys of `describe` that the descriptor repeats. Guests may leave out `queries`."""

COMPONENT_BYTES_MAX = 64 * 1024 * 1024

MAKING_MEMORY_BYTES = 512 * 1024 * 1024
"""Memory of making Python code runnable, the compiler of a runtime included (430 MiB)."""


class CodeRefusedError(InvalidInputError):
    """The code of a CPK cannot be used: missing, of the wrong world, or refused by the sandbox."""

    code = "cpk-code-refused"
    problems: tuple[str, ...] = ()
    """The mistakes in declarations, each with its file and line."""


class CodeMismatchError(InvalidInputError):
    """The image made from the sources, or the component, is not the one of the descriptor."""

    code = "cpk-code-mismatch"


class DescriptorMismatchError(InvalidInputError):
    """The code's own description differs from its descriptor."""

    code = "cpk-descriptor-mismatch"


@contextmanager
def refusing_code(label: str) -> Iterator[None]:
    """Convert sandbox errors of the block into `CodeRefusedError`, naming `label`."""
    try:
        yield
    except SandboxError as refused:
        raise CodeRefusedError(f"{label}: {refused.message}", sandboxCode=refused.code) from refused


@dataclass(frozen=True, slots=True, kw_only=True)
class CpkCode:
    """The code of one CPK in either form: `source` or `wasm` is set."""

    label: str
    descriptor: CodeDescriptor
    source: PythonSource | None
    wasm: bytes | None

    @property
    def world(self) -> World:
        return World(self.descriptor.world)

    @property
    def memory_bytes(self) -> int:
        """The most memory that making it runnable takes."""
        if self.wasm is None:
            return MAKING_MEMORY_BYTES
        return CompileBudget.of_code(len(self.wasm)).memory_bytes


def code_of(cpk: VerifiedCpk, siblings: Sequence[VerifiedCpk]) -> CpkCode:
    """Extract the code of a CPK; `siblings` are all CPKs of its CPB.

    Raises:
        CodeRefusedError: no descriptor, a world other than the manifest's, missing or damaged code.
        CodeMismatchError: the sources' digest is not the descriptor's.
    """
    label, descriptor = cpk.file_name, cpk.descriptor
    if descriptor is None:
        raise CodeRefusedError(f"{label}: wasm/descriptor.json is missing")
    if descriptor.world != cpk.world_type:
        raise CodeRefusedError(
            f"{label}: the descriptor says world {descriptor.world}, the manifest {cpk.world_type}"
        )
    if descriptor.form == "component":
        wasm = _unpack(label, descriptor, cpk.entries)
        return CpkCode(label=label, descriptor=descriptor, source=None, wasm=wasm)
    files = bundle_files(cpk, siblings)
    with refusing_code(label):
        source = PythonSource(files=files, entry_modules=descriptor.entry_modules)
    if source.digest != descriptor.source_digest:
        raise CodeMismatchError(
            f"{label}: the sources have digest {source.digest}, "
            f"the descriptor says {descriptor.source_digest}"
        )
    return CpkCode(label=label, descriptor=descriptor, source=source, wasm=None)


def bundle_files(cpk: VerifiedCpk, siblings: Sequence[VerifiedCpk]) -> dict[str, str]:
    """Files of a bundle (`PythonSource.files`): of the CPKs that `cpk` depends on, and its own.

    Its own win on the same path.
    """
    names = {dependency.name for dependency in cpk.dependencies}
    result: dict[str, str] = {}
    for sibling in siblings:
        if sibling.symbolic_name in names:
            result |= _own_files(sibling)
    return result | _own_files(cpk)


def _own_files(cpk: VerifiedCpk) -> dict[str, str]:
    result = {}
    for name, data in cpk.entries.items():
        if name.startswith(PYTHON_PREFIX) and not name.endswith("/"):
            path = name.removeprefix(PYTHON_PREFIX)
            try:
                result[path] = data_text(data) if is_data(path) else data.decode()
            except UnicodeDecodeError as refused:
                raise CodeRefusedError(f"{cpk.file_name}: {name} is not UTF-8") from refused
    return result


def _unpack(label: str, descriptor: CodeDescriptor, entries: Mapping[str, bytes]) -> bytes:
    """Decompress a component; its frame must hold exactly the size that the descriptor declares."""
    path, size = descriptor.component_path, descriptor.component_size
    if path is None or size is None or path not in entries:
        raise CodeRefusedError(f"{label}: the component {path} is missing")
    if size > COMPONENT_BYTES_MAX:
        raise CodeRefusedError(
            f"{label}: the component has {size} bytes, at most {COMPONENT_BYTES_MAX}"
        )
    try:
        return b"".join(unpack_frame([entries[path]], size=size))
    except ZstdRefusedError as refused:
        raise CodeRefusedError(f"{label}: {path} {refused}") from refused


def make_component(sandbox: Sandbox, code: CpkCode) -> Component:
    """Make the image of Python code or admit the component, and compare its digest.

    Raises:
        CodeRefusedError: the sandbox refuses the code, for example because of a forbidden import.
        CodeMismatchError: the digest is not the descriptor's; `details` has both.
    """
    with refusing_code(code.label):
        if code.source is not None:
            made = sandbox.make_image(code.world, code.source, runtime=code.descriptor.runtime)
        elif code.wasm is not None:
            made = sandbox.admit(code.world, code.wasm)
        else:
            raise CodeRefusedError(f"{code.label}: there is no code")
    expected = code.descriptor.code_digest
    if made.digest != expected:
        what = "component" if code.source is None else f"image of the sources {code.source.digest}"
        where = "" if code.source is None else f" in the runtime {made.runtime}"
        raise CodeMismatchError(
            f"{code.label}: the {what}{where} is {made.digest}, the descriptor says {expected}",
            expected=expected,
            found=made.digest,
        )
    return made


def describe(guest: Runnable, label: str) -> Mapping[str, Any]:
    """The code's description of itself; each key of `DESCRIBED` holds a list of named objects.

    Raises:
        CodeRefusedError: it traps, exceeds a limit, or returns other JSON.
    """
    with refusing_code(f"{label}: describe"):
        outcome = guest.call("describe", None, limits=Limits())
    text = getattr(outcome, "value", None)
    try:
        # The report of a Python guest's failure is sanitised like every failure text.
        is_report = (text or "").startswith('{"error"')
        answer = checked_json(mended_json(text or "") if is_report else text or "")
    except GuestTextError as refused:
        raise CodeRefusedError(f"{label}: describe: {refused.message}") from refused
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        refused_code = CodeRefusedError(f"{label}: {_report(answer['error'])}")
        refused_code.problems = _mistakes(answer["error"])
        raise refused_code
    described = {"queries": [], **answer} if isinstance(answer, dict) else {}
    if not all(_is_named(described.get(key)) for key in DESCRIBED):
        raise CodeRefusedError(
            f"{label}: describe must answer lists of named objects: {', '.join(_REQUIRED)}, and"
            " queries if there are any"
        )
    return described


def _mistakes(error: Mapping[str, Any]) -> tuple[str, ...]:
    """The lines of a report about declarations; each names its place."""
    if error.get("type") != "DeclarationError":
        return ()
    return tuple(cut_message(line) for line in str(error.get("message")).split("\n"))


def _report(error: Mapping[str, Any]) -> str:
    """Exception, message and innermost place of a failure that a Python guest reports."""
    mistakes = _mistakes(error)
    if mistakes:
        count = f"{len(mistakes)} declarations cannot work:\n" if len(mistakes) > 1 else ""
        return cut_message(count + "\n".join(mistakes))
    trace = error.get("trace")
    frame = trace[-1] if isinstance(trace, list) and trace else None
    place = f" ({frame.get('file')}:{frame.get('line')})" if isinstance(frame, dict) else ""
    text = f"{error.get('type')}: {error.get('message')}{place}"
    return cut_message(f"the code cannot be loaded: {text}")


def _is_named(items: object) -> bool:
    return isinstance(items, list) and all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in items
    )


def check_description(code: CpkCode, guest: Runnable) -> None:
    """Compare the code's description of itself with its descriptor.

    Raises:
        DescriptorMismatchError: they differ; the message names the part.
        CodeRefusedError: `describe` fails.
    """
    answer = describe(guest, code.label)
    for key in DESCRIBED:
        declared = json.loads(json.dumps(list(getattr(code.descriptor, key))))
        found = answer[key]
        if found != declared:
            raise DescriptorMismatchError(
                f"{code.label}: the {key} that the code describes ({_names(found)}) are not "
                f"those of the descriptor ({_names(declared)})"
            )


def prove(
    sandbox: Sandbox, code: CpkCode, candidate: Callable[[World, str], Runnable] | None = None
) -> None:
    """Verify a descriptor by running the code: component and description must be the declared ones.

    Args:
        sandbox: makes the image or admits the component.
        code: the code to verify.
        candidate: returns the guest; by default the sandbox's.

    Raises:
        CodeRefusedError, CodeMismatchError, DescriptorMismatchError: it does not.
    """
    component = make_component(sandbox, code)
    with refusing_code(code.label):
        guest = (candidate or sandbox.guest)(code.world, component.digest)
    check_description(code, guest)


def _names(items: Sequence[Mapping[str, Any]]) -> str:
    return "[" + ", ".join(str(item["name"]) for item in items) + "]"
