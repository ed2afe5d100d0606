"""The API under gunicorn: `gunicorn -c deploy/gunicorn.conf.py 'api.app:create_app()'`."""  # noqa: N999 - the name that gunicorn looks for

import gc
import os
import shutil
import socket
import sys
import tempfile
from concurrent.futures import Future
from pathlib import Path
from types import FrameType

from gunicorn import util
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.util import close_graceful
from gunicorn.workers.gthread import TConn, ThreadWorker

from shared import logs
from shared.settings import EX_CONFIG, load_or_exit

load_or_exit()  # a wrong variable ends it here, with a sentence

# In memory: on a disk that stalls, healthy processes would look dead, and every request would wait for its metrics.
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir()  # noqa: S108 - gunicorn and we make private files there
METRICS = Path(tempfile.mkdtemp(prefix=f"dreamqueue-metrics-{os.getpid()}-", dir=FAST))
for left in Path(FAST).glob("dreamqueue-metrics-*-*"):  # by one that was killed
    if Path("/proc/self").exists() and not Path("/proc", left.name.split("-")[2]).exists():
        shutil.rmtree(left, ignore_errors=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS)  # where the processes' numbers meet; read at the first import


class OneLog(Logger):
    """gunicorn's own records in the same lines as everybody's."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        logs.configure()
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def write_problem(sock: socket.socket, status: int, reason: str, message: str) -> None:
    """gunicorn's own refusals, of a malformed or oversized request, in the form of all others; its own are HTML."""
    from api.http import refusals  # noqa: PLC0415 - after the settings

    util.write_nonblock(sock, refusals.response(status, reason, message))


util.write_error = write_problem


class Worker(ThreadWorker):
    """gthread, but for one thing: to close a connection, gunicorn 27 waits on its main loop for the client, up to 2 s.

    One client that asks for the connection to be closed and then does not let go would hold up all others.
    """

    def handle(self, conn: TConn) -> object:
        keeps = super().handle(conn)
        if keeps is False:
            close_graceful(conn.sock)  # here, on the request's own thread
        return keeps

    def finish_request(self, conn: TConn, fs: "Future[object]") -> None:
        if conn.sock.fileno() == -1:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.wsgi.extensions["dreamqueue"].subscriptions.close()  # open event streams end, and their readers come back
        super().handle_exit(sig, frame)


worker_class = Worker  # requests wait for Redis and S3, hardly ever for a processor
workers = 2  # so that one dying leaves the other to answer
threads = (
    256  # each open event stream and `Prefer: wait` holds one; DREAM_MAX_STREAMS of them, the rest is for the others
)
timeout = 60  # seconds without a sign of life from a process; requests have their own limits
graceful_timeout = 10  # seconds for running requests to end when it stops
keepalive = 5  # seconds
max_requests_jitter = 100
logger_class = OneLog
accesslog = None  # the application logs its requests
control_socket_disable = True  # its default place is one per user: two stacks would fight over it
worker_tmp_dir = FAST


def on_starting(server: Arbiter) -> None:
    """Refuses unfit services once, with a sentence; in the processes it would be a traceback over and over."""
    from api.access.bind_guard import refuse_by_oversight  # noqa: PLC0415
    from api.wiring import connect  # noqa: PLC0415 - after the settings, and after the place for metrics is known
    from shared.errors import InvalidSettings, UnfitService  # noqa: PLC0415

    try:
        settings = load_or_exit()
        refuse_by_oversight(server.cfg.address, settings)
        connect(settings)
    except (UnfitService, InvalidSettings) as exc:
        server.log.critical("refused to start: %s", exc)
        on_exit(server)
        sys.exit(EX_CONFIG)


def post_worker_init(worker: Worker) -> None:  # noqa: ARG001 - gunicorn calls it so
    """Exempts what was imported from garbage collection: looking at it again would hold up requests."""
    gc.collect()
    gc.freeze()


def child_exit(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001 - gunicorn calls it so
    """Forgets the gauges of a process that has ended; its counters still count."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - only once the place for metrics is known

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Arbiter) -> None:  # noqa: ARG001 - gunicorn calls it so
    shutil.rmtree(METRICS, ignore_errors=True)
