"""What to do about each code of Kafka; the docstrings of the errors give the causes."""

from collections.abc import Mapping

ERROR_CODES: Mapping[str, str] = {
    "broker-refused": "See what the message names: `UNKNOWN_TOPIC_OR_PART`: make the topic by"
    " `cordbox kafka topics create`; `MSG_SIZE_TOO_LARGE`: raise its `max.message.bytes`; another:"
    " the rights of `kafka_user`. The relay tries again by itself.",
    "broker-unavailable": "Start the brokers, or mend the way to them: the relay then sends what"
    " waits.",
    "topic-name-invalid": "Name a topic below `ext.`, as the pattern of external messages does.",
}
"""Code -> remedy."""
