"""Run the demonstration: `python -m sample_cordapps.demo [--folder build/demo]`."""

import argparse
import secrets
import shutil
import sys
from pathlib import Path

from sample_cordapps.demo import attacks, flows, ledger, network, packages
from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.processes import CommandLine, HostProcess
from sample_cordapps.demo.rest import RestClient


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/demo"))
    folder: Path = parser.parse_args().folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    console = DemoConsole()
    identifiers: dict[str, object] = {}
    try:
        _run(console, folder, identifiers)
    except StepFailedError as failed:
        console.failure(f"FAILED: {failed}")
    good = console.summary(folder / "summary.json", identifiers)
    console.verdict("DEMO OK" if good else "DEMO FAILED", good=good)
    sys.exit(0 if good else 1)


def _run(console: DemoConsole, folder: Path, identifiers: dict[str, object]) -> None:
    workshop = packages.Workshop(folder=folder, samples=Path("sample_cordapps"))
    shell = CommandLine(console, Path.cwd())
    packages.make_key(console, shell, workshop)
    cpb = packages.build_cordapp(console, shell, workshop)
    identifiers["cpiFileChecksum"] = packages.package(console, shell, workshop, cpb)
    password_file = folder / "admin-password"
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(18) + "\n", encoding="utf-8")
    host = _host(console, folder, password_file)
    try:
        _run_on_host(
            console,
            shell,
            workshop=workshop,
            host=host,
            password_file=password_file,
            identifiers=identifiers,
        )
    finally:
        host.stop()


def _host(console: DemoConsole, folder: Path, password_file: Path) -> HostProcess:
    words = ["host", "run", "--data-dir", str(folder / "data"), "--listen", "127.0.0.1:0"]
    words += ["--admin-password-file", str(password_file), "--output", "json"]
    return HostProcess(console, Path.cwd(), words=words, log=folder / "host.log")


def _run_on_host(
    console: DemoConsole,
    shell: CommandLine,
    *,
    workshop: packages.Workshop,
    host: HostProcess,
    password_file: Path,
    identifiers: dict[str, object],
) -> None:
    ready = network.start_host(console, host)
    certificate = Path(ready["certificate"])
    rest = RestClient(
        console, url=ready["url"], certificate=certificate, password_file=password_file
    )
    runner = flows.FlowRunner(rest)
    try:
        nodes = network.form_network(console, rest, workshop)
        identifiers["virtualNodes"] = nodes
        transaction_id = flows.issue_and_settle(console, runner, nodes)
        flows.break_contract(console, runner, nodes)
        ledger.run(console, shell, workshop=workshop, rest=rest, runner=runner)
        attacks.run(
            console,
            shell,
            workshop=workshop,
            rest=rest,
            runner=runner,
            nodes=nodes,
            transaction_id=transaction_id,
        )
        flows.survive_kill(console, host, rest, runner, nodes)
    finally:
        rest.close()


if __name__ == "__main__":
    main()
