"""The reload loop of `cordbox dev`: build, upload, watch."""
