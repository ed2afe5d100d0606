"""Measures this worker and its helpers: whether it gains time to send a tile, and how long to wait for an answer."""

import threading
import time

MEMORY = 0.2  # weight of the newest measurement in each average
LEAST_GAIN = 2.0  # a tile takes at least so many times the processor time that it costs to send it and to receive it
MOST_LATENCY = 4.0  # an answer takes at most so many times as long as the tile itself, or the network is too slow
PROBE_EVERY_S = 20.0  # sends a tile all the same, since a busy moment may have spoiled the measurements
PATIENCE = 3.0  # an answer is overdue after so many times the usual time
LEAST_PATIENCE_S = 1.0


class Pace:
    """Averages over tiles, in seconds per pixel of the window. Is safe to share between threads."""

    def __init__(self, own: float | None = None) -> None:
        """own: seconds per pixel that this worker needs, as measured when it loaded the network; None if it was not."""
        self._lock = threading.Lock()
        self._expected = own  # until a tile of this dream is measured
        self._own: float | None = None  # to compute it here
        self._cost: float | None = None  # of this worker's processor, to send and to receive it
        self._latency: float | None = None  # to send it, compute it and receive it, without waiting for earlier ones
        self._turnaround: float | None = None  # from submission to the answer
        self._probe_at = 0.0

    def tile_computed(self, window_px: int, seconds: float) -> None:
        """Records how long one of this worker's own tiles took."""
        with self._lock:
            self._own = _average(self._own, seconds / window_px)

    def answered(self, window_px: int, *, cost_s: float, latency_s: float, turnaround_s: float) -> None:
        with self._lock:
            self._cost = _average(self._cost, cost_s / window_px)
            self._latency = _average(self._latency, latency_s / window_px)
            self._turnaround = _average(self._turnaround, turnaround_s / window_px)

    def overdue(self, window_px: int, waited_s: float) -> None:
        """Records that an answer takes at least so long, so that a slow helper gets more time, or no more tiles."""
        with self._lock:
            self._cost = self._cost or 0.0
            self._latency = _average(self._latency, waited_s / window_px)
            self._turnaround = _average(self._turnaround, waited_s / window_px)

    def gains(self) -> bool:
        """Returns whether a tile computed elsewhere takes this worker less time than one computed here.

        False until it is known how long one takes here.
        """
        with self._lock:
            own = self._own or self._expected
            if own is None:
                return False
            if self._cost is None or self._latency is None:
                return True
            if LEAST_GAIN * self._cost <= own and self._latency <= MOST_LATENCY * own:
                return True
            is_due = time.monotonic() >= self._probe_at
            if is_due:
                self._probe_at = time.monotonic() + PROBE_EVERY_S
            return is_due

    def patience_s(self, window_px: int) -> float:
        """Returns how long to wait for an answer, from the tile's submission."""
        with self._lock:
            usual = self._turnaround or 2 * (self._own or self._expected or 0)
        return max(LEAST_PATIENCE_S, PATIENCE * usual * window_px)


def _average(before: float | None, newest: float) -> float:
    return newest if before is None else before + MEMORY * (newest - before)
