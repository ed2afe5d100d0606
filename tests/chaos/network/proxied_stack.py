"""Runs a stack whose parts reach Redis and S3 through proxies of their own, with clocks and disks that can go wrong."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.process import Component
from deploy.local.stack import Stack
from tests.chaos.network.s3_link import S3Link
from tests.chaos.network.tcp_proxy import TcpProxy, Trouble, event_loop

SITE = Path(__file__).parent.parent / "site"
SERVICES = ("redis", "s3")


@dataclass(frozen=True)
class Links:
    """Holds one part's proxies."""

    redis: TcpProxy
    s3: S3Link

    @property
    def is_disturbed(self) -> bool:
        return self.redis.is_disturbed or self.s3.is_disturbed

    def disturb(self, trouble: Trouble) -> None:
        self.redis.disturb(trouble)
        self.s3.disturb(trouble)

    def calm(self) -> None:
        self.disturb(Trouble())


class ProxiedStack(Stack):
    """A stack with `links` and a folder of troubles for every part of ours (see `site/sitecustomize.py`)."""

    def __init__(self, home: Path, *, workers: int, env: Mapping[str, str]) -> None:
        super().__init__(home, workers=workers, env=env)
        self.links: dict[str, Links] = {}
        self._events = event_loop()
        self._loop: asyncio.AbstractEventLoop | None = None

    def through_proxies(self, component: Component) -> Component:
        """Returns the component with its own proxies' addresses in place of the services'."""
        if component.name in SERVICES:
            return component
        if self._loop is None:
            self._loop = self._events.__enter__()
        addresses = [self._address(name) for name in SERVICES]
        if component.name not in self.links:
            seed = len(self.links)
            self.links[component.name] = Links(
                redis=TcpProxy(addresses[0], self._loop, seed=seed), s3=S3Link(addresses[1], self._loop, seed=seed)
            )
        links = self.links[component.name]
        env = dict(component.env)
        for variable, (host, port), link in zip(
            ("DREAM_REDIS_URL", "DREAM_S3_URL"), addresses, (links.redis, links.s3), strict=True
        ):
            env[variable] = env[variable].replace(f"{host}:{port}", f"{host}:{link.port}")
        trouble = self.trouble_folder(component.name)
        trouble.mkdir(parents=True, exist_ok=True)
        python_path = os.pathsep.join(filter(None, [str(SITE), os.environ.get("PYTHONPATH")]))
        return replace(component, env={**env, "PYTHONPATH": python_path, "CHAOS_TROUBLE": str(trouble)})

    def trouble_folder(self, name: str) -> Path:
        return self.home / "trouble" / name

    def stop(self) -> None:
        super().stop()
        for links in self.links.values():
            links.redis.stop()
            links.s3.stop()
        self.links.clear()
        if self._loop is not None:
            self._events.__exit__(None, None, None)
            self._loop = None

    def _start_together(self, group: Iterable[Component]) -> None:
        super()._start_together([self.through_proxies(component) for component in group])

    def _address(self, service: str) -> tuple[str, int]:
        url = urlsplit((self.settings.redis_url if service == "redis" else self.settings.s3_url) or "")
        return url.hostname or "", url.port or 0
