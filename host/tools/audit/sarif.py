"""Findings as SARIF 2.1.0, for code scanning services. Source: OASIS SARIF 2.1.0."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from host.domain.json import JsonObject
from host.tools.audit.model import Audit, document
from host.tools.audit.policy import RULES, Finding

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif_of(audit: Audit, findings: Sequence[Finding]) -> JsonObject:
    """One run: a rule for each code that exists, a result for each finding."""
    codes = list(RULES)
    uri = quote(audit.file)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "cordbox audit",
                        "semanticVersion": version("cordbox"),
                        "rules": [_rule(code) for code in codes],
                    }
                },
                "artifacts": [
                    {
                        "location": {"uri": uri},
                        "length": audit.size,
                        "hashes": {"sha-256": audit.file_checksum.rpartition(":")[2].lower()},
                    }
                ],
                "results": [_result(finding, codes, uri) for finding in findings],
                "properties": {"audit": document(audit)},
            }
        ],
    }


def _rule(code: str) -> JsonObject:
    return {
        "id": code,
        "shortDescription": {"text": RULES[code]},
        "defaultConfiguration": {"level": "error"},
    }


def _result(finding: Finding, codes: Sequence[str], uri: str) -> JsonObject:
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": uri, "index": 0}}}
    if finding.component:
        location["logicalLocations"] = [{"name": finding.component, "kind": "module"}]
    place = f"{finding.component}: " if finding.component else ""
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": "error",
        "message": {"text": f"{place}{finding.message}"},
        "locations": [location],
    }
