"""The linter's vocabulary: rules with severity and hint, and findings with file and line."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Severity(StrEnum):
    """An error stops a build."""

    ERROR = "error"
    WARNING = "warning"


class Rule(StrEnum):
    """The code of a rule, as findings, `allow` comments and JSON name it."""

    IMPORT = "import-not-allowed"
    IMPORT_LATER = "import-fails-later"
    CLOCK = "clock"
    RANDOMNESS = "randomness"
    FLOW_CLOCK = "flow-clock"
    FLOW_RANDOMNESS = "flow-randomness"
    HASH = "hash"
    IDENTITY = "object-identity"
    SET_ORDER = "set-order"
    FLOAT_AMOUNT = "float-amount"
    GLOBAL_STATE = "global-state"
    SYNTAX = "syntax"
    SOURCES = "sources-refused"
    ALLOW_REASON = "allow-without-reason"
    ALLOW_UNUSED = "allow-unused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """The severity of a rule's findings, and the recommended alternative."""

    severity: Severity
    hint: str


RULES: Mapping[Rule, RuleFacts] = MappingProxyType(
    {
        Rule.IMPORT: RuleFacts(
            severity=Severity.ERROR,
            hint="use the SDK, own modules and the runtime's standard modules only",
        ),
        Rule.IMPORT_LATER: RuleFacts(
            severity=Severity.WARNING,
            hint="the code is refused where it comes here: remove the import, or catch ImportError",
        ),
        Rule.CLOCK: RuleFacts(
            severity=Severity.ERROR,
            hint="a contract has no clock: use the transaction's time_window",
        ),
        Rule.RANDOMNESS: RuleFacts(
            severity=Severity.ERROR,
            hint="a contract has no randomness: let the flow put the value into the transaction",
        ),
        Rule.FLOW_CLOCK: RuleFacts(
            severity=Severity.WARNING,
            hint="a sandbox has no clock: use self.clock.now() in a flow",
        ),
        Rule.FLOW_RANDOMNESS: RuleFacts(
            severity=Severity.WARNING,
            hint="a sandbox has no randomness: use self.random in a flow, or random.Random(seed)",
        ),
        Rule.HASH: RuleFacts(
            severity=Severity.ERROR,
            hint="hash() differs between Python versions: use hashlib.sha256",
        ),
        Rule.IDENTITY: RuleFacts(
            severity=Severity.ERROR,
            hint="id() is a memory address: compare with `is` or `==`",
        ),
        Rule.SET_ORDER: RuleFacts(
            severity=Severity.WARNING,
            hint="the order of a set depends on hashes: iterate over sorted(...) of it",
        ),
        Rule.FLOAT_AMOUNT: RuleFacts(
            severity=Severity.WARNING,
            hint="floats round: count the smallest unit with int, divide with // and %, or Decimal",
        ),
        Rule.GLOBAL_STATE: RuleFacts(
            severity=Severity.WARNING,
            hint="every verification starts afresh, so nothing is kept: pass values as arguments",
        ),
        Rule.SYNTAX: RuleFacts(severity=Severity.ERROR, hint="Python cannot read this file"),
        Rule.SOURCES: RuleFacts(
            severity=Severity.ERROR, hint="a build refuses the project for this: correct it"
        ),
        Rule.ALLOW_REASON: RuleFacts(
            severity=Severity.ERROR,
            hint="write `# cordbox: allow RULE: why it is right here`, with a rule's code",
        ),
        Rule.ALLOW_UNUSED: RuleFacts(
            severity=Severity.WARNING, hint="nothing is found here: remove the comment"
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One place that breaks a rule. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    rule: Rule
    message: str

    @property
    def severity(self) -> Severity:
        return RULES[self.rule].severity

    @property
    def hint(self) -> str:
        return RULES[self.rule].hint

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message} [{self.rule}]"
