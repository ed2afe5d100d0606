import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info

from tests.fakes.toy_networks import photograph
from worker.dream import resize
from worker.dream.resize import LANCZOS, LINEAR, Resize, resized

KERNELS = [(LANCZOS, Image.Resampling.LANCZOS), (LINEAR, Image.Resampling.BILINEAR)]
SIZES = [
    ((150, 211), (214, 301)),
    ((214, 301), (150, 211)),
    ((64, 90), (64, 90)),
    ((300, 400), (31, 700)),
    ((7, 5), (90, 200)),
    ((3, 700), (1, 64)),
    ((200, 1), (77, 1)),
]


def pillow(channel, size, resampling):
    height, width = size
    return np.asarray(Image.fromarray(channel).resize((width, height), resampling))


def all_rows(image, size, kernel):
    result = np.full((*size, *image.shape[2:]), np.nan, np.float32)
    for place, values in resized(image.__getitem__, image.shape[:2], size, kernel):
        result[place] = values
    return result


@pytest.mark.parametrize(("kernel", "resampling"), KERNELS, ids=["lanczos", "linear"])
@pytest.mark.parametrize(("size", "new_size"), SIZES, ids=str)
def test_it_is_pillows(monkeypatch, size, new_size, kernel, resampling):
    monkeypatch.setattr(resize, "_PIECE_PX", 9000)  # several pieces
    monkeypatch.setattr(resize, "_PIECE_COLUMNS", 200)
    image = photograph(*size)

    colored = all_rows(image, new_size, kernel)
    gray = all_rows(np.ascontiguousarray(image[..., 1]), new_size, kernel)

    for color in range(3):
        expected = pillow(np.ascontiguousarray(image[..., color]), new_size, resampling)
        np.testing.assert_allclose(colored[..., color], expected, atol=2e-4)
    np.testing.assert_allclose(gray, colored[..., 1], atol=2e-4)


@pytest.mark.parametrize("size", [(1000, 90), (64, 200_000), (200_000, 64)], ids=str)
def test_a_piece_reads_little_of_any_image(monkeypatch, size):
    monkeypatch.setattr(resize, "_PIECE_PX", 300_000)
    image, most_px = np.zeros(size, np.float32), 0

    def read(place):
        nonlocal most_px
        most_px = max(most_px, image[place].size)
        return image[place]

    enlarging = Resize(size, (size[0] * 7 // 5, size[1] * 7 // 5))
    for place in enlarging.pieces:
        enlarging.piece(read, place)

    assert len(enlarging.pieces) > 1
    assert most_px < 300_000


def test_matrix_products_run_on_one_thread_as_their_last_bits_depend_on_it():
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]

    assert pools
    assert all(pool["num_threads"] == 1 for pool in pools)
