"""Errors of platform calls: a flow may catch them; uncaught, they are its `flowError.code`."""

from collections.abc import Mapping

_BUG = "Correct the flow: it uses the host API in a way that the message names."

CODES: Mapping[str, tuple[str, str]] = {
    # Any call
    "answer-invalid": (
        "The answer of a host call, made of the guest's own data, cannot be written as JSON.",
        "Store and send values that are JSON.",
    ),
    "answer-too-large": (
        "What one call would answer is too large: entities, or the result of a protocol.",
        "Ask for fewer keys, a smaller page, or less at once.",
    ),
    "capability-unavailable": (
        "The interface is granted, but this host has no service behind it.",
        "Run the host with the plugin or worker that provides it.",
    ),
    "program-too-large": (
        "A protocol of the platform needs more operations or data than one call may.",
        "Split the work, for example a long chain of transactions, over several calls.",
    ),
    "host-call-too-slow": (
        (
            "A host call took more of the host's work than one call may, for example a write whose"
            " schema checks do too much."
        ),
        "Ask for less at once.",
    ),
    "query-too-slow": (
        "A read took longer than the host allows.",
        "Narrow it, or declare an index.",
    ),
    "request-id-reused": (
        "A deduplication id came again with another content.",
        "Use a new deduplication id for each different write.",
    ),
    # Flows and context
    "context-full": (
        "The flow's context properties are too many or too large.",
        "Send the data over a session instead.",
    ),
    "context-key-reserved": (
        "Context keys that start with `corda.`, in any case or width, belong to the platform.",
        "Choose another key.",
    ),
    "sleep-too-long": (
        "A sleep is longer than `flow_processing_max_flow_sleep_duration`.",
        "Sleep several times.",
    ),
    "sub-flow-none": ("A sub-flow was left that was not entered.", _BUG),
    "sub-flow-too-deep": ("Sub-flows are nested deeper than allowed.", "Nest fewer sub-flows."),
    "payload-mismatch": (
        "A received payload does not have the type that the flow expects; the SDK raises it.",
        "Send and receive the same type on both sides; check the protocol's versions.",
    ),
    "value-not-of-type": (
        (
            "A value that the code sends, stores or returns has no JSON form or does not fit its"
            " type, or a received one does not fit; the message names the place in it."
        ),
        "Give a value of the declared type; the reference of types lists what has a form.",
    ),
    "ledger-type-unknown": (
        "A transaction names a type of states or commands that this code does not declare.",
        "Declare the class, or install the contract CPK that does.",
    ),
    "wrong-contract": (
        "A state's class has no contract, or a transaction puts the state under another one.",
        "Write `@belongs_to(..)` above the class.",
    ),
    "participants-differ": (
        "A transaction lists other participants of a state than the state itself.",
        "Build transactions with the SDK; a peer that sends such a one is at fault.",
    ),
    # Sessions
    "counterparty-unknown": (
        "The counterparty is no active member with a virtual node that this host reaches.",
        "Check the X.500 name, and that the member is registered.",
    ),
    "counterparty-inactive": (
        "The counterparty's virtual node takes no session messages.",
        "Try again when its operator has set the node to ACTIVE.",
    ),
    "counterparty-suspended": (
        "The network's operator has suspended the counterparty.",
        "Try again when the member is active again; its operator or the network's knows why.",
    ),
    "peer-unreachable": (
        "The counterparty's cluster did not acknowledge a message while it was valid.",
        "Check that the counterparty's gateway runs and is reachable; it may have the message.",
    ),
    "message-too-large": (
        "A message is larger than the counterparty's cluster takes.",
        "Send smaller payloads.",
    ),
    "session-closed": (
        "The counterparty has closed the session, or its flow has ended.",
        "Send and receive as often on one side as on the other.",
    ),
    "session-error": (
        "The counterparty's flow failed; message and reason code are its own.",
        "See the message; the flow's status at the counterparty has the trace.",
    ),
    "session-expired": (
        "A message came for a session that is over or unknown.",
        "Let both sides end the session at the same point of the protocol.",
    ),
    "session-mismatch": (
        (
            "A message does not fit the state of its session, or a session was closed with unread"
            " data; the message says how."
        ),
        "Receive all that the other side sends before the session ends.",
    ),
    "session-no-protocol": (
        "A session can be opened inside an initiating flow only.",
        "Add `@initiating_flow` to the flow or to a sub-flow on the stack.",
    ),
    "session-no-responder": (
        "The counterparty's CPI has no responder of the protocol at a common version.",
        "Install a CPI at the counterparty that answers the protocol.",
    ),
    "session-payload-too-large": (
        "The session payload is larger than `flow_session_max_payload_size`.",
        "Send it in parts, or raise the setting.",
    ),
    "session-unknown": ("The flow has no session of this id.", _BUG),
    "sessions-too-many": (
        "The flow has more sessions open than allowed.",
        "Close sessions, or divide the work over several flows.",
    ),
    "flow-hops-too-many": (
        (
            "More sessions would follow from one another, each opened by the responder of the one"
            " before, than `flow_hops_max` allows."
        ),
        "Shorten the chain of flows.",
    ),
    "flow-descendants-too-many": (
        (
            "More flows would follow from one that a client started, over all sessions, than its"
            " share of `flow_descendants_max` allows."
        ),
        "Open fewer sessions, or start several flows.",
    ),
    "sub-flow-failed": (
        "The counterparty's sub-flow failed without a code of its own.",
        "See the message; the flow's status at the counterparty has the trace.",
    ),
    # Entities
    "entity-exists": (
        "An entity of this type and key is stored already.",
        "Use `merge` to replace it, or another key.",
    ),
    "entity-invalid": (
        (
            "The entity's value does not fit the schema that its CPK declares; the message names"
            " the place."
        ),
        "Correct the value, or the declared class.",
    ),
    "entity-too-large": (
        "The entity's JSON is larger than one entity may be.",
        "Divide it into several entities.",
    ),
    "entity-type-unknown": (
        "No CPK of the CPI declares this entity type.",
        "Declare it with `@entity` in a module of the workflow CPK.",
    ),
    "query-cursor-invalid": (
        "The place in a vault-named query is damaged, or is one of other parameters.",
        "Pass back what the last page answered, with the same parameters; or begin anew.",
    ),
    "query-parameter": (
        (
            "A parameter of a named query is missing, unknown or of a wrong kind; the message names"
            " it."
        ),
        "Give the parameters that the query declares.",
    ),
    "query-unknown": (
        "The entity type, or the CPI, declares no query of this name.",
        "Declare it with `named_query` or as a `VaultNamedQuery`, or correct the name.",
    ),
    # Keys and digests
    "signing-reserved": (
        "A flow asked for a signature that speaks for its member in protocols between hosts.",
        "Sign other bytes: none of an application begin with 64 spaces and `cordbox/v1/`.",
    ),
    "digest-algorithm-unknown": (
        "The digest algorithm is not offered.",
        "Use SHA-256, SHA-256D, SHA-384 or SHA-512.",
    ),
    # Ledger
    "token-claim-too-large": (
        "The amount needs more tokens than one claim may take.",
        "Merge tokens into larger ones first, or claim less.",
    ),
    "token-criteria-invalid": (
        "A claim's amount, strategy or pattern of tags means nothing; the message names it.",
        "Give a positive amount, a strategy that the message names, a pattern of linear time.",
    ),
    "vault-function-failed": (
        "A function of a contract package for its states in vaults failed; defaults are kept.",
        "Correct the function that the host's log names, upgrade, then `cordbox vault rebuild`.",
    ),
    "contract-undecided": (
        "A contract came to no verdict: its run was ended by a limit, a trap or for want of code.",
        "See the message; make the contract do less, or install its CPK.",
    ),
    "contract-verification-failed": (
        "A contract refuses the transaction; message and reason code are the contract's own.",
        "Correct the transaction as the contract's message says.",
    ),
    "cpk-unknown": (
        (
            "The transaction was made with contract code that this node does not have, or does not"
            " run: another tenant's, or for a new transaction another version than its own."
        ),
        "Upload the CPI with the CPK that the message names, and upgrade the node to it.",
    ),
    "group-parameters-not-current": (
        "A new transaction names group parameters that are not the current ones.",
        "Build the transaction again.",
    ),
    "filtered-invalid": (
        "A filtered transaction is not what its identifier commits to, or lacks a part it needs.",
        "Ask its sender for a filtered transaction made from the transaction itself.",
    ),
    "notary-distrusted": (
        (
            "The operator distrusts the key of the notary (`distrusted_notary_keys`), and this node"
            " did not record the transaction, or the one that made the state, before the cut-off."
        ),
        "Use another notary; ask the operator whether the key was given away.",
    ),
    "notary-required": (
        "The transaction names a notary that has not signed it, so it is not final.",
        "Have it notarised before it is recorded.",
    ),
    "notary-signature-invalid": (
        "A signature by the key of the transaction's notary is wrong.",
        "Ask the notary for its signature again; do not rely on who sent this one.",
    ),
    "signature-missing": (
        "A signatory has not signed, or this node holds no key to sign with.",
        "Collect the signatures of all signatories before the transaction is recorded.",
    ),
    "backchain-incomplete": (
        "A counterparty does not give a transaction that the one which it proposes depends on.",
        "Its ledger is not in order; have it find out why it does not have the transaction.",
    ),
    "backchain-invalid": (
        "A transaction that another one depends on is invalid, or was found to be.",
        "The counterparty's ledger is not in order, or it lies: the message names the transaction.",
    ),
    "backchain-too-large": (
        "The transactions that one depends on are more, or larger, than this host resolves.",
        "Raise the limits of backchains, or have the counterparty issue its states anew.",
    ),
    "backchain-unexpected": (
        "A counterparty asked for a transaction, or sent one, that is no part of the chain.",
        "The counterparty does not follow the protocol.",
    ),
    "dependencies-mismatch": (
        "What a counterparty shows of dependencies is not what the transaction names.",
        "The counterparty's ledger is not in order, or it lies: the message names what differs.",
    ),
    "finality-failed": (
        "The initiator of a finality has given up; the message has its reason.",
        "Nothing: whether the transaction is final is asked of its notary.",
    ),
    "finality-refused": (
        "A counterparty does not sign the transaction; the message and reason code are its own.",
        "Agree with the counterparty on another transaction.",
    ),
    "proposal-unknown": (
        "No counterparty of the flow has proposed this transaction to the node.",
        "Accept or refuse only what `receive-finality` has answered.",
    ),
    "protocol-mismatch": (
        "A counterparty sent another message than the platform's protocol has at this point.",
        "Check that both flows call the two sides of one protocol.",
    ),
    "protocol-version-unknown": (
        "The counterparty's host speaks a version of the protocol that this one does not know.",
        "Upgrade the older host.",
    ),
    "already-signed": (
        "A consensual transaction builder was used twice; the SDK raises it.",
        "Create a builder for each transaction.",
    ),
    "ledger-mismatch": (
        "A transaction of one ledger stands where only one of the other ledger may.",
        "Use the service of the transaction's own ledger; only UTXO transactions have backchains.",
    ),
    "builder-not-received": (
        "A builder is sent back that is not one that was received, with nothing but additions.",
        "Add to what `receive_transaction_builder` answers; change and leave out nothing of it.",
    ),
    "transfer-refused": (
        "A counterparty does not take a transaction that was sent to it; it says why.",
        "See the message; send what the counterparty can verify.",
    ),
    "verification-differs": (
        "A counterparty's contract run came to another outcome: other code, or other input states.",
        "Compare the CPKs and the runs that `cordbox ledger show` lists, at both nodes.",
    ),
    "state-consumed": (
        "Another transaction has consumed the state.",
        "Find the unconsumed states again, and build the transaction with them.",
    ),
    "state-not-found": (
        "The state is not in this node's vault.",
        "Check the state reference; only recorded transactions give states.",
    ),
    "states-too-large": (
        "The requested states are together too large for one call.",
        "Ask for fewer states.",
    ),
    "transaction-invalid": (
        "A structural rule of transactions is broken; the message begins with the rule.",
        "Build the transaction by the rule that the message names.",
    ),
    "transaction-is-invalid": (
        "This node knows the transaction as invalid: it broke a rule, or a contract refused it.",
        "Build another transaction; what its identifier commits to cannot be mended.",
    ),
    "timed-out": (
        "A counterparty sent nothing within the time that a protocol of the platform waits.",
        "Try again; see the counterparty's flow.",
    ),
    # Notaries
    "finality-undecided": (
        "The transaction's notary was not reached, or gave no answer that decides.",
        "Nothing: the transaction is final or refused as soon as its notary is asked again.",
    ),
    "notary-input-state-conflict": (
        "An input state has been spent by another transaction.",
        "Find the unconsumed states again, and build the transaction with them.",
    ),
    "notary-input-state-unknown": (
        "The notary knows no such input state: another notary has it, or nobody notarised it.",
        "Have the transaction that made the state notarised by this notary first.",
    ),
    "notary-invalid-signature": (
        "A notary that verifies contracts found a wrong or missing signature of a signatory.",
        "Let all signatories sign, then build and finalise the transaction anew.",
    ),
    "notary-malformed-request": (
        "The transaction has no upper bound of its time window, or names a state twice.",
        "Set a time window, and name each state once.",
    ),
    "notary-protocol-unknown": (
        "No active member runs the transaction's notary in a protocol that this host knows.",
        "See the group parameters: the notary's protocol, versions, and registered members.",
    ),
    "notary-reference-state-conflict": (
        "A reference state has been spent by another transaction.",
        "Find the newest state, and build the transaction with it.",
    ),
    "notary-reference-state-unknown": (
        "The notary knows no such reference state.",
        "Refer to states of transactions that this notary has notarised.",
    ),
    "notary-time-window-out-of-bounds": (
        "The notary's clock was outside the transaction's time window.",
        "Build the transaction anew with a window that leaves time to finalise it.",
    ),
    "notary-transaction-verification-failure": (
        "The notary found the transaction invalid, or not shown to it as its protocol needs.",
        "See the message; a contract-verifying notary needs the CPKs of the transaction.",
    ),
    # External messages
    "external-channel-unknown": (
        "No CPK of the CPI declares this channel.",
        "Add it to `external-channels` in `cordapp.toml`.",
    ),
    "external-route-inactive": (
        "The host sends no messages to systems outside the network.",
        "Switch `external_messaging_route_defaults_active` on.",
    ),
}
"""Code -> (cause, remedy)."""

ALSO_OF_PACKAGES = frozenset({"signature-invalid"})
"""Codes that the tables of packages explain, and that calls have as well."""
