"""`cordbox audit node`: the CPI that a virtual node runs, with the node's grants and quotas."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.cli.audit_report import read_policy, report_of, show_progress, write_report
from host.cli.host_options import host_options
from host.cli.package_options import (
    EXISTING_FILE,
    OUTPUT_FILE,
    certificate_option,
    trusted_certificates,
)

if TYPE_CHECKING:
    from cpi.crypto.certificate import Certificate
    from host.tools.client.host_client import HostClient

_EXIT_FINDINGS = 1


@click.command("node")
@click.argument("node")
@click.option("--policy", "policy_file", type=EXISTING_FILE, help="Rules as JSON.")
@click.option(
    "--output",
    type=click.Choice(["text", "json", "sarif", "html"]),
    default="text",
    show_default=True,
)
@click.option("--output-file", type=OUTPUT_FILE, help="Write the report there, not to stdout.")
@certificate_option
@host_options
def audit_node(
    *,
    connect: "Callable[[], HostClient]",
    node: str,
    policy_file: Path | None,
    output: str,
    output_file: Path | None,
    certificates: tuple[Path, ...],
) -> int:
    """Audit the CPI that a virtual node of a running host runs.

    NODE is a short hash or an X.500 name. The report is that of the package, under the quota and
    the grants of the node, and tells what the node used and which quotas it hit. Exit code 0:
    nothing found; 1: a rule is broken; 2: wrong usage; 75: the host does not answer.
    """
    from host.tools.audit.facts import audit_package
    from host.tools.audit.node import limits_in_force, node_facts
    from host.tools.audit.policy import judge
    from host.tools.cache import default_cache_dir
    from host.tools.flows.client import HostFlows
    from sandbox.runtime import Sandbox

    trusted: tuple[Certificate, ...] = ()
    if certificates:
        trusted = trusted_certificates(certificates, None, None)
    policy = read_policy(policy_file)
    with connect() as client:
        short_hash = HostFlows(client).node(node)
        path = f"/virtualnode/{short_hash}"
        facts = node_facts(
            client.get(path), quota=client.get(f"{path}/quota"), usage=client.get(f"{path}/usage")
        )
        data = client.ask("GET", f"{path}/cpi")
    audit = audit_package(
        data,
        file=f"{facts.cpi_name} of virtual node {facts.short_hash}",
        trusted=trusted,
        sandbox=Sandbox(cache_dir=default_cache_dir(), progress=show_progress),
        limits=limits_in_force(facts),
        allowed=frozenset(facts.granted_capabilities),
        progress=show_progress,
    )
    findings = judge(audit, policy)
    write_report(report_of(audit, policy, findings, output, facts), output_file)
    return _EXIT_FINDINGS if findings else 0
