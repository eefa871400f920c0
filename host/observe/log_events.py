"""What each event of the host's log means, for the reference of log events. Pure."""

from collections.abc import Mapping

EVENTS: Mapping[str, str] = {
    # Flows and guests
    "flow-started": "A flow has begun.",
    "flow-ended": "A flow has its final status; `error` has type, code and message.",
    "guest-ran": "A run of a guest is over: calls replayed and made, and its duration.",
    "step-committed": "A step of a flow is on the disk; `seconds` is how long its commit took.",
    "guest-logged": "A guest has logged a line, at the level that it chose.",
    "record-retried": "A step failed and will be repeated.",
    "record-dead-lettered": "A record could not be processed and went to the dead letters.",
    "records-expired": "Records were older than their topic keeps them, and are deleted.",
    "kept-dropped": "Histories of ended flows were deleted to make room for newer ones.",
    "message-refused": "A session message was refused; its sender gets an error.",
    "clock-jumped": "The machine's clock was set, or the machine or process was stopped.",
    "code-unavailable": "A CPI's code could not be prepared at the start; its flows fail or wait.",
    "flow-steps-cut-off": "Steps were still running when the host stopped; they are repeated.",
    # Virtual nodes and members
    "group-fork": "The MGM has signed two lists for one version; the view takes no more updates.",
    "membership-message-dropped": "A message of membership was for no node here, or malformed.",
    "membership-package-dropped": "A package of member information was not from the viewer's MGM.",
    "membership-record-dropped": "A message of membership was lost by a fault of this host.",
    "membership-work-failed": "The work of membership failed; it is tried again.",
    "membership-behind-lost": "What a peer told of a newer member list could not be stored.",
    "network-policy-unusable": "A virtual node's group policy cannot be used for connections.",
    "session-certificate-unusable": "A virtual node's session certificate is gone or damaged.",
    "tls-client-refused": "A TLS client's certificate does not lead to the network's roots.",
    "registration-dropped": "A registration did not open, was not signed, or found no room.",
    "node-move-unfinished": "A virtual node's move is not over: what it left is not erased, or"
    " it does not work yet; it is tried again.",
    "node-place-unknown": "It could not be seen whether an MGM has decided where a node is.",
    "node-transfer-lost": "Another process has taken over the export or import of a node.",
    "node-transfer-failed": "The export or import of a node failed by a defect.",
    "node-transfer-unfinished": "A failure could not be stored; the transfer is resumed later.",
    "node-operation-lost": "Another process has taken over the creation or upgrade of a node.",
    "node-operation-failed": "The creation or upgrade of a node failed by a defect.",
    "node-upgrade-waits": "A stage of an upgrade failed after the first change; it is done again.",
    "node-operation-unfinished": "A failure could not be stored; the operation is resumed later.",
    "node-name-of-other-form": "A node was made under another form of its name, by an earlier"
    " release, and is not reached: create it anew, as `expected`.",
    "member-not-renewed": "A node with another CPI is not registered again; `reason` says why.",
    "registration-not-sent-again": "An open registration waits: its node or its key is gone.",
    "registration-lost": "Another process has taken over a registration.",
    "registration-invalid": "A registration was declined; `reason` says why.",
    "group-policy-unreadable": "The group policy of a stored CPI cannot be read.",
    "carriage-waits": "The broker does not take work of a partition (`bus = kafka`); it is tried"
    " again.",
    "carriage-work-failed": "Sending or landing work (`bus = kafka`) failed; it is tried again.",
    "relay-waits": "The broker does not take outward records of a partition; it is tried again.",
    "relay-work-failed": "The relay of outward topics failed; it is tried again.",
    # Start and end
    "engine": "The WebAssembly engine and its version.",
    "engine-advisory": "A published advisory concerns the engine's version: update it.",
    "isolation": "Which walls around guests are in force, and which are missing.",
    "sandbox-progress": "A step of preparing the sandbox, which may take seconds.",
    "audit-key-made": "The key of the audit logs was made; include it in backups.",
    "administrator-password-differs": "The given password of `admin` is not the stored one, which"
    " counts.",
    "draining": "The process answers the calls that it has and takes no others.",
    "stopping": "The host or worker ends.",
    "doorbell-unavailable": "Notifications between processes do not work; they look every second.",
    "vault-function-failed": (
        "A contract package's function for states in vaults failed: a node kept the defaults."
    ),
    "ledger-notarised-twice": (
        "A transaction was refused: another one, with its notary's signature as well, consumed"
        " one of its inputs. The notary signed both."
    ),
    "ledger-verification-differs": (
        "A counterparty's contract run with the same engine differs in its fuel, not in its"
        " outcome."
    ),
    "ledger-repair-given-up": (
        "Nobody could tell whether a transaction is final, five days after its time window."
    ),
    "vault-rebuilt": "The vault functions were run again for all that a node had verified.",
    "mark-not-kept": "A mark of a file's age could not be written.",
    "epoch-not-raised": "The directory's count of starts could not be raised.",
    # Workers
    "worker-started": "A worker process was started.",
    "worker-not-started": "The system refused a worker's process; it is tried again.",
    "worker-ready": "A worker takes calls.",
    "worker-ended": "A worker process has ended; one that was not told to is started again.",
    "worker-killed": "A worker did not end in time and was killed.",
    "worker-refused": "A worker could not start; the code tells why.",
    "host-ended": "The host that a joined worker belongs to has ended.",
    "group-not-told": "A worker could not be told of a change; it reads it by itself.",
    "calls-cut-off": "Calls were still running when the worker ended.",
    "metrics-missing": "A worker did not answer for its metrics.",
    "parked-missing": "A worker did not answer for its parked guests.",
    "monitor-listening": "Address of `/metrics` and health checks of this process.",
    "rpc-call-failed": "A call between workers failed unexpectedly.",
    "rpc-connection-lost": "A connection between workers ended.",
    "rpc-stranger-refused": "A process without the workers' key tried to connect.",
    # Settings
    "config-taken-over": "A section of settings was changed and is in force.",
    "config-not-taken-over": "A changed section does not fit; the values before stay in force.",
    "config-change-failed": "A part of the host could not take a changed section over.",
    "config-not-read": "The sections of settings could not be read; this is tried again.",
    "settings-reread": "The settings were read again after SIGHUP.",
    "settings-taken-over": "A worker has taken over the settings that were read again.",
    "settings-need-restart": "Changed settings that take effect at the next start alone.",
    "settings-not-reread": "The settings could not be read again; those before stay in force.",
    # REST
    "request": "A request was answered; at level info if the status is 400 or more.",
    "request-failed": "A request was answered with a status of 500 or more.",
    "sign-in-failed": "Wrong user name or password.",
    "sign-in-delayed": "A sign-in was refused without a look, after wrong passwords.",
    "token-refused": "A token of an identity provider, or its user, was refused.",
    "connections-refused": "Connections were refused: too many, in all or from one address.",
    "connections-not-accepted": "The process has no descriptors or memory for connections.",
    "connection-ended": "A connection was ended for what the client did or did not.",
    "handshake-failed": "A client's TLS handshake failed.",
    "no-tls": "A client spoke without TLS.",
    "certificate-made-anew": "The host made a new certificate for REST; clients must trust it.",
    "certificate-expires": "The certificate of REST expires soon.",
    "certificate-names-another": "The certificate of REST does not name the address it serves.",
    "private-key-exposed": "Every user of the machine may read or write REST's private key.",
    "certificate-refused": "New files of the certificate cannot be used; the old ones stay.",
    "certificate-reread": "New files of the certificate are in use.",
    # Gateways between clusters
    "gateway-tls": "The certificates with which the gateway serves were taken over.",
    "gateway-tls-not-taken-over": "Certificates or roots of the gateway cannot be used; it goes on"
    " with the earlier ones.",
    "link-handshake-failed": "A handshake of another cluster failed; told once a minute for an"
    " address.",
    "peer-failed": "A request to another cluster had no useful answer; it is repeated. Told once a"
    " minute for a pair of members.",
    "link-state-damaged": "A stored state or message of the link cannot be read.",
    "link-work-failed": "The link's own work failed, for example at the store; it is tried again.",
    "post-failed": "A request to the gateway of another cluster got no answer.",
    "posts-not-taken": "The link did not say what to send to other clusters; it is asked again.",
    "posts-not-done": "The link was not told of an answer, which counts as missing.",
    # Keys, packages, nodes
    "key-rotation-interrupted": "A key rotation has stopped; it goes on at the next start.",
    "package-missing": "The file of a stored CPI is gone: its flows cannot run.",
    "upload-failed": "An upload failed unexpectedly.",
    "group-of-others-forced": "A CPI of a group that others founded was stored, as was forced.",
    "notary-undecided": "A notary could not store a decision; its clients ask again.",
    "uniqueness-unusable": "A notary's database is damaged, missing or foreign: it serves nobody.",
    "vault-unusable": "A node's vault is damaged, missing or foreign: its flows fail.",
    "flush-failed": "Usage could not be written; it is written later.",
    # Audit logs
    "administrative-act": "An operation that changes something, and its outcome.",
    "administrative-refusal": "An operation was refused to its user.",
    "administrative-log-unwritten": "The administrative log cannot be written: no changes.",
    "administrative-log-not-pruned": "Old entries of the administrative log were not deleted.",
    "administrative-outcome-late": "The outcome of an operation was logged late.",
    "audit-log-missing": "A node whose vault has had effects has no audit log.",
    "audit-log-recovery": "An audit log was found cut or replaced; an entry of it says so.",
    "audit-log-torn-line": "The incomplete last line of an audit log was cut off.",
    "audit-log-counts-forged": "Counts of refusals were not written with the host's key.",
    "audit-log-not-rotated": "A full part of an audit log could not be closed.",
}
"""Event -> meaning."""
