"""Recovery: the caretaker, housekeeping and the webhook dispatcher."""
