"""The API under gunicorn: `gunicorn -c deploy/gunicorn.conf.py 'api.app:create_app()'`."""  # noqa: N999 - the name that gunicorn looks for

import gc
import logging
import os
import resource
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from uvicorn import Server
from uvicorn_worker import UvicornWorker

from shared import logs
from shared.settings import EX_CONFIG, load_or_exit

load_or_exit()  # a wrong variable ends it here, with a sentence

# In memory: on a disk that stalls, healthy processes would look dead, and every request would wait for its metrics.
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir()  # noqa: S108 - gunicorn and we make private files there
METRICS = Path(tempfile.mkdtemp(prefix=f"dreamqueue-metrics-{os.getpid()}-", dir=FAST))
for left in Path(FAST).glob("dreamqueue-metrics-*-*"):  # by one that was killed
    if Path("/proc/self").exists() and not Path("/proc", left.name.split("-")[2]).exists():
        shutil.rmtree(left, ignore_errors=True)
_, MOST_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES, MOST_FILES))  # each connection is one; the usual 1024 are few
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS)  # where the processes' numbers meet; read at the first import


class OneLog(Logger):
    """gunicorn's own records in the same lines as everybody's."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        logs.configure()
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class StreamEndingServer(Server):
    """Uvicorn, which ends event streams before it waits for running requests."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.loaded_app.end_streams()
        await super().shutdown(sockets)


class GatewayWorker(UvicornWorker):
    """A process that serves the WSGI application of gunicorn's command line, by Uvicorn and behind the gateway."""

    CONFIG_KWARGS = {  # noqa: RUF012 - as in the base class
        "loop": "uvloop",
        "http": "api.gateway.protocol:GuardedProtocol",
        "ws": "none",
        "interface": "asgi3",
        "lifespan": "on",
        "access_log": False,  # the application logs its requests
        "proxy_headers": False,  # the gateway and ProxyFix read them
        "server_header": False,
        "timeout_notify": 2,  # seconds between two calls of `callback_notify`
    }

    def load_wsgi(self) -> None:
        from api.gateway.gateway import Gateway  # noqa: PLC0415 - after the place for metrics is known

        super().load_wsgi()
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # not a line for each malformed request
        self.wsgi = Gateway(self.wsgi, proxies=self.cfg.forwarded_allow_ips)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout
        self._install_sigquit_handler()
        self.server = StreamEndingServer(self.config)
        await self.server.serve(sockets=self.sockets)
        if not self.server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    async def callback_notify(self) -> None:
        """Reports to gunicorn. Stops if gunicorn's main process was killed, because the next one needs the port."""
        await super().callback_notify()
        if os.getppid() != self.ppid:
            self.server.should_exit = True


worker_class = GatewayWorker
workers = 2  # so that one dying leaves the other to answer
timeout = 60  # seconds without a sign of life from a process; requests have their own limits
graceful_timeout = 10  # seconds for running requests to end when it stops
keepalive = 75  # seconds; longer than proxies and clients keep one, so that none sends into a closed connection
logger_class = OneLog
accesslog = None  # the application logs its requests
control_socket_disable = True  # its default place is one per user: two stacks would fight over it
worker_tmp_dir = FAST


def on_starting(server: Arbiter) -> None:
    """Refuses unfit services once, with a sentence; in the processes it would be a traceback over and over."""
    from api.access.bind_guard import refuse_undecided  # noqa: PLC0415
    from api.wiring import connect  # noqa: PLC0415 - after the settings, and after the place for metrics is known
    from shared.errors import InvalidSettings, UnfitService  # noqa: PLC0415

    try:
        settings = load_or_exit()
        refuse_undecided(server.cfg.address, settings)
        connect(settings)
    except (UnfitService, InvalidSettings) as exc:
        server.log.critical("refused to start: %s", exc)
        on_exit(server)
        sys.exit(EX_CONFIG)


def post_worker_init(worker: GatewayWorker) -> None:  # noqa: ARG001 - gunicorn calls it so
    """Exempts what was imported from garbage collection: looking at it again would hold up requests."""
    gc.collect()
    gc.freeze()


def child_exit(server: Arbiter, worker: GatewayWorker) -> None:  # noqa: ARG001 - gunicorn calls it so
    """Forgets the gauges of a process that has ended; its counters still count."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - only once the place for metrics is known

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Arbiter) -> None:  # noqa: ARG001 - gunicorn calls it so
    shutil.rmtree(METRICS, ignore_errors=True)
