"""The flow of a notary that does not see states: it serves one request.

An operator may build a notary with rules of his own, for example on who may ask: look at
`session.counterparty`, and raise before `serve`.
"""

from cordapp.flows import FlowSession, ResponderFlow, initiated_by


@initiated_by(protocol="com.r3.corda.notary.plugin.nonvalidating", versions=(1,))
class NonValidatingNotaryServer(ResponderFlow):
    """Serves one request of a client; the platform checks it and decides."""

    def call(self, session: FlowSession) -> None:
        self.notary_service.serve(session)
