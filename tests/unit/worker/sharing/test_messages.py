import math

import numpy as np
import pytest

from shared.params import Target
from worker.dream.tiles.tiling import Tile
from worker.sharing.messages import TileAnswer, TileRequest, joined, pieces

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


def test_an_answer_survives_its_way():
    answer = TileAnswer(number=3, worker="w2", std=0.1 + 0.2, compute_s=1.5)
    assert TileAnswer.unpack(answer.pack()) == answer


def test_pixels_survive_in_pieces():
    core = np.random.default_rng(1).normal(size=(640, 400, 3)).astype(np.float32)[:, ::-1]  # not contiguous
    sent = [bytes(piece) for piece in pieces(core)]
    assert len(sent) == 3
    assert max(map(len, sent)) <= 2**20
    assert np.array_equal(joined(sent, 640, 400), core)


def test_a_standard_deviation_that_is_not_a_number_stays_one():
    assert math.isnan(TileAnswer.unpack(TileAnswer(number=1, worker="w2", std=float("nan")).pack()).std)


@pytest.mark.parametrize("packed", [b"", b"no answer", b'{"number": "x"}'])
def test_an_answer_of_another_kind_is_refused(packed):
    with pytest.raises(ValueError, match="can't be read"):
        TileAnswer.unpack(packed)


def test_pixels_of_another_size_are_refused():
    with pytest.raises(ValueError, match="4 x 5"):
        joined(list(pieces(np.zeros((4, 4, 3), np.float32))), 4, 5)
