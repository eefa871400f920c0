"""The threads that do the work of a link's partitions.

They store messages that wait in `p2p.out`, and give up and delete what is due. Requests are sent by
gateways, which take them from the link on threads of their own.
"""

from host.network.group_thread import ThreadGroup, queues_of
from host.network.link.sessions import GROUP
from host.network.values.p2p_out import P2P_OUT_TOPIC

LINKS = ThreadGroup(name=GROUP, concerns=queues_of(P2P_OUT_TOPIC))
"""Their work is a `host.network.link.service.Link`."""
