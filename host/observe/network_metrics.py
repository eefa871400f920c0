"""Gauges of links and of membership, computed when they are asked for."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from host.domain.errors import HostError
from host.network.link.figures import LinkFigures
from host.network.membership.figures import MembershipFigures
from host.ports.clock import Clock


class LinkCollector(Collector):
    """Of the link of this process; none while the databases cannot be read."""

    def __init__(self, figures: Callable[[], LinkFigures], clock: Clock) -> None:
        self._figures = figures
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Sequence[Metric]:
        try:
            found = self._figures()
        except HostError:
            return ()  # `/status` reports it
        now = self._clock.now_ms()
        sessions = Metric("cordbox_link_sessions", "Sessions that the process uses.", "gauge")
        sessions.add_sample(sessions.name, {"direction": "outbound"}, found.outbound)
        sessions.add_sample(sessions.name, {"direction": "inbound"}, found.inbound)
        messages = Metric(
            "cordbox_link_queue_messages", "Messages that peers have not acknowledged.", "gauge"
        )
        size = Metric("cordbox_link_queue_bytes", "Size of their payloads.", "gauge")
        oldest = Metric("cordbox_link_queue_oldest_seconds", "Age of the oldest of them.", "gauge")
        failing = Metric(
            "cordbox_link_peers_failing", "Peers, of one sender each, that do not answer.", "gauge"
        )
        for peer, queue in found.queues.items():
            labels = {"peer": peer}
            messages.add_sample(messages.name, labels, queue.messages)
            size.add_sample(size.name, labels, queue.bytes)
            age = 0 if queue.oldest_at is None else max(now - queue.oldest_at, 0)
            oldest.add_sample(oldest.name, labels, age / 1000)
            failing.add_sample(failing.name, labels, queue.failing)
        return sessions, messages, size, oldest, failing


class MembershipCollector(Collector):
    """Of the dynamic networks of this host; none while the database cannot be read."""

    def __init__(self, figures: Callable[[], MembershipFigures], clock: Clock) -> None:
        self._figures = figures
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Sequence[Metric]:
        try:
            found = self._figures()
        except HostError:
            return ()  # `/status` reports it
        now = self._clock.now_ms()
        registrations = Metric(
            "cordbox_membership_registrations",
            "Registrations that are stored, on the member's and on the MGM's side.",
            "gauge",
        )
        for (side, status), count in sorted(found.registrations.items()):
            registrations.add_sample(registrations.name, {"side": side, "status": status}, count)
        behind = Metric(
            "cordbox_membership_recipients_behind",
            "Members that have not acknowledged the newest list of an MGM here.",
            "gauge",
        )
        behind.add_sample(behind.name, {}, found.recipients_behind)
        lag = Metric(
            "cordbox_membership_list_lag_versions",
            "By how many versions the slowest of them is behind.",
            "gauge",
        )
        lag.add_sample(lag.name, {}, found.lag_versions)
        age = Metric(
            "cordbox_membership_list_age_seconds",
            "Time since a member here has last heard of its list from its MGM, the longest.",
            "gauge",
        )
        oldest = 0 if found.synced_at is None else max(now - found.synced_at, 0)
        age.add_sample(age.name, {}, oldest / 1000)
        forks = Metric(
            "cordbox_membership_forks", "Members here whose MGM has signed two lists.", "gauge"
        )
        forks.add_sample(forks.name, {}, found.forks)
        return registrations, behind, lag, age, forks, *self._expiry(found, now)

    def _expiry(self, found: MembershipFigures, now: int) -> Sequence[Metric]:
        if found.not_after is None:
            return ()
        expiry = Metric(
            "cordbox_network_certificate_expiry_seconds",
            "Seconds until the first certificate of a network setup expires.",
            "gauge",
        )
        expiry.add_sample(expiry.name, {}, (found.not_after - now) / 1000)
        return (expiry,)
