"""The flow of a notary that verifies contracts: it serves one request.

The contract CPKs of the application are in the notary's CPI, beside this flow.
"""

from cordapp.flows import FlowSession, ResponderFlow, initiated_by


@initiated_by(protocol="com.r3.corda.notary.plugin.contractverifying", versions=(1,))
class ContractVerifyingNotaryServer(ResponderFlow):
    """Serves one request of a client; the platform checks it, runs the contracts and decides."""

    def call(self, session: FlowSession) -> None:
        self.notary_service.serve(session)
