"""One file per resource: parse, call the service, respond."""
