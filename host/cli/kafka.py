"""`cordbox kafka`: the topics that a host's relay sends to."""

import dataclasses
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from host.adapters.partitions import PARTITIONS_MAX
from host.cli.lines import tell_json
from host.cli.offline_settings import offline_settings, settings_option
from host.cli.package_options import output_option
from host.cli.pretty import PrettyGroup

if TYPE_CHECKING:
    from host.ports.outward import BrokerTopics, WantedTopic

_PARTITIONS, _REPLICAS = 10, 3
"""Corda's defaults (`bootstrap.kafka.partitions`, `replicas`)."""
_WORK_PARTITIONS = 128
"""As `cordbox database init` makes them by default."""


@click.group("kafka", cls=PrettyGroup)
def command() -> None:
    """Look after the Kafka topics that a host sends to.

    The settings are those of a host that is started here: the settings file and the environment.
    """


@command.group("topics", cls=PrettyGroup)
def topics() -> None:
    """List, create and check the topics.

    They are those of dead letters and of statuses of flows, and with `--external` those of external
    messages, as flows send them: `ext.<short hash>.<channel>.receive`. With the setting
    `bus = kafka` also those of work.
    """


def _topics_options(
    function: "Callable[[BrokerTopics, Sequence[WantedTopic], str], None]",
) -> Callable[..., None]:
    """Gives a command the broker, the topics as they should be, and the form of its output."""

    @functools.wraps(function)
    def command(
        *, settings_file: Path | None, external: tuple[str, ...], output: str, **numbers: int
    ) -> None:
        broker = _topics(settings_file)
        function(broker, broker.wanted(external, **numbers), output)

    for option in (
        click.option(
            "--external", multiple=True, metavar="TOPIC", help="A topic of external messages, too."
        ),
        click.option(
            "--partitions",
            type=click.IntRange(1, 1000),
            default=_PARTITIONS,
            show_default=True,
            help="Partitions of a new topic; never to be changed later.",
        ),
        click.option(
            "--work-partitions",
            type=click.IntRange(1, PARTITIONS_MAX),
            default=_WORK_PARTITIONS,
            show_default=True,
            help="Partitions of topics of work (`bus = kafka`): as many as the database has.",
        ),
        click.option(
            "--replicas",
            type=click.IntRange(1, 100),
            default=_REPLICAS,
            show_default=True,
            help="Brokers that hold each record.",
        ),
    ):
        command = option(command)
    return settings_option(command)


@topics.command("list")
@_topics_options
@output_option
def list_(_: "BrokerTopics", wanted: "Sequence[WantedTopic]", output: str) -> None:
    """Show the topics as they should be, without asking a broker.

    Give the list to whoever makes the topics where this host may not.
    """
    if output == "json":
        tell_json([dataclasses.asdict(each) for each in wanted])
        return
    for each in wanted:
        kept = "compacted" if each.is_compacted else "as the brokers say"
        if each.retention_ms is not None:
            kept = f"{each.retention_ms // 86_400_000} days"
        click.echo(
            f"{each.name}  {each.partitions} partitions, {each.replicas} replicas, kept: {kept}"
        )


@topics.command("create")
@_topics_options
@output_option
def create(broker: "BrokerTopics", wanted: "Sequence[WantedTopic]", output: str) -> None:
    """Make the topics that do not exist; existing ones stay as they are."""
    made = set(broker.create(wanted))
    if output == "json":
        tell_json({"topics": [{"name": e.name, "isNew": e.name in made} for e in wanted]})
        return
    for each in wanted:
        click.echo(f"{each.name}: {'made' if each.name in made else 'exists'}")


@topics.command("check")
@_topics_options
@output_option
def check(broker: "BrokerTopics", wanted: "Sequence[WantedTopic]", output: str) -> None:
    """Compare the topics with what records need.

    Fails if one is missing, or would lose, refuse or disorder records.
    """
    found = broker.check(wanted)
    if output == "json":
        tell_json([dataclasses.asdict(each) for each in found])
    for each in found if output == "text" else ():
        click.echo(f"{each.name}: {'; '.join(each.faults) or ('ok' if each.exists else 'missing')}")
    if not all(each.exists and not each.faults for each in found):
        sys.exit(1)


def _topics(settings_file: Path | None) -> "BrokerTopics":
    from host.runtime.plugin_loading import make_plugin_manager

    settings = offline_settings(settings_file)
    plugins = make_plugin_manager(
        settings.loaded_plugins, with_entry_points=settings.plugin_entry_points
    )
    found: BrokerTopics | None = plugins.hook.register_broker_topics(settings=settings)
    if found is None:
        raise click.UsageError("the settings name no brokers: `plugins` does not name kafka")
    return found
