"""Measures this worker and its helpers: whether it gains time to send a tile, and how long to wait for an answer."""

import threading

from worker.sharing.messages import BYTES_PER_PX, TileAnswer, TileRequest

MEMORY = 0.2  # weight of the newest measurement in each average
LEAST_GAIN = 2.0  # a tile takes at least so many times as long to compute as to transfer, or it is not sent
PATIENCE = 3.0  # an answer is overdue after so many times the usual time
LEAST_PATIENCE_S = 1.0
FIRST_TRANSFER_S_PER_BYTE = 5e-9  # assumed until measured: 200 MB/s


class Pace:
    """Averages over tiles, in seconds per pixel of the window or per byte."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own_s_per_px: float | None = None
        self._turnaround_s_per_px: float | None = None
        self._transfer_s_per_byte = FIRST_TRANSFER_S_PER_BYTE

    def tile_computed(self, window_px: int, seconds: float) -> None:
        """Records how long one of this worker's own tiles took."""
        with self._lock:
            self._own_s_per_px = _average(self._own_s_per_px, seconds / window_px)

    def answered(self, request: TileRequest, answer: TileAnswer, *, send_s: float, turnaround_s: float) -> None:
        """Records an answer: `send_s` to store the window, `turnaround_s` from submission to the answer's arrival."""
        height, width = request.window
        transfer_s_per_byte = (send_s + answer.take_s) / (height * width * BYTES_PER_PX)
        with self._lock:
            self._transfer_s_per_byte = _average(self._transfer_s_per_byte, transfer_s_per_byte)
            self._turnaround_s_per_px = _average(self._turnaround_s_per_px, turnaround_s / (height * width))

    def gains(self, window_px: int) -> bool:
        """Returns whether computing such a tile elsewhere takes this worker less time than computing it here.

        False until one of its own tiles has been measured.
        """
        if self._own_s_per_px is None:
            return False
        transfer_s = 2 * window_px * BYTES_PER_PX * self._transfer_s_per_byte  # there and back
        return self._own_s_per_px * window_px >= LEAST_GAIN * transfer_s

    def patience_s(self, request: TileRequest) -> float:
        """Returns how long to wait for the answer to a request, from its submission."""
        height, width = request.window
        usual_s_per_px = self._turnaround_s_per_px or 2 * (self._own_s_per_px or 0)
        return max(LEAST_PATIENCE_S, PATIENCE * usual_s_per_px * height * width)


def _average(before: float | None, newest: float) -> float:
    return newest if before is None else before + MEMORY * (newest - before)
