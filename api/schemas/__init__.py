"""Request and response schemas. The client shares them, so nothing here imports Flask."""
