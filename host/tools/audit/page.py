"""An audit as one self-contained HTML page: no scripts, no external fonts or images."""

from collections.abc import Iterator, Sequence

from host.domain.quotas import quota_meaning
from host.guests.limits import LIMITS
from host.guests.walls import Door
from host.tools.audit.drawing import drawing_of
from host.tools.audit.model import Audit, ComponentFacts, RuntimeFacts, Trust
from host.tools.audit.node import NodeFacts, node_rows
from host.tools.audit.policy import Finding, Policy
from host.tools.audit.text import TRUST_TEXT, amount, bounds_text, export_lines, limit_text, size
from host.tools.html_pages import code, render
from sandbox.anatomy import Anatomy

Row = tuple[str, Sequence[str]]
"""A term and its lines."""


def page_of(
    audit: Audit, policy: Policy, findings: Sequence[Finding], node: NodeFacts | None = None
) -> str:
    """The whole page; with the virtual node that runs the package, if there is one."""
    return render(
        __package__,
        "page.html.jinja",
        audit=audit,
        badges=list(_badges(audit, policy, len(findings))),
        numbers=_numbers(audit),
        findings=findings,
        member="" if node is None else node.x500_name,
        node=[] if node is None else [(term, [value]) for term, value in node_rows(node)],
        package=list(_package(audit)),
        runtimes=[
            {"facts": runtime, "origin": list(_runtime(runtime)), "body": list(_body(runtime.body))}
            for runtime in audit.runtimes
        ],
        components=[
            {
                "facts": component,
                "drawing": None if component.imports is None else drawing_of(component, f"cpk{n}"),
                "limits": list(_limits(component)),
                "body": list(_image(component) if component.runtime else _body(component.body)),
                "origin": list(_origin(component)),
                "declared": list(_declared(component)),
            }
            for n, component in enumerate(audit.components)
        ],
    )


def _badges(audit: Audit, policy: Policy, count: int) -> Iterator[tuple[str, str]]:
    """Verdicts with their colours."""
    words = f"{count} finding{'s' if count > 1 else ''}" if count else "No findings"
    yield words, "bad" if count else "good"
    yield TRUST_TEXT[audit.trust], _TRUST_COLOURS.get(audit.trust, "bad")
    if policy.name:
        yield f"Policy: {policy.name}", ""
    leaving = (
        fact.interface
        for component in audit.components
        for fact in component.imports or ()
        if fact.reaches and fact.interface != "log"
    )
    for name in dict.fromkeys(leaving):
        yield f"Data leaves by {name}", "out"


_TRUST_COLOURS = {Trust.TRUSTED: "good", Trust.NOT_JUDGED: ""}


def _numbers(audit: Audit) -> tuple[tuple[str, str], ...]:
    doors = [fact for c in audit.components for fact in c.imports or ()]
    shut = sum(fact.door is Door.REFUSED for fact in doors)
    bodies = [
        body
        for body in (*(c.body for c in audit.components), *(r.body for r in audit.runtimes))
        if body
    ]
    return (
        (amount(len(audit.components)), "CPKs"),
        (amount(len(doors) - shut), "functions that code can reach"),
        (amount(shut), "functions that are closed"),
        (size(audit.size), "package"),
        (size(sum(body.code_size for body in bodies)), "of WebAssembly code"),
    )


def _package(audit: Audit) -> Iterator[Row]:
    yield "Checksum", [code(audit.file_checksum)]
    if audit.signer_summary_hash:
        yield "Signer summary hash", [code(audit.signer_summary_hash)]
    for signer in audit.signers:
        key = f"{signer.key}, {signer.algorithm}, until {signer.not_after}"
        yield "Signer", [signer.subject, key, code(signer.certificate)]
    if not audit.signers:
        yield "Signer", ["nobody whose signature holds"]
    for note in audit.trust_notes:
        yield "Verification", [note.message, code(note.code)]
    if audit.group_id:
        yield "Group", [audit.group_kind or "", code(audit.group_id)]
    if audit.group_members:
        yield "Members", audit.group_members
    for note in audit.warnings:
        yield "Note", [note.message, code(note.code)]


def _limits(component: ComponentFacts) -> Iterator[tuple[str, str, str, str]]:
    """Each limit: its name, the descriptor's value, the host's value, the effective value."""
    for limit in component.limits:
        asked = "" if limit.asked is None else limit_text(limit.name, limit.asked)
        host, effective = (limit_text(limit.name, n) for n in (limit.host, limit.effective))
        yield quota_meaning(LIMITS[limit.name]), asked, host, effective


def _body(body: Anatomy | None) -> Iterator[Row]:
    if body is None:
        yield "Component", ["not read"]
        return
    yield "Size", [f"{size(body.size)} in {amount(body.modules)} core modules"]
    yield "Code", [f"{size(body.code_size)}, {amount(body.functions)} functions"]
    yield "Data", [size(body.data_size)]
    yield "Custom sections", [size(body.custom_size)]
    yield "Start functions", [amount(body.start_functions)]
    yield "Memories", [bounds_text(m, in_bytes=True) for m in body.memories] or ["none"]
    yield "Tables", [bounds_text(t, in_bytes=False) for t in body.tables] or ["none"]
    yield "Features", [", ".join(body.features) or "WebAssembly 1.0 only"]


def _image(component: ComponentFacts) -> Iterator[Row]:
    """What Python code adds to its runtime."""
    if component.image_size is None:
        yield "Image", ["not made"]
        return
    yield "Image", [f"{size(component.image_size)} of memory, sources loaded"]
    yield "Sources", [f"{component.source_files} files, {size(component.source_size)}"]
    yield "Runs in", ["the Python runtime of this package, told once"]


def _runtime(runtime: RuntimeFacts) -> Iterator[Row]:
    yield "Digest", [code(runtime.digest)]
    known = "not installed here"
    if runtime.known:
        known = f"built {runtime.built} with componentize-py {runtime.componentize_py}"
    yield "Origin", [known]
    yield "Runs", runtime.cpks


def _origin(component: ComponentFacts) -> Iterator[Row]:
    yield "CPK", [code(component.file_checksum)]
    if component.code_digest:
        yield "Image" if component.runtime else "Component", [code(component.code_digest)]
    if component.source_digest:
        files = f"{component.source_files} files, {size(component.source_size)}"
        yield "Python sources", [code(component.source_digest), files]
    if component.runtime:
        yield "Python runtime", [code(component.runtime)]
    tools = ", ".join(f"{name} {version}" for name, version in component.toolchain.items())
    if tools:
        yield "Toolchain", [tools]
    for subject in component.signers:
        yield "Signed by", [subject]


def _declared(component: ComponentFacts) -> Iterator[Row]:
    named = (
        ("Capabilities", component.capabilities),
        ("Flows", component.flows),
        ("Contracts", component.contracts),
        ("States", component.states),
        ("Entities", component.entities),
        ("Queries", component.queries),
        ("Exports", tuple(export_lines(component))),
    )
    for title, names in named:
        if names:
            yield title, [code(name) for name in names]
