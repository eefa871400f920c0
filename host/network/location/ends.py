"""A node's ends of its channels with other members, which move with it. Pure."""

from collections.abc import Iterable, Sequence

from host.domain.ids import HoldingIdentity
from host.domain.x500 import MemberX500Name
from host.network.link import channel_in, channel_out
from host.network.values.pair import pair_of


def ends_of(holding: HoldingIdentity, names: Iterable[MemberX500Name]) -> Sequence[str]:
    """Keys of the heads of what a node sends to members, and of what it receives from them."""
    others = [
        HoldingIdentity(x500_name=name, group_id=holding.group_id)
        for name in names
        if name != holding.x500_name
    ]
    return [
        key
        for other in others
        for key in (
            channel_out.head_key(pair_of(holding, other)),
            channel_in.state_key(pair_of(other, holding)),
        )
    ]
