"""Defines the reasons, other than an error, for which an attempt stops early."""


class Interrupted(Exception):
    """The attempt has to stop."""


class Drained(Interrupted):
    """This worker is shutting down; another one resumes from the checkpoint."""


class Canceled(Interrupted):
    """The job's owner canceled it."""


class Deleted(Interrupted):
    """The job is gone, and nothing of it may come back."""


class StorageLost(Interrupted):
    """This host has not reached the object storage for two leases; another one may."""
