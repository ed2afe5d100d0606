"""Applies the ascent's three Gaussian blurs in place and strip by strip: narrow ones by OpenCV, wide ones by BLAS.

The result equals scipy.ndimage.gaussian_filter (cut at 4 sigma, half-sample reflection) to 1e-4, in a tenth of its
time. The blur works in place because every further array of the image's size reduces the largest possible image.

A blur over the three colors only scales each of their cosine components (DCT-II): the gray one by 1, the others by
less, the wider it is. So the colors are transformed once for all three blurs. A component that would be scaled to
almost nothing is left out.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, wait
from dataclasses import dataclass
from functools import partial
from threading import Lock

import cv2
import numpy as np
import numpy.typing as npt

from worker.dream import scratch
from worker.dream.ascent.strips import IsComplete, Strip, Strips
from worker.dream.tiles.tiling import Box
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

    def __call__(self, plane: npt.NDArray[np.float32], box: Box) -> npt.NDArray[np.float32]:
        """Returns the blurred values of those rows and columns of a plane, (h, w), which is reflected at its edges."""
        (top, bottom), (left, right) = box
        near = plane[max(top - self.radius, 0) : bottom + self.radius, max(left - self.radius, 0) : right + self.radius]
        above, before = max(self.radius - top, 0), max(self.radius - left, 0)  # what is missing of the radius
        if self.radius < _WIDE:
            blurred = gaussian(near, self._sigma)
            return blurred[self.radius - above :, self.radius - before :][: bottom - top, : right - left]
        below, behind = max(bottom + self.radius - len(plane), 0), max(right + self.radius - plane.shape[1], 0)
        padded = cv2.copyMakeBorder(near, above, below, before, behind, cv2.BORDER_REFLECT)
        tall = np.empty((bottom - top, padded.shape[1]), np.float32)
        for first, count, matrix in self._blocks(len(tall)):
            np.matmul(matrix, padded[first : first + matrix.shape[1]], out=tall[first : first + count])
        blurred = np.empty((len(tall), right - left), np.float32)
        for first, count, matrix in self._blocks(right - left):
            np.matmul(tall[:, first : first + matrix.shape[1]], matrix.T, out=blurred[:, first : first + count])
        return blurred

    def _blocks(self, length: int) -> Iterator[tuple[int, int, npt.NDArray[np.float32]]]:
        """Yields start, length and matrix of each block of an axis."""
        for start in range(0, length, _BLOCK):
            count = min(_BLOCK, length - start)
            yield start, count, self._matrix[:count, : count + 2 * self.radius]


class Preparation:
    """Blurs a gradient and mixes its colors in place, strip by strip, as its values become complete.

    gradient <- G(sigma) g + G(2 sigma) g + G(sigma / 2) g, over the colors as well if asked. Without the blur over y
    and x, the colors are mixed to the same degree. The result does not depend on when and where the strips run.
    """

    def __init__(self, gradient: Image, sigma: float, *, over_colors: bool, blurs: bool) -> None:
        """gradient: float32 (H, W, 3)."""
        self._gradient = gradient
        self._over_colors = over_colors
        self._blurs = [_Blur(one, over_colors=over_colors) for one in (sigma, 2 * sigma, sigma / 2)]
        self._reach = max(blur.radius for blur in self._blurs) if blurs else 0
        self._mixed = mean_color_matrix(sigma) if over_colors else None
        self.begin()

    def begin(self) -> None:
        """Begins with the first strips, also again if the gradient was computed again."""
        self._strips: Strips | None = None  # created with the first one: until then its copies take no memory
        self._moments: dict[Box, Moments] = {}

    def work(self, is_complete: IsComplete) -> Callable[[], None] | None:
        """Returns a strip's work, which may run on any thread; None if there is none whose values are complete.

        Call it from one thread at a time.
        """
        self._strips = self._strips or Strips(self._gradient, self._reach)
        strip = self._strips.next(is_complete)
        return None if strip is None else partial(self._run, strip)

    def finish(self, pool: Executor, threads: int) -> Statistics:
        """Prepares what is left, once the whole gradient is complete. Returns the result's statistics.

        threads: of the pool. Work that was handed out must have ended.
        """
        lock = Lock()

        def prepare() -> None:
            while True:
                with lock:
                    strip = self.work(lambda _: True)
                if strip is None:
                    return
                strip()

        ends = [pool.submit(prepare) for _ in range(threads)]
        wait(ends)  # all, so that none writes to the gradient after an exception
        for end in ends:
            end.result()
        return _statistics([self._moments[place] for place in sorted(self._moments)], self._gradient.size)

    def _run(self, strip: Strip) -> None:
        rows, columns = strip.place
        prepared = self._gradient[slice(*rows), slice(*columns)]
        if self._reach:
            self._smooth(strip, prepared)
        elif self._mixed is not None:
            cv2.transform(prepared, self._mixed, dst=prepared)
        self._moments[strip.place] = _moments(prepared)
        scratch.release()

    def _smooth(self, strip: Strip, result: Image) -> None:
        totals = []
        for number, component in enumerate(self._components(strip)):
            total = np.zeros(result.shape[:2], np.float32)
            for blur in self._blurs:
                if scale := blur.scales[number]:
                    cv2.scaleAdd(blur(component, strip.within), scale, total, dst=total)
            totals.append(total)
        cv2.merge(totals, dst=result)
        if self._over_colors:
            cv2.transform(result, _COSINES.T, dst=result)

    def _components(self, strip: Strip) -> Iterator[npt.NDArray[np.float32]]:
        """Yields the three planes that are blurred, (h, w) each."""
        for number in range(3):
            plane = np.empty(strip.size, np.float32)
            for (rows, columns), values in strip.pieces:
                part = plane[slice(*rows), slice(*columns)]
                if self._over_colors:
                    cv2.transform(values, _COSINES[number : number + 1], dst=part)
                else:
                    cv2.extractChannel(values, number, dst=part)
            yield plane


def mean_color_matrix(sigma: float) -> npt.NDArray[np.float32]:
    """Returns the mean of the three color matrices, (3, 3).

    It is a third of their effect on the colors of a gradient that its blurs over y and x leave unchanged.
    """
    return (color_matrix(sigma) + color_matrix(2 * sigma) + color_matrix(sigma / 2)) / np.float32(3)


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
