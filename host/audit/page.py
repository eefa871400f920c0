"""An audit as one HTML page that needs nothing else: no script, font or image from elsewhere."""

from collections.abc import Iterable, Iterator, Sequence
from importlib import resources

from host.audit.drawing import drawing_of, text
from host.audit.model import Audit, BodyFacts, ComponentFacts, Door, Trust
from host.audit.node import NodeFacts, node_rows
from host.audit.policy import Finding, Policy
from host.audit.text import TRUST_TEXT, amount, bounds_text, export_lines, limit_text, size

_SECURITY = "default-src 'none'; style-src 'unsafe-inline'"

Row = tuple[str, str]
"""A term and its HTML."""


def page_of(
    audit: Audit, policy: Policy, findings: Sequence[Finding], node: NodeFacts | None = None
) -> str:
    """The whole page; with the virtual node that runs the package, if there is one."""
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    name = f"{audit.name} {audit.version}" if audit.name else audit.file
    body = "\n".join(
        (
            _header(audit, policy, findings),
            _numbers(audit),
            _findings(findings),
            _node(node),
            _package(audit),
            *(_component(component) for component in audit.components),
            _footer(audit),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_SECURITY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Audit of {text(name)}</title><style>{style}</style></head>\n"
        f"<body><main>{body}</main></body></html>\n"
    )


def _header(audit: Audit, policy: Policy, findings: Sequence[Finding]) -> str:
    name = audit.name or audit.file
    version = f" {text(audit.version)}" if audit.version else ""
    count = len(findings)
    words = f"{count} finding{'s' if count > 1 else ''}" if count else "No findings"
    judged = f"Policy: {policy.name}" if policy.name else ""
    badges = [
        _badge(words, "bad" if count else "good"),
        _badge(TRUST_TEXT[audit.trust], _trust_colour(audit.trust)),
        _badge(judged, ""),
        *(_badge(f"Data leaves by {name}", "out") for name in _leaving(audit)),
    ]
    return (
        f'<header><p class="eyebrow">Sandbox audit · {audit.package_type}</p>'
        f"<h1>{text(name)}{version}</h1>"
        f'<p class="sub"><code>{text(audit.file)}</code></p>'
        f'<ul class="verdicts">{"".join(badges)}</ul></header>'
    )


def _trust_colour(trust: Trust) -> str:
    return {Trust.TRUSTED: "good", Trust.NOT_JUDGED: ""}.get(trust, "bad")


def _badge(words: str, colour: str) -> str:
    return f'<li class="badge {colour}">{text(words)}</li>' if words else ""


def _leaving(audit: Audit) -> list[str]:
    found = (
        fact.interface
        for component in audit.components
        for fact in component.imports or ()
        if fact.reaches and fact.interface != "log"
    )
    return list(dict.fromkeys(found))


def _numbers(audit: Audit) -> str:
    doors = [fact for c in audit.components for fact in c.imports or ()]
    shut = sum(fact.door is Door.REFUSED for fact in doors)
    code = sum(component.body.code_size for component in audit.components if component.body)
    tiles = (
        (amount(len(audit.components)), "CPKs"),
        (amount(len(doors) - shut), "functions that code can reach"),
        (amount(shut), "functions that are closed"),
        (size(audit.size), "package"),
        (size(code), "of WebAssembly code"),
    )
    cells = "".join(f'<div class="number"><b>{n}</b><span>{w}</span></div>' for n, w in tiles)
    return f'<section class="numbers">{cells}</section>'


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    items = "".join(
        f"<li><code>{finding.code}</code> "
        f"{f'<b>{text(finding.component)}</b>: ' if finding.component else ''}"
        f"{text(finding.message)}</li>"
        for finding in findings
    )
    listed = f'<ul class="findings">{items}</ul>'
    return f'<section class="card"><h2>Findings</h2>{listed}</section>'


def _node(node: NodeFacts | None) -> str:
    if node is None:
        return ""
    rows = [(text(term), text(told)) for term, told in node_rows(node)]
    return f'<section class="card"><h2>Virtual node</h2>{_table(rows)}</section>'


def _package(audit: Audit) -> str:
    rows: list[Row] = [("Checksum", _code(audit.file_checksum))]
    if audit.signer_summary_hash:
        rows.append(("Signer summary hash", _code(audit.signer_summary_hash)))
    for signer in audit.signers:
        key = f"{signer.key}, {signer.algorithm}, until {signer.not_after}"
        rows.append(
            ("Signer", f"{text(signer.subject)}<br>{text(key)}<br>{_code(signer.certificate)}")
        )
    if not audit.signers:
        rows.append(("Signer", "nobody whose signature holds"))
    rows += [
        ("Verification", f"{text(note.message)} <code>{text(note.code)}</code>")
        for note in audit.trust_notes
    ]
    if audit.group_id:
        rows.append(("Group", f"{text(audit.group_kind or '')}, {_code(audit.group_id)}"))
    if audit.group_members:
        rows.append(("Members", "<br>".join(text(member) for member in audit.group_members)))
    rows += [
        ("Note", f"{text(note.message)} <code>{text(note.code)}</code>") for note in audit.warnings
    ]
    return f'<section class="card"><h2>Package</h2>{_table(rows)}</section>'


def _component(component: ComponentFacts) -> str:
    head = (
        f"<h2>{text(component.name)} {text(component.version)}</h2>"
        f'<p class="sub">{component.kind} CPK <code>{text(component.file)}</code></p>'
    )
    parts = [head]
    if component.refusal:
        parts.append(
            f'<p class="refused"><b>No sandbox takes this code.</b> '
            f"{text(component.refusal.message)} <code>{text(component.refusal.code)}</code></p>"
        )
    if component.imports is not None:
        parts.append(f'<div class="scroll">{drawing_of(component)}</div>')
    if component.leaves:
        items = "".join(f"<li>{text(sentence)}</li>" for sentence in component.leaves)
        parts.append(f'<h3>What leaves the virtual node</h3><ul class="leaves">{items}</ul>')
    parts.append(
        f'<div class="pair"><div><h3>Limits of a run</h3>{_limits(component)}</div>'
        f"<div><h3>Body</h3>{_table(_body(component.body))}</div></div>"
    )
    parts.append(f"<h3>Origin</h3>{_table(_origin(component))}")
    declared = list(_declared(component))
    if declared:
        parts.append(f"<h3>Declares</h3>{_table(declared)}")
    return f'<section class="card">{"".join(parts)}</section>'


def _limits(component: ComponentFacts) -> str:
    rows = "".join(
        f"<tr><td>{_LIMIT_NAMES.get(limit.name, limit.name)}</td>"
        f'<td class="n">{"" if limit.asked is None else limit_text(limit.name, limit.asked)}</td>'
        f'<td class="n">{limit_text(limit.name, limit.host)}</td>'
        f'<td class="n"><b>{limit_text(limit.name, limit.effective)}</b></td></tr>'
        for limit in component.limits
    )
    head = "<th></th><th class=n>asked</th><th class=n>host</th><th class=n>in force</th>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


_LIMIT_NAMES = {
    "fuelMax": "Fuel (about one an instruction)",
    "memoryBytesMax": "Each memory",
    "tableElementsMax": "Elements of each table",
    "wallMsMax": "Wall clock",
    "payloadBytesMax": "Each text across the wall",
    "hostCallsMax": "Calls of the host",
    "logBytesMax": "Log text",
}


def _body(body: BodyFacts | None) -> Iterator[Row]:
    if body is None:
        yield "Component", "not read"
        return
    yield "Size", f"{size(body.size)} in {amount(body.modules)} core modules"
    yield "Code", f"{size(body.code_size)}, {amount(body.functions)} functions"
    yield "Data", size(body.data_size)
    yield "Custom sections", size(body.custom_size)
    yield "Start functions", amount(body.start_functions)
    yield "Memories", "<br>".join(bounds_text(m, in_bytes=True) for m in body.memories) or "none"
    yield "Tables", "<br>".join(bounds_text(t, in_bytes=False) for t in body.tables) or "none"
    yield "Features", ", ".join(body.features) or "WebAssembly 1.0 only"


def _origin(component: ComponentFacts) -> Iterator[Row]:
    yield "CPK", _code(component.file_checksum)
    if component.component_digest:
        yield "Component", _code(component.component_digest)
    if component.source_digest:
        files = f"{component.source_files} files, {size(component.source_size)}"
        yield "Python sources", f"{_code(component.source_digest)}<br>{files}"
    if component.runtime:
        known = "not installed here"
        if component.runtime.known:
            tool = f"componentize-py {component.runtime.componentize_py}"
            known = f"built {component.runtime.built} with {tool}"
        yield "Python runtime", f"{_code(component.runtime.digest)}<br>{text(known)}"
    tools = ", ".join(f"{name} {version}" for name, version in component.toolchain.items())
    if tools:
        yield "Toolchain", text(tools)
    for subject in component.signers:
        yield "Signed by", text(subject)


def _declared(component: ComponentFacts) -> Iterator[Row]:
    named = (
        ("Capabilities", component.capabilities),
        ("Flows", component.flows),
        ("Contracts", component.contracts),
        ("States", component.states),
        ("Entities", component.entities),
    )
    for title, names in named:
        if names:
            yield title, "<br>".join(_code(name) for name in names)
    if component.exports:
        yield "Exports", "<br>".join(_code(line) for line in export_lines(component))


def _footer(audit: Audit) -> str:
    return (
        f"<footer>Engine: wasmtime {text(audit.engine['wasmtime'])}, profile "
        f"{_code(audit.engine['profile'])}. Imports and exports are those of the component that "
        "runs, read from its binary; doors that are open only if granted depend on the virtual "
        "node.</footer>"
    )


def _code(content: str) -> str:
    return f"<code>{text(content)}</code>"


def _table(rows: Iterable[Row]) -> str:
    cells = "".join(f"<tr><th>{term}</th><td>{html}</td></tr>" for term, html in rows)
    return f'<div class="scroll"><table>{cells}</table></div>'
