"""The API under gunicorn: `gunicorn -c deploy/gunicorn.conf.py 'api.app:create_app()'`."""  # noqa: N999 - the name that gunicorn looks for

import tempfile
from pathlib import Path

worker_class = "gthread"  # requests wait for Redis and S3, hardly ever for a processor
workers = 2  # so that one dying leaves the other to answer
threads = 32  # an open event stream or a `Prefer: wait` holds one
timeout = 60  # seconds without a sign of life from a process; requests have their own limits
graceful_timeout = 10  # seconds for running requests to end when it stops
keepalive = 5  # seconds
max_requests_jitter = 100
accesslog = None  # the application logs its requests
control_socket_disable = True  # its default place is one per user: two stacks would fight over it
# The sign of life is a file's time stamp: on a disk that stalls, healthy processes would look dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir()  # noqa: S108 - gunicorn makes a private file there
