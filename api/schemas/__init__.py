"""What the interface takes and gives, as records. The client shares them, so nothing of Flask is imported here."""
