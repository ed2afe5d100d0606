"""Causes troubles that last a while: bad networks, full disks, wrong clocks, a Redis with older data."""

import shutil
import time
from collections.abc import Callable

from tests.chaos.network.s3_link import S3Trouble
from tests.chaos.network.tcp_proxy import Trouble
from tests.chaos.stage import LEASE_S, WORKERS, Stage

WRONG_BY_S = 600.0
NETWORK = {
    "network: latency": lambda rng: Trouble("latency", delay_s=rng.uniform(0.02, 0.3)),
    "network: bandwidth": lambda rng: Trouble("bandwidth", bytes_per_s=rng.uniform(20_000, 100_000)),
    "network: resets": lambda rng: Trouble("resets"),
    "network: half-open": lambda rng: Trouble("half-open"),
    "network: answers lost": lambda rng: Trouble("answers lost"),
}
S3 = {
    "s3 answers 5xx": S3Trouble(s3_kind="5xx"),
    "s3 is full": S3Trouble(s3_kind="full"),
    "s3 lists are stale": S3Trouble(s3_kind="stale lists"),
}


class Troubles(Stage):
    """Starts troubles, and ends each when it is due."""

    def _lasting_kinds(self) -> dict[str, Callable[[], None]]:
        networks = {kind: lambda make=make: self._disturb_network(make(self.random)) for kind, make in NETWORK.items()}
        stores = {kind: lambda trouble=trouble: self._disturb_s3(trouble) for kind, trouble in S3.items()}
        return {
            **networks,
            **stores,
            "a worker cut off": self._cut_off,
            "redis replaced by an older copy": self._replace_redis,
            "disk full": self._fill_disk,
            "clock off by ten minutes": self._set_clock,
        }

    def _end_troubles(self) -> None:
        for _, end in self._endings:
            end()
        self._endings.clear()

    def _later(self, seconds: float, end: Callable[[], None]) -> None:
        self._endings.append((time.monotonic() + seconds, end))

    def _is_disturbed(self, name: str) -> bool:
        return self.stack.links[name].is_disturbed

    def _disturb_network(self, trouble: Trouble) -> None:
        """Disturbs the connections of one part, or of all, to Redis or to S3."""
        names = list(self.stack.links)
        chosen = names if self.random.random() < 0.3 else [self.random.choice(names)]
        service = self.random.choice(["redis", "s3"])
        links = [getattr(self.stack.links[name], service) for name in chosen]
        for link in links:
            link.disturb(trouble)
        self._later(self.random.uniform(0.5, 3) * LEASE_S, lambda: [link.calm() for link in links])

    def _disturb_s3(self, trouble: Trouble) -> None:
        links = [part.s3 for part in self.stack.links.values()]
        for link in links:
            link.disturb(trouble)
        self._later(self.random.uniform(0.5, 3) * LEASE_S, lambda: [link.calm() for link in links])

    def _cut_off(self) -> None:
        links = self.stack.links[self.random.choice(WORKERS)]
        links.disturb(Trouble(self.random.choice(["cut off", "half-open"])))
        self._later(self.random.uniform(1, 4) * LEASE_S, links.calm)

    def _replace_redis(self) -> None:
        """Replaces Redis's folder by the copy that the previous such fault took, or else by that of the start."""
        if "redis" in self._stopped:
            return
        self.stack.kill_component("redis")
        self.observer.forgive()
        data, older, fresh = (self.home / name for name in ("redis", "redis-copy", "redis-fresh"))
        shutil.copytree(data, fresh)
        shutil.rmtree(data)
        older.rename(data)
        fresh.rename(older)
        self._stopped["redis"] = time.monotonic() + self.random.uniform(0.2, 2)

    def _copy_redis(self) -> None:
        """Takes the first copy, which the first replacement uses. A torn end is cut off when it is loaded."""
        shutil.copytree(self.home / "redis", self.home / "redis-copy")

    def _fill_disk(self) -> None:
        full = self.stack.trouble_folder(self.random.choice([*WORKERS, "api"])) / "disk_full"
        full.touch()
        self._later(self.random.uniform(0.5, 3) * LEASE_S, lambda: full.unlink(missing_ok=True))

    def _set_clock(self) -> None:
        """Sets one part's clock ten minutes forward or back until it is set right."""
        clock = self.stack.trouble_folder(self.random.choice(list(self.stack.links))) / "clock"
        clock.write_text(str(self.random.choice([-1, 1]) * WRONG_BY_S))
        self._later(self.random.uniform(5, 20) * LEASE_S, lambda: clock.write_text("0"))
