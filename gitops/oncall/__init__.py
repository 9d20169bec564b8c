"""What a person asks for: status, rollback, recovery, collection, teardown, the report of a run."""
