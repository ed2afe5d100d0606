"""Defines the reasons, other than an error, for which an attempt stops early."""


class Interrupted(Exception):
    """The attempt has to stop."""


class Drained(Interrupted):
    """This worker is shutting down; another one resumes from the checkpoint."""


class Canceled(Interrupted):
    """The job's owner canceled it."""


class Deleted(Interrupted):
    """The job was deleted; none of its objects may be written again."""
