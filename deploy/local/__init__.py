"""The embedded stack behind `make up` and `make demo`."""
