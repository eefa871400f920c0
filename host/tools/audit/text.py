"""An audit as text: names come from the package, so non-printable characters are escaped."""

from collections.abc import Iterator, Sequence

from host.domain.printable import printable
from host.domain.wording import count
from host.guests.walls import Door, ImportFacts
from host.tools.audit.model import Audit, ComponentFacts, Trust
from host.tools.audit.node import NodeFacts, node_rows
from host.tools.audit.policy import Finding
from sandbox.anatomy import Anatomy, Bounds

TRUST_TEXT = {
    Trust.TRUSTED: "signed, and the signers are trusted",
    Trust.NOT_JUDGED: "signed; trust not judged, since no certificate was given",
    Trust.UNTRUSTED: "SIGNED BY SOMEONE WHO IS NOT TRUSTED",
    Trust.NOT_VERIFIED: "UNSIGNED OR NOT VALID: nothing below is vouched for",
}

_EVERYTHING = (1 << 53) - 1
"""The largest number that a descriptor can ask for."""


def text_of(audit: Audit, findings: Sequence[Finding], node: NodeFacts | None = None) -> str:
    """The whole report; with the virtual node that runs the package, if there is one."""
    about = [] if node is None else [*_node(node), ""]
    return "\n".join(printable(line) for line in (*about, *_lines(audit, findings))) + "\n"


def _node(node: NodeFacts) -> Iterator[str]:
    width = max(len(term) for term, _ in node_rows(node))
    for term, value in node_rows(node):
        yield f"{term:<{width}}  {value}"


def amount(number: int) -> str:
    """A number with grouped digits: `2_000_000_000` becomes `2,000,000,000`."""
    return count(number)


def size(number: int) -> str:
    """A size in bytes for people: `128 MiB`, `16.4 KiB`, `512 B`."""
    for unit, bytes_a_unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= bytes_a_unit:
            return f"{number / bytes_a_unit:.1f}".removesuffix(".0") + f" {unit}"
    return f"{number} B"


def limit_text(name: str, number: int) -> str:
    """A limit for people, by the unit in its name."""
    if number >= _EVERYTHING:
        return "everything"
    if "Bytes" in name:
        return size(number)
    return f"{amount(number)} ms" if name == "wallMsMax" else amount(number)


def bounds_text(bounds: Bounds, *, in_bytes: bool) -> str:
    """`15.3 MiB, no maximum of its own`."""
    show = size if in_bytes else amount
    top = "no maximum of its own" if bounds.maximum is None else f"at most {show(bounds.maximum)}"
    return f"{show(bounds.minimum)}, {top}"


def _lines(audit: Audit, findings: Sequence[Finding]) -> Iterator[str]:
    identity = f" {audit.name} {audit.version}" if audit.name else ""
    yield f"{audit.file}: {audit.package_type}{identity}, {size(audit.size)}"
    yield f"  checksum  {audit.file_checksum}"
    yield f"  trust     {TRUST_TEXT[audit.trust]}"
    for note in audit.trust_notes:
        yield f"            [{note.code}] {note.message}"
    for signer in audit.signers:
        yield f"  signer    {signer.subject} ({signer.key}, until {signer.not_after})"
        yield f"            certificate {signer.certificate}"
    if audit.group_id:
        yield f"  group     {audit.group_kind}, {audit.group_id}"
    yield f"  engine    wasmtime {audit.engine['wasmtime']}, profile {audit.engine['profile'][:16]}"
    for runtime in audit.runtimes:
        known = f"built {runtime.built}" if runtime.known else "NOT INSTALLED"
        yield f"  runtime   {runtime.digest} ({known})"
        yield f"            runs {', '.join(runtime.cpks)}"
        if runtime.body:
            yield from _body(runtime.body)
    for component in audit.components:
        yield ""
        yield from _component(component)
    for warning in audit.warnings:
        yield f"warning[{warning.code}]: {warning.message}"
    yield ""
    yield f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"
    for finding in findings:
        place = f"{finding.component}: " if finding.component else ""
        yield f"  [{finding.code}] {place}{finding.message}"


def _component(component: ComponentFacts) -> Iterator[str]:
    yield f"{component.kind} CPK {component.name} {component.version}  {component.file}"
    yield f"  checksum   {component.file_checksum}"
    if component.world is None:
        yield "  no WebAssembly code"
        return
    tools = ", ".join(f"{name} {version}" for name, version in component.toolchain.items())
    yield f"  world      {component.world} {component.world_version}"
    yield f"  form       {component.form}{f' ({tools})' if tools else ''}"
    if component.runtime:
        yield f"  runtime    {component.runtime}"
    if component.source_digest:
        yield f"  source     {component.source_digest} ({component.source_files} files)"
    memory = "" if component.image_size is None else f" ({size(component.image_size)} of memory)"
    yield f"  {'image' if component.runtime else 'component':<10} {component.code_digest}{memory}"
    if component.refusal:
        yield f"  REFUSED    [{component.refusal.code}] {component.refusal.message}"
    if component.body:
        yield from _body(component.body)
    yield from _imports(component)
    for line in export_lines(component):
        yield f"  export     {line}"
    for limit in component.limits:
        asked = "" if limit.asked is None else f" (asks for {limit_text(limit.name, limit.asked)})"
        yield f"  limit      {limit.name} {limit_text(limit.name, limit.effective)}{asked}"
    yield from _declared(component)


def _declared(component: ComponentFacts) -> Iterator[str]:
    for title in ("flows", "contracts", "states", "entities", "queries", "leaves"):
        for name in getattr(component, title):
            yield f"  {title:<10} {name}"


def _body(body: Anatomy) -> Iterator[str]:
    yield (
        f"  body       {size(body.size)}: {amount(body.modules)} core modules, "
        f"{amount(body.functions)} functions, code {size(body.code_size)}, "
        f"data {size(body.data_size)}"
    )
    for memory in body.memories:
        yield f"  memory     {bounds_text(memory, in_bytes=True)}"
    for table in body.tables:
        yield f"  table      elements: {bounds_text(table, in_bytes=False)}"
    yield f"  features   {', '.join(body.features) or 'WebAssembly 1.0 only'}"


def export_lines(component: ComponentFacts) -> Iterator[str]:
    """Exports with their types; componentize-py's own exports are summarised in one line."""
    leftovers = 0
    for name, kind in component.exports.items():
        if name.startswith("exports#"):
            leftovers += 1
        else:
            yield f"{name}: {kind}"
    if leftovers:
        yield f"exports#…: {leftovers} leftovers of componentize-py, which the host never calls"


def _imports(component: ComponentFacts) -> Iterator[str]:
    if component.imports is None:
        return
    if not component.imports:
        yield "  imports    nothing"
    for fact in component.imports:
        yield f"  import     {fact.interface}.{fact.function}  {door_text(fact)}"


def door_text(fact: ImportFacts) -> str:
    """Whether calls are permitted, the quota, and the receivers of sent data."""
    if fact.door is Door.REFUSED:
        return "REFUSED: not declared, or not allowed here; a call ends the run"
    kind = "always granted" if fact.door is Door.ALWAYS else "granted if the node grants it"
    quota = f"{amount(fact.quota['callsOfARunMax'])} calls a run, "
    quota += f"{size(fact.quota['payloadBytesMax'])} a text"
    if "logBytesMax" in fact.quota:
        quota += f", {size(fact.quota['logBytesMax'])} of log a run"
    reach = f"; reaches {fact.reaches}" if fact.reaches else ""
    return f"{kind}; {quota}{reach}"
