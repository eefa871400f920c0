"""Hosts on one PostgreSQL database are one cluster: each serves all of it, and takes over from the dead."""

from pathlib import Path

from tests.postgres.conftest import Start
from tests.support.killable_host import ALICE, BOB, KillableHost, make_packages


def test_hosts_share_everything_and_one_finishes_what_a_killed_one_began(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "packages").mkdir()
    packages = make_packages(tmp_path / "packages")
    one = start("one")
    one.form_network(packages)
    two = start("two")
    two.nodes = one.nodes

    def issue(host: KillableHost, number: int) -> None:
        body = {"counterparty": BOB, "amount": number + 1}
        reply = host.flow(ALICE, f"issue-{number}", "iou_flows.IssueIou", body)
        assert reply.status_code == 202, reply.text

    for number in range(4):
        issue((one, two)[number % 2], number)
    # Asked of the host that has not started it.
    ended = [(two, one)[number % 2].result(ALICE, f"issue-{number}") for number in range(4)]
    assert [flow["flowStatus"] for flow in ended] == ["COMPLETED"] * 4, ended
    for number in range(4, 10):
        issue((one, two)[number % 2], number)
    one.kill()
    ended = [two.result(ALICE, f"issue-{number}") for number in range(4, 10)]
    assert [flow["flowStatus"] for flow in ended] == ["COMPLETED"] * 6, ended
    assert sorted(iou["amount"] for iou in two.ious(BOB)) == list(range(1, 11))
    assert two.all_statuses(BOB)["FAILED"] == 0
