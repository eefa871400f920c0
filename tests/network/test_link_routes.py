"""Routes of those that are not, or not wholly, in a dynamic network yet."""

from host.domain.membership import MemberStatus
from host.ports.routes import Refused
from tests.network.clusters import Cluster, Group, of_name
from tests.network.test_link_clusters import ALICES, BOBS, FLOWS, clusters, is_over

CHARLIES = of_name("O=Charlie, L=London, C=GB", 3)


def test_a_dynamic_node_without_a_network_setup_meets_nobody():
    a, _, _ = clusters()
    own = Cluster(a.url, a.members.group, [ALICES, CHARLIES], FLOWS, a.clock)
    own.members.identities.pop(CHARLIES.holding)
    own.members.not_set_up.add(CHARLIES.holding)
    for holding, other in ((CHARLIES.holding, ALICES.holding), (CHARLIES.holding, BOBS.holding)):
        route = own.routes.route(holding, other)
        assert isinstance(route, Refused)
        assert "no network setup" in route.message
    refused = own.routes.admits(ALICES.holding, CHARLIES.holding)
    assert refused is not None
    assert "no network setup" in refused.message


def test_an_mgm_takes_messages_of_membership_alone_from_an_applicant():
    a, b, medium = clusters()
    b.members.group.change(BOBS, is_mgm=True)
    assert b.routes.accepts(ALICES.holding, BOBS.holding) is None
    theirs = Group(dict(b.members.group.peers))
    theirs.change(ALICES, status=MemberStatus.PENDING)
    b.members.group = theirs  # Alice's own list has her ACTIVE
    assert b.routes.admits(ALICES.holding, BOBS.holding) is None
    assert b.routes.accepts(ALICES.holding, BOBS.holding) is not None
    a.network.start("r1")
    medium.run(lambda: is_over(a))
    assert a.network.alice("r1").status.name == "COMPLETED"
    assert a.network.alice("r1").result == "session-error"
