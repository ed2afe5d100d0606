import math

import numpy as np
import pytest

from shared.params import Target
from worker.dream.ascent.tiling import Tile
from worker.sharing.messages import TileAnswer, TileRequest, pixel_bytes, pixels

TILE = Tile(core=((96, 160), (0, 200)), window=((64, 192), (0, 256)))


def a_request():
    fields = {"job_id": "job", "claim": "claim", "number": 3, "model": "toy", "weights_sha256": "0" * 64}
    return TileRequest.of(TILE, **fields, layers=(Target(layer="layer2", channels=(1, 2)),))


def test_a_request_survives_its_way_as_json():
    request = a_request()
    assert TileRequest.model_validate(request.model_dump(mode="json")) == request
    assert request.window == (128, 256)
    assert request.core_slices == TILE.core_in_window
    assert request.total_bytes == (128 * 256 + 64 * 200) * 12


def test_an_answer_carries_the_core_exactly():
    core = np.random.default_rng(1).normal(size=(64, 200, 3)).astype(np.float32)[:, ::-1]  # not contiguous
    answer = TileAnswer(number=3, worker="w2", std=0.1 + 0.2, compute_s=1.5)
    header, packed = TileAnswer.unpack(answer.pack(core))
    assert header == answer
    assert np.array_equal(pixels(packed, 64, 200), core)


def test_a_standard_deviation_that_is_not_a_number_stays_one():
    header, _ = TileAnswer.unpack(TileAnswer(number=1, worker="w2", std=float("nan")).pack())
    assert math.isnan(header.std)


@pytest.mark.parametrize("packed", [b"", b"no header", b'{"number": "x"}\n1234'])
def test_an_answer_of_another_kind_is_refused(packed):
    with pytest.raises(ValueError, match="header"):
        TileAnswer.unpack(packed)


def test_pixels_of_another_size_are_refused():
    with pytest.raises(ValueError, match="reshape"):
        pixels(pixel_bytes(np.zeros((4, 4, 3), np.float32)), 4, 5)
