"""What happened to a store: snapshots, tags, what differs between them, and what may be removed."""
