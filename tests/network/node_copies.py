"""What moves nodes between the clusters of a network in memory."""

from host.database.node_tables import NodeTables
from host.keys.node_keys import NodeKeys
from host.network.location.claims import PlaceClaims
from host.network.location.parts import MoveParts
from host.network.location.places import NodePlaces
from host.network.location.rows import ArrivingRows
from host.network.location.transfers import Transfers
from host.network.membership.network_tables import LOCAL_KEY, MGM_TABLES, NETWORK_REGISTRATION
from host.network.membership.node_list import NodeList
from tests.network.dynamic_networks import Hosted


def contents(cluster):
    """What a file has of a node's network."""
    rows = dict.fromkeys((NETWORK_REGISTRATION, LOCAL_KEY), "short_hash")
    check = ArrivingRows(cluster.keys, cluster.access.public_keys).check
    return (
        NodeKeys(cluster.keys),
        NodeTables("network", cluster.database, rows, check),
        NodeTables("mgm", cluster.database, dict.fromkeys(MGM_TABLES, "short_hash"), check),
        NodeList(cluster.access),
    )


def copy(holding, source, target):
    """Load what a file of a node brings to another cluster."""
    for old, new in zip(contents(source), contents(target), strict=True):
        new.load(holding, list(old.dump(holding)), old.version)


class Settable(Hosted):
    def setup(self, short_hash, wanted):
        assert wanted.tls_alias == "tls"


def claims_of(cluster):
    return PlaceClaims(
        access=cluster.access,
        registrations=cluster.worker.members,
        hosted=Settable(cluster.keys),
    )


def parts_of(network, cluster, registers, **more):
    unused = dict.fromkeys(
        ("keys", "exporter", "importer", "identity", "used_bytes", "is_quiet", "wait", "background")
    )
    return MoveParts(
        **{
            **unused,
            "database": registers,
            "places": NodePlaces(registers, network.clock),
            "transfers": Transfers(registers, claimant=None, clock=network.clock),
            "claims": claims_of(cluster),
            "nodes": cluster.nodes,
            "folder": None,
            "erased": (),
            "clock": network.clock,
            "entropy": cluster.access.entropy,
            **more,
        }
    )
