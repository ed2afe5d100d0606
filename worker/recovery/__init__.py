"""Contains the caretaker, reconciliation, housekeeping and the webhook dispatcher."""
