"""`cordapp lint`: finds what can make a Python contract differ between runs, hosts or versions.

It checks contract code only: a flow that diverges is detected by its journal, and a contract has
none. For vendored packages only the imports are checked against the sandbox's.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from host.domain.errors import InvalidInputError
from host.tools.lint_findings import Finding, Rule, Severity
from host.tools.lint_rules import RANDOM_MODULES, findings_of
from host.tools.project import CordappProject, CpkPlan
from host.tools.python_syntax import syntax_problem
from host.tools.runtime_modules import SourceRules
from host.tools.sources import SourceRefusedError, collect_sources, unreached_of
from host.tools.vendoring import vendored_packages

_ALLOW = re.compile(r"#\s*cordbox:\s*allow\s+([a-z-]+(?:\s*,\s*[a-z-]+)*)\s*(?::\s*(.*))?$")
_ALLOW_START = re.compile(r"#\s*cordbox:\s*allow\b")
_PROBLEM = re.compile(r"(?P<file>[^:]+):(?P<line>[0-9]+): (?P<text>.*)")
_IMPORTED = re.compile(r"import of '([^'.]+)")
_SILENT = frozenset({Rule.SYNTAX, Rule.ALLOW_REASON, Rule.ALLOW_UNUSED})
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
    """The warnings about a project's contract code, a sentence each.

    Without those about imports that fail later, of which a build warns itself.

    Raises:
        LintRefusedError: it has errors.
    """
    findings = lint_project(project)
    errors = tuple(found for found in findings if found.severity is Severity.ERROR)
    if errors:
        raise LintRefusedError(errors)
    return tuple(str(found) for found in findings if found.rule is not Rule.IMPORT_LATER)


def lint_project(project: CordappProject) -> tuple[Finding, ...]:
    """All findings in the contract part of a project, by file and line; none without sources."""
    plan = project.contract
    if plan is None or plan.source is None:
        return ()
    prefix = plan.source.relative_to(project.root).as_posix()
    found: list[Finding] = []
    imports = list(_import_findings(plan))
    for path, text in _own_files(plan.source).items():
        name = path if prefix == "." else f"{prefix}/{path}"
        here = [_moved(item, name) for item in imports if item.file == path]
        found += lint_text(name, text, imports=here)
    return tuple(sorted(found))


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


def _import_findings(plan: CpkPlan) -> Iterator[Finding]:
    """Imports for which a build would refuse the sources or warn, by file of the source folder."""
    if plan.source is None:
        return
    try:
        collected = collect_sources(
            plan.source,
            plan.modules,
            rules=SourceRules.of_default_runtime(),
            base={},
            vendored=vendored_packages(plan).modules,
            unreached=unreached_of(plan),
        )
        yield from _located(collected.warnings, Rule.IMPORT_LATER)
    except SourceRefusedError as refused:
        yield from _located(refused.problems, Rule.IMPORT)


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


def _moved(finding: Finding, file: str) -> Finding:
    return Finding(
        file=file,
        line=finding.line,
        column=finding.column,
        rule=finding.rule,
        message=finding.message,
    )


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
