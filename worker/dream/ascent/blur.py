"""Applies the ascent's three Gaussian blurs in place and strip by strip: narrow ones by OpenCV, wide ones by BLAS.

The result equals scipy.ndimage.gaussian_filter (cut at 4 sigma, half-sample reflection) to 1e-4, in a tenth of its
time. The blur works in place because every further array of the image's size reduces the largest possible image.

A blur over the three colors only scales each of their cosine components (DCT-II): the gray one by 1, the others by
less, the wider it is. So the colors are transformed once for all three blurs. A component that would be scaled to
almost nothing is left out.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from worker.dream import scratch
from worker.dream.types import Image

_COSINES = np.array(  # (3, 3): colors to their cosine components, gray first
    [
        [1 / math.sqrt(3)] * 3,
        [math.sqrt(1 / 2), 0, -math.sqrt(1 / 2)],
        [1 / math.sqrt(6), -math.sqrt(2 / 3), 1 / math.sqrt(6)],
    ],
    np.float32,
)
_NOTHING = 1e-4  # components that a blur scales by less are left out; its cut at 4 sigma drops 6e-5 of every Gaussian
_WIDE = 10  # pixels; from this radius on matrix products are faster than OpenCV's filters
_BLOCK = 32  # rows or columns per matrix product; with more, most of the matrix would be zero
_STRIP_PX = 256 * 1024  # a strip, its halo and its copies take about 20 MB in addition to the gradient
_LARGE_STRIP_PX = 1024 * 1024  # of a wide image: about 50 MB
_STRIP_ROWS, _FEWEST_ROWS = 96, 64  # so that halos don't outweigh strips; of 40,000 columns 64 rows take 160 MB


Moments = tuple[float, float, float, float, float]  # sum, sum of squares, minimum, maximum, sum of absolute values


@dataclass(frozen=True, slots=True)
class Statistics:
    """Summarizes a whole gradient, over pixels and colors."""

    minimum: float
    maximum: float
    std: float
    mean_size: float  # the mean of the absolute values


def sigmas(iteration: int, iterations: int) -> tuple[float, float, float]:
    """Returns the three sigmas, in pixels, that blur the gradient of an iteration: fine at first, coarse at the end."""
    sigma = 4.0 * iteration / iterations + 0.5
    return sigma, 2 * sigma, sigma / 2


def radius(sigma: float) -> int:
    return int(4 * sigma + 0.5)  # as SciPy computes it


def gaussian(image: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """Applies G(sigma) over y and x, not over color. Accepts any number of channels."""
    size = 2 * radius(sigma) + 1
    return cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REFLECT)  # type: ignore[return-value]


def color_matrix(sigma: float) -> npt.NDArray[np.float32]:
    """Returns G(sigma) over the color axis as a matrix, (3, 3), which is exact because there are only three colors."""
    size = 2 * radius(sigma) + 1
    unit = np.eye(3, dtype=np.float64)
    return cv2.GaussianBlur(unit, (1, size), 1.0, sigmaY=sigma, borderType=cv2.BORDER_REFLECT).astype(np.float32)


class _Blur:
    """Applies one Gaussian to the components of a strip."""

    def __init__(self, sigma: float, *, over_colors: bool) -> None:
        self.radius = radius(sigma)
        scaled = _COSINES @ color_matrix(sigma) @ _COSINES.T if over_colors else np.eye(3)
        self.scales = [scale if abs(scale) > _NOTHING else 0.0 for scale in np.diag(scaled).tolist()]
        self._sigma = sigma
        if self.radius >= _WIDE:
            kernel = cv2.getGaussianKernel(2 * self.radius + 1, sigma).ravel()
            self._matrix = np.zeros((_BLOCK, _BLOCK + 2 * self.radius), np.float32)  # blurs _BLOCK rows
            for row in range(_BLOCK):
                self._matrix[row, row : row + len(kernel)] = kernel

    def __call__(self, plane: npt.NDArray[np.float32], start: int, stop: int) -> npt.NDArray[np.float32]:
        """Returns the blurred rows from start to stop of a plane, (h, w), whose outer rows are reflected."""
        low, high = max(start - self.radius, 0), stop + self.radius
        if self.radius < _WIDE:
            return gaussian(plane[low:high], self._sigma)[start - low : stop - low]
        around, length = self.radius, len(plane)
        above, below = max(around - start, 0), max(high - length, 0)
        padded = cv2.copyMakeBorder(plane[low:high], above, below, around, around, cv2.BORDER_REFLECT)
        tall = np.empty((stop - start, padded.shape[1]), np.float32)
        for top, count, matrix in self._blocks(len(tall)):
            np.matmul(matrix, padded[top : top + matrix.shape[1]], out=tall[top : top + count])
        blurred = np.empty((len(tall), plane.shape[1]), np.float32)
        for left, count, matrix in self._blocks(plane.shape[1]):
            np.matmul(tall[:, left : left + matrix.shape[1]], matrix.T, out=blurred[:, left : left + count])
        return blurred

    def _blocks(self, length: int) -> Iterator[tuple[int, int, npt.NDArray[np.float32]]]:
        """Yields start, length and matrix of each block of an axis."""
        for start in range(0, length, _BLOCK):
            count = min(_BLOCK, length - start)
            yield start, count, self._matrix[:count, : count + 2 * self.radius]


class Preparation:
    """Blurs a gradient and mixes its colors in place, strip by strip from top to bottom, as its rows become complete.

    gradient <- G(sigma) g + G(2 sigma) g + G(sigma / 2) g, over the colors as well if asked. Without the blur over y
    and x, the colors are mixed to the same degree. The result does not depend on when and where the strips run.
    """

    def __init__(self, gradient: Image, sigma: float, *, over_colors: bool, blurs: bool, threads: int) -> None:
        """gradient: float32 (H, W, 3).   threads: strips that are prepared together, which saves copies."""
        self._gradient, self._threads = gradient, threads
        self._over_colors = over_colors
        self._blurs = [_Blur(one, over_colors=over_colors) for one in (sigma, 2 * sigma, sigma / 2)]
        self._reach = max(blur.radius for blur in self._blurs) if blurs else 0
        self._mixed = mean_color_matrix(sigma) if over_colors else None
        self._prepare = self._smooth if blurs else self._mix
        self._strips = strips_of(*gradient.shape[:2])
        self.begin()

    def begin(self) -> None:
        """Begins with the first row, also again if the gradient was computed again."""
        self._above = self._gradient[:0].copy()  # the rows above the next strips, as they were before being overwritten
        self._next = 0  # strip
        self._ready: deque[Callable[[], None]] = deque()
        self._moments: dict[int, Moments] = {}

    def work(self, complete: int) -> Callable[[], None] | None:
        """Returns the next strip's work, which may run on any thread; None if the rows that it needs are not complete.

        complete: rows, from the top, that have their final values. Call it from one thread at a time.
        """
        if not self._ready and self._next < len(self._strips):
            self._cut(complete)
        return self._ready.popleft() if self._ready else None

    def finish(self, pool: Executor) -> Statistics:
        """Prepares what is left, once the whole gradient is complete. Returns the result's statistics.

        Work that was handed out must have ended.
        """
        while first := self.work(len(self._gradient)):
            together, self._ready = [first, *self._ready], deque()
            for done in [pool.submit(strip) for strip in together]:
                done.result()
        return _statistics([self._moments[strip] for strip in range(len(self._strips))], self._gradient.size)

    def _cut(self, complete: int) -> None:
        """Readies the next strips, if all rows that they need are complete."""
        group = self._strips[self._next : self._next + self._threads]
        top, bottom = group[0][0], min(group[-1][1] + self._reach, len(self._gradient))
        if bottom > complete:
            return
        if self._reach:
            source = np.concatenate([self._above, self._gradient[top:bottom]])  # (len(above) + rows + below, W, 3)
            offset = top - len(self._above)
            self._above = self._gradient[max(0, group[-1][1] - self._reach) : group[-1][1]].copy()
        else:
            source, offset = self._gradient, 0
        for index, rows in enumerate(group, start=self._next):
            self._ready.append(partial(self._run, index, source, offset, rows))
        self._next += len(group)

    def _run(self, index: int, source: Image, offset: int, rows: tuple[int, int]) -> None:
        self._prepare(source, offset, rows)
        self._moments[index] = _moments(self._gradient[slice(*rows)])
        scratch.release()

    def _smooth(self, source: Image, offset: int, rows: tuple[int, int]) -> None:
        """Blurs one strip. `source` holds the original rows from `offset` on."""
        low = max(rows[0] - self._reach - offset, 0)
        start, stop = (row - offset - low for row in rows)
        near = source[low : low + stop + self._reach]
        totals = []
        for number, component in enumerate(self._components(near)):
            total = np.zeros((stop - start, near.shape[1]), np.float32)
            for blur in self._blurs:
                if scale := blur.scales[number]:
                    cv2.scaleAdd(blur(component, start, stop), scale, total, dst=total)
            totals.append(total)
        result = self._gradient[slice(*rows)]
        cv2.merge(totals, dst=result)
        if self._over_colors:
            cv2.transform(result, _COSINES.T, dst=result)

    def _components(self, near: Image) -> Iterable[npt.NDArray[np.float32]]:
        """Returns the three planes that are blurred, (h, w) each."""
        if not self._over_colors:
            return cv2.split(near)  # type: ignore[return-value]
        # Faster than all three at once, and a split.
        return (np.asarray(cv2.transform(near, row), np.float32) for row in _COSINES[:, None])

    def _mix(self, source: Image, offset: int, rows: tuple[int, int]) -> None:
        strip = source[rows[0] - offset : rows[1] - offset]
        if self._mixed is not None:
            strip[:] = cv2.transform(strip, self._mixed)


def mean_color_matrix(sigma: float) -> npt.NDArray[np.float32]:
    """Returns the mean of the three color matrices, (3, 3).

    It is a third of their effect on the colors of a gradient that its blurs over y and x leave unchanged.
    """
    return (color_matrix(sigma) + color_matrix(2 * sigma) + color_matrix(sigma / 2)) / np.float32(3)


def strips_of(height: int, width: int) -> list[tuple[int, int]]:
    """Returns (first row, last row + 1) of each strip.

    The strips have equal heights, and their number is even where the height allows, so that no core waits long.
    """
    pairs = max(1, round(height * width / (2 * _STRIP_PX)))
    rows = min(_STRIP_ROWS, max(_FEWEST_ROWS, _LARGE_STRIP_PX // width))
    count = min(2 * pairs, max(1, height // rows))
    count -= count % 2 if count > 1 else 0
    return list(pairwise(height * edge // count for edge in range(count + 1)))


def _moments(strip: Image) -> Moments:
    """Returns the moments of one strip, summed in double precision."""
    flat = strip.reshape(len(strip), -1)
    mean, std = cv2.meanStdDev(flat)
    average, spread = float(mean[0, 0]), float(std[0, 0])
    minimum, maximum, _, _ = cv2.minMaxLoc(flat)
    squares = (spread**2 + average**2) * flat.size
    return average * flat.size, squares, minimum, maximum, cv2.norm(flat, cv2.NORM_L1)


def _statistics(moments: list[Moments], size: int) -> Statistics:
    sums, squares, minima, maxima, sizes = zip(*moments, strict=True)
    variance = sum(squares) / size - (sum(sums) / size) ** 2
    return Statistics(min(minima), max(maxima), float(np.sqrt(max(variance, 0.0))), sum(sizes) / size)
