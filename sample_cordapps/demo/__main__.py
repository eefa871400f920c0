"""Run the demonstration: `python -m sample_cordapps.demo [--folder build/demo]`."""

import argparse
import secrets
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sample_cordapps.demo import attacks, clusters, flows, killed_notary, ledger, network, packages
from sample_cordapps.demo.console import DemoConsole, StepFailedError
from sample_cordapps.demo.processes import CommandLine, HostProcess
from sample_cordapps.demo.rest import RestClient
from sample_cordapps.demo.together import together


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
    password_file = folder / "admin-password"
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(18) + "\n", encoding="utf-8")
    host = _host(console, folder, password_file)
    try:
        with ThreadPoolExecutor(2) as beside:
            # Its processes take a while to start: the packages are made meanwhile.
            ready = beside.submit(host.start)
            packages.make_key(console, shell, workshop)
            made = packages.Packages(shell, workshop)
            checksum = beside.submit(made.make, console)
            at = network.show_host(console, host, ready)
            rest = RestClient(
                console,
                url=at["url"],
                certificate=Path(at["certificate"]),
                password_file=password_file,
            )
            try:
                _run_on_host(console, made, host, rest, identifiers)
            finally:
                rest.close()
            identifiers["cpiFileChecksum"] = checksum.result()
    finally:
        host.stop()
    clusters.run(
        console,
        folder / "network",
        iou=made.cpb("iou"),
        dvp=made.cpb("dvp"),
        signer=workshop.certificate,
    )


def _host(console: DemoConsole, folder: Path, password_file: Path) -> HostProcess:
    words = ["host", "run", "--data-dir", str(_data(folder)), "--listen", "127.0.0.1:0"]
    words += ["--admin-password-file", str(password_file), "--output", "json"]
    environment = killed_notary.install_killer(folder)
    return HostProcess(
        console, Path.cwd(), words=words, log=folder / "host.log", environment=environment
    )


def _data(folder: Path) -> Path:
    return folder / "data"


def _run_on_host(
    console: DemoConsole,
    made: packages.Packages,
    host: HostProcess,
    rest: RestClient,
    identifiers: dict[str, object],
) -> None:
    runner = flows.FlowRunner(rest)
    nodes = network.form_network(console, rest, made)
    identifiers["virtualNodes"] = nodes

    def owe(own: DemoConsole) -> None:
        client = rest.on(own)
        mine = runner.on(client)
        transaction_id = flows.issue_and_settle(own, mine, nodes)
        flows.break_contract(own, mine, nodes)
        attacks.run(
            own,
            packages=made,
            rest=client,
            runner=mine,
            nodes=nodes,
            transaction_id=transaction_id,
        )

    def notarise(own: DemoConsole) -> str:
        client = rest.on(own)
        mine = runner.on(client)
        dave = ledger.spend_twice(own, made, client, mine)
        ledger.weaken_contract(own, made, client, mine, dave)
        return dave

    def trade(own: DemoConsole) -> None:
        client = rest.on(own)
        ledger.move_cash(own, made, client, runner.on(client))
        ledger.buy(own, made, client, runner.on(client))

    _, dave, _ = together(console, [owe, notarise, trade], at_once=3)
    killed_notary.survive(
        console,
        runner,
        data=_data(made.workshop.folder),
        notary=nodes[packages.NOTARY],
        member=str(dave),
    )
    flows.survive_kill(console, host, rest, runner, nodes)


if __name__ == "__main__":
    main()
