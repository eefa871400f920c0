"""`cordbox database`: the database that the hosts of a cluster share."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.adapters.partitions import PARTITIONS_MAX
from host.cli.audit_keys import audit_key_of
from host.cli.findings import (
    checked_database,
    checked_directory,
    findings_json,
    tell_findings,
    verdict,
)
from host.cli.lines import tell_done, tell_json
from host.cli.offline_settings import database_upkeep, offline_settings, settings_option
from host.cli.package_options import EXISTING_FILE, output_option
from host.cli.pretty import PrettyGroup
from host.cli.progress import waiting

if TYPE_CHECKING:
    from host.ports.storage import Administrator, DatabaseUpkeep


_CLOSE_ROLE_CHANGES = (
    "REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC;\n"
    "GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO cordbox_owner;"
)
"""By which queries of nodes could change their role."""


@click.group("database", cls=PrettyGroup)
def command() -> None:
    """Look after the database that `database_url` names.

    The settings are those of a host that is started here: the settings file and the environment.
    """


_administrator_option = click.option(
    "--administrator",
    required=True,
    help="User of the database server who may make roles and tables.",
)
_password_option = click.option(
    "--administrator-password-file",
    "password_file",
    type=EXISTING_FILE,
    help="File whose first line is the administrator's password.",
)


@command.command("init")
@settings_option
@_administrator_option
@_password_option
@click.option(
    "--partitions",
    type=click.IntRange(1, PARTITIONS_MAX),
    default=128,
    show_default=True,
    help="Partitions of every topic, for ever: as many threads of all hosts run flows.",
)
@output_option
def init(
    *,
    settings_file: Path | None,
    administrator: str,
    password_file: Path | None,
    partitions: int,
    output: str,
) -> None:
    """Make the database, its roles and its tables.

    The role that `database_url` names is made for hosts, with the password of
    `database_password_file`: it may read and write rows. The tables belong to a role that cannot
    log in, those of each node to a role of that node.
    """
    from host.runtime.wiring.schemas import CLUSTER_SCHEMAS

    upkeep = _upkeep(settings_file)
    by = _administrator(administrator, password_file)
    with waiting("making the database", output):
        is_closed = upkeep.init(CLUSTER_SCHEMAS, by=by, partitions=partitions)
    if output == "json":
        left = None if is_closed else _CLOSE_ROLE_CHANGES
        tell_json({"partitions": partitions, "toRunBySuperuser": left})
        return
    more = "" if is_closed else f"; a superuser should run there:\n{_CLOSE_ROLE_CHANGES}"
    click.echo(f"the database is made, with {partitions} partitions{more}")


@command.command("migrate")
@settings_option
@_administrator_option
@_password_option
@click.option(
    "--audit-key",
    type=EXISTING_FILE,
    help="The file secrets/audit-key of a host that wrote the administrative log, if the database"
    " has entries of it and no key.",
)
@output_option
def migrate(
    *,
    settings_file: Path | None,
    administrator: str,
    password_file: Path | None,
    audit_key: Path | None,
    output: str,
) -> None:
    """Make tables that this release adds, and migrate those of an older release.

    Vaults of nodes are migrated when they are used. Hosts of the older release refuse to start
    afterwards. A database without a key of the administrative log gets one, under which hosts
    write on.
    """
    from host.runtime.wiring.administrative_reading import keep_shared_key
    from host.runtime.wiring.offline_acts import note_shared_act
    from host.runtime.wiring.schemas import CLUSTER_SCHEMAS

    by = _administrator(administrator, password_file)
    key = None if audit_key is None else audit_key_of(audit_key)
    upkeep = _upkeep(settings_file)
    with waiting("migrating the tables", output):
        upkeep.migrate(CLUSTER_SCHEMAS, by=by)
        keep_shared_key(upkeep, key)
        # Afterwards: before it, an older release's tables may have no log that can be written.
        note_shared_act(upkeep, "database migrate", parameters={"administrator": administrator})
    tell_done(output, "the tables are those of this release", migrated=True)


@command.command("import")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@settings_option
@click.option(
    "--passphrase-file",
    type=EXISTING_FILE,
    help="File whose first line is the passphrase of the directory's master key, if it has one.",
)
@output_option
def import_(
    directory: Path, settings_file: Path | None, passphrase_file: Path | None, output: str
) -> None:
    """Import the data directory of a stopped host into a database that was just made.

    Everything is copied, read again and compared: packages, nodes, keys, vaults, flows in flight.
    Afterwards no host starts on DIR; its audit logs stay there.
    """
    from host.adapters.files.secret_files import read_secret
    from host.runtime.wiring.importing import ImportRefusedError, import_data_directory
    from host.runtime.wiring.offline_acts import note_shared_act

    settings = offline_settings(settings_file)
    passphrase = None if passphrase_file is None else read_secret(passphrase_file)
    report = checked_directory(directory, passphrase, output)
    if report.findings:
        raise ImportRefusedError(
            f"data directory {directory} has {len(report.findings)} findings, the first of them:"
            f" {report.findings[0].message} (`cordbox host check`)"
        )
    with waiting("importing the directory", output):
        done = import_data_directory(directory, settings, passphrase=passphrase)
        # Afterwards: the database is empty before, and its log is the directory's, which goes on.
        name = {"directory": directory.resolve().name}
        note_shared_act(_upkeep(settings_file), "database import", parameters=name)
    text = f"imported: {done.nodes} virtual nodes, {done.packages} packages"
    tell_done(output, text, virtualNodes=done.nodes, packages=done.packages)


@command.command("check")
@settings_option
@output_option
def check(settings_file: Path | None, output: str) -> None:
    """Check whether the database suits, the versions of its tables, and its content.

    Fails if the database would lose or disorder data, if tables are missing, older or newer, and by
    each finding: accounts, packages, keys under the master key, the administrative log, databases
    of nodes, ledgers of nodes against each other. Hosts may run.
    """
    report = checked_database(_upkeep(settings_file), output)
    found = report.findings
    if output == "json":
        tables = [dataclasses.asdict(state) for state in report.tables]
        facts = {"tables": tables, "nodes": report.nodes, "findings": findings_json(found)}
        tell_json({"status": "bad" if found else "good", **facts})
    else:
        for state in report.tables:
            stored = "missing" if state.stored is None else f"version {state.stored}"
            wanted = "" if state.is_current else f", this release has version {state.known}"
            click.echo(f"{state.place}  {state.name}: {stored}{wanted}")
        tell_findings(found)
        click.echo(verdict(found, report.nodes))
    if found:
        sys.exit(1)


def _administrator(name: str, password_file: Path | None) -> "Administrator":
    from host.adapters.files.secret_files import read_secret
    from host.ports.storage import Administrator

    password = None if password_file is None else read_secret(password_file)
    return Administrator(name=name, password=password)


def _upkeep(settings_file: Path | None) -> "DatabaseUpkeep":
    found = database_upkeep(settings_file)
    if found is None:
        raise click.UsageError("the settings name no database: database_url is not set")
    return found
