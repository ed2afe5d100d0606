"""Why an attempt stops before its end, other than by an error of the job."""


class Interrupted(Exception):
    """The attempt stops here."""


class Drained(Interrupted):
    """This worker is shutting down; another one goes on from the checkpoint."""


class Canceled(Interrupted):
    """The job's owner no longer wants it."""


class Deleted(Interrupted):
    """The job is gone, and nothing of it may come back."""
