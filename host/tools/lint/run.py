"""`cordapp lint`: finds what can make a Python contract differ between runs, hosts or versions.

Rules about code are for contracts: a flow that diverges is detected by its journal, and a contract
has none. Of a workflow's code only calls are found that a sandbox refuses, and that a test which
runs natively may not meet. For vendored packages only the imports are checked against the
sandbox's. What a build refuses besides, such as an entry module that is missing, is found in both
parts.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from host.domain.errors import InvalidInputError
from host.domain.packages import CodeWorld
from host.tools.cordapps.project import PROJECT_FILE, CordappProject, CpkPlan
from host.tools.cordapps.project_lines import line_of
from host.tools.cordapps.python_syntax import syntax_problem
from host.tools.cordapps.runtime_modules import SourceRules
from host.tools.cordapps.sources import SourceRefusedError, collect_sources, unreached_of
from host.tools.cordapps.vendoring import vendored_packages
from host.tools.lint.findings import Finding, Rule, Severity
from host.tools.lint.rules import RANDOM_MODULES, findings_of

_ALLOW = re.compile(r"#\s*cordbox:\s*allow\s+([a-z-]+(?:\s*,\s*[a-z-]+)*)\s*(?::\s*(.*))?$")
_ALLOW_START = re.compile(r"#\s*cordbox:\s*allow\b")
_PROBLEM = re.compile(r"(?P<file>[^:]+):(?P<line>[0-9]+): (?P<text>.*)")
_IMPORTED = re.compile(r"import of '([^'.]+)")
_OWN_WARNINGS = frozenset({Rule.IMPORT_LATER, Rule.SOURCES})
"""Rules whose findings a build reports itself."""
_IN_WORKFLOWS = {Rule.CLOCK: Rule.FLOW_CLOCK, Rule.RANDOMNESS: Rule.FLOW_RANDOMNESS}
_SILENT = frozenset({Rule.SYNTAX, Rule.SOURCES, Rule.ALLOW_REASON, Rule.ALLOW_UNUSED})
"""Rules that no comment can disable."""


class LintRefusedError(InvalidInputError):
    """Contract code that could give different verdicts; `findings` names each place."""

    code = "cordapp-lint-refused"

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.problems = tuple(f"{found}: {found.hint}" for found in findings)
        super().__init__("; ".join(self.problems))
        self.findings = findings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowance:
    line: int
    rules: frozenset[str]
    reason: str
    covers: int


def checked(project: CordappProject) -> tuple[str, ...]:
    """The warnings about a project's code, a sentence each.

    Without those that a build finds itself: imports that fail later, and what it refuses.

    Raises:
        LintRefusedError: it has errors.
    """
    findings = [found for found in lint_project(project) if found.rule not in _OWN_WARNINGS]
    errors = tuple(found for found in findings if found.severity is Severity.ERROR)
    if errors:
        raise LintRefusedError(errors)
    return tuple(f"{found}: {found.hint}" for found in findings)


def lint_project(project: CordappProject) -> tuple[Finding, ...]:
    """All findings in a project's Python sources, by file and line."""
    found: list[Finding] = []
    for plan in (project.contract, project.workflow):
        if plan is not None and plan.source is not None and plan.language is None:
            found += _part_findings(plan, plan.source, project.root)
    return tuple(sorted(found))


def _part_findings(plan: CpkPlan, source: Path, root: Path) -> Iterator[Finding]:
    is_contract = plan.world is CodeWorld.CONTRACT
    files, findings = _own_files(source), list(_import_findings(plan, source))
    prefix = source.relative_to(root).as_posix()
    names = {path: path if prefix == "." else f"{prefix}/{path}" for path in files}
    if is_contract:
        for path, text in files.items():
            imports = [
                replace(item, file=names[path])
                for item in findings
                if item.file == path and item.rule is not Rule.SOURCES
            ]
            yield from lint_text(names[path], text, imports=imports)
    else:
        for path, text in files.items():
            yield from _refused_calls(names[path], text)
    for item in findings:
        is_read = is_contract and item.line > 0  # a fault of syntax, which `lint_text` has found
        if item.rule is Rule.SOURCES and not is_read:
            file = names.get(item.file, item.file)
            line = item.line or _line_in_project(root / file, plan)
            yield replace(item, file=file, line=line)


def lint_text(path: str, text: str, *, imports: list[Finding]) -> Iterator[Finding]:
    """The findings in one file that no comment allows; `imports` are those about its imports."""
    try:
        tree = ast.parse(text, filename=path)
    except (SyntaxError, ValueError, RecursionError) as refused:
        line, column = getattr(refused, "lineno", None) or 1, getattr(refused, "offset", None) or 1
        message = syntax_problem(refused)
        yield Finding(file=path, line=line, column=column, rule=Rule.SYNTAX, message=message)
        return
    allowances = list(_allowances(text))
    used: set[tuple[int, str]] = set()
    for finding in [*imports, *findings_of(path, tree)]:
        silencing = [a for a in allowances if a.covers == finding.line and finding.rule in a.rules]
        used |= {(a.line, finding.rule) for a in silencing}
        if not silencing or finding.rule in _SILENT:
            yield finding
    yield from _judged(path, text, allowances, used)


def _refused_calls(path: str, text: str) -> Iterator[Finding]:
    """The calls in one file of a workflow that fail in a sandbox, and that no comment allows."""
    try:
        tree = ast.parse(text, filename=path)
    except (SyntaxError, ValueError, RecursionError):
        return  # what reads the imports tells it
    allowances = list(_allowances(text))
    for finding in findings_of(path, tree):
        rule = _IN_WORKFLOWS.get(finding.rule)
        if rule and not any(a.covers == finding.line and rule in a.rules for a in allowances):
            yield replace(finding, rule=rule)


def _judged(
    path: str, text: str, allowances: list[_Allowance], used: set[tuple[int, str]]
) -> Iterator[Finding]:
    """Findings about the comments themselves."""
    for line, comment in _comments(text):
        if _ALLOW_START.match(comment) and all(a.line != line for a in allowances):
            message = "an allow comment without a rule"
            yield Finding(file=path, line=line, column=1, rule=Rule.ALLOW_REASON, message=message)
    for allowance in allowances:
        unknown = sorted(allowance.rules - set(Rule))
        where = {"file": path, "line": allowance.line, "column": 1}
        if unknown or not allowance.reason:
            what = f"no rule {unknown[0]!r}" if unknown else "no reason is given"
            yield Finding(**where, rule=Rule.ALLOW_REASON, message=what)  # type: ignore[arg-type]
        for rule in sorted(allowance.rules & set(Rule)):
            if (allowance.line, rule) not in used:
                what = f"{rule} is allowed, but not found"
                yield Finding(**where, rule=Rule.ALLOW_UNUSED, message=what)  # type: ignore[arg-type]


def _allowances(text: str) -> Iterator[_Allowance]:
    """Comments that allow rules, for their own line, or for the next one if they stand alone."""
    lines = text.splitlines()
    for line, comment in _comments(text):
        match = _ALLOW.match(comment)
        if match:
            alone = lines[line - 1].lstrip().startswith("#")
            yield _Allowance(
                line=line,
                rules=frozenset(re.split(r"\s*,\s*", match[1])),
                reason=(match[2] or "").strip(),
                covers=_next_code(lines, line) if alone else line,
            )


def _next_code(lines: list[str], line: int) -> int:
    """The number of the first line after `line` that is neither blank nor a comment."""
    for number in range(line + 1, len(lines) + 1):
        content = lines[number - 1].strip()
        if content and not content.startswith("#"):
            return number
    return line


def _comments(text: str) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return


def _import_findings(plan: CpkPlan, source: Path) -> Iterator[Finding]:
    """What a build refuses or warns of in the sources, by file of the source folder.

    Line 0 stands for a file as a whole.
    """
    try:
        collected = collect_sources(
            source,
            plan.modules,
            rules=SourceRules.of_default_runtime(),
            base={},
            vendored=vendored_packages(plan).modules,
            unreached=unreached_of(plan),
        )
        yield from _located(collected.warnings, Rule.IMPORT_LATER)
    except SourceRefusedError as refused:
        yield from _located(refused.problems, Rule.IMPORT)
        yield from _refusals(refused.problems, source)


def _located(sentences: Iterable[str], rule: Rule) -> Iterator[Finding]:
    """Findings for those of the sentences that name file, line and an imported module."""
    for sentence in sentences:
        match = _PROBLEM.match(sentence)
        imported = match and _IMPORTED.match(match["text"])
        if match and imported:
            yield Finding(
                file=match["file"],
                line=int(match["line"]),
                column=1,
                rule=Rule.RANDOMNESS if imported[1] in RANDOM_MODULES else rule,
                message=match["text"],
            )


def _refusals(sentences: Iterable[str], source: Path) -> Iterator[Finding]:
    """Findings for the other sentences, whose file is in the source folder, or cordapp.toml."""
    for sentence in sentences:
        match = _PROBLEM.match(sentence)
        if match and _IMPORTED.match(match["text"]):
            continue
        file, line, text = PROJECT_FILE, 0, sentence
        if match:
            file, line, text = match["file"], int(match["line"]), match["text"]
        elif (source / sentence.partition(": ")[0]).is_file():
            file, _, text = sentence.partition(": ")
        yield Finding(file=file, line=line, column=1, rule=Rule.SOURCES, message=text)


def _line_in_project(file: Path, plan: CpkPlan) -> int:
    """The line of cordapp.toml that names a part's entry modules; 1 of another file."""
    if file.name != PROJECT_FILE:
        return 1
    return line_of(file.read_text(encoding="utf-8"), f"{plan.world.value}.modules") or 1


def _own_files(folder: Path) -> Mapping[str, str]:
    """The `.py` files that a build takes from a source folder, test files left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode("utf-8-sig", "replace")
        for path in sorted(folder.rglob("*.py"))
        if path.is_file() and not _is_skipped(path.relative_to(folder))
    }


def _is_skipped(path: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return hidden or path.name.startswith("test_") or path.name == "conftest.py"
