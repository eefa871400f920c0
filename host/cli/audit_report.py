"""Shared code of the audit commands: the policy, the forms of the report, and its output."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from host.tools.audit.model import Audit
    from host.tools.audit.node import NodeFacts
    from host.tools.audit.policy import Policy


def read_policy(file: Path | None) -> "Policy":
    from cpi.package.files import read_limited
    from host.tools.audit.policy import POLICY_BYTES_MAX, Policy, PolicyInvalidError, parse_policy

    if file is None:
        return Policy()
    try:
        return parse_policy(read_limited(file, POLICY_BYTES_MAX))
    except PolicyInvalidError as refused:
        raise click.UsageError(f"{file}: {refused.message}") from refused


def report_of(
    audit: "Audit",
    policy: "Policy",
    findings: Any,
    output: str,
    node: "NodeFacts | None" = None,
) -> str:
    """The report in the form `output`, with the node that runs the package, if any."""
    from host.tools.audit.model import document, plain_of
    from host.tools.audit.page import page_of
    from host.tools.audit.sarif import sarif_of
    from host.tools.audit.text import text_of

    if output == "html":
        return page_of(audit, policy, findings, node)
    if output == "sarif":
        return json_text(sarif_of(audit, findings))
    if output == "json":
        verdict = {"policy": policy.name or None, "findings": plain_of(findings)}
        of_node = {} if node is None else {"node": plain_of(node)}
        return json_text({**document(audit), **of_node, **verdict})
    return text_of(audit, findings, node)


def json_text(document: Any) -> str:
    return json.dumps(document, indent=2) + "\n"


def write_report(text: str, file: Path | None) -> None:
    from host.tools.output import whole_file

    if file is None:
        sys.stdout.write(text)
        return
    with whole_file(file) as stream:
        stream.write(text)


def show_progress(step: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"{step} ...", err=True)
