import io

import numpy as np
import pytest

from shared.errors import ImageTooLarge
from shared.params import FeatureMapsParams
from tests.fakes.toy_networks import photograph, toy_network
from worker.dream.activations import layer_activations
from worker.dream.feature_maps import draw, feature_maps

NETWORK = toy_network()


def made(image, **params):
    return feature_maps(NETWORK, image, FeatureMapsParams(model="toy", layer="layer1", **params))


def numbers(result):
    with np.load(io.BytesIO(result.numbers)) as file:
        return file["maps"], file["channels"].tolist()


def test_the_strongest_channels_come_first_with_their_raw_numbers():
    image = photograph(96, 128)
    activation = layer_activations(NETWORK, image, ["layer1"])[0].numpy()
    order = np.argsort(-np.square(activation).mean((0, 1)))[:5].tolist()

    maps, channels = numbers(made(image, count=5))

    assert channels == order
    np.testing.assert_array_equal(maps, activation[..., order])


def test_chosen_channels_come_as_they_were_chosen():
    result = made(photograph(96, 128), channels=(7, 2))
    assert numbers(result)[1] == [7, 2]
    assert [cell.channel for cell in result.report.cells] == [7, 2]


def test_each_map_lies_where_the_report_says_and_its_largest_value_is_yellow():
    result = made(photograph(96, 128), count=7)
    maps, _ = numbers(result)
    for index, cell in enumerate(result.report.cells):
        drawn = result.picture[cell.y : cell.y + cell.height, cell.x : cell.x + cell.width]
        y, x = np.unravel_index(maps[..., index].argmax(), maps.shape[:2])
        at = drawn[int((y + 0.5) * cell.height / maps.shape[0]), int((x + 0.5) * cell.width / maps.shape[1])]
        assert at.tolist() == [253, 231, 37]  # viridis' end; OpenCV rounds it so


def test_a_large_image_is_looked_at_smaller_and_a_tiny_one_larger():
    assert made(photograph(1100, 2200)).report.size == (512, 1024)
    assert made(photograph(20, 40)).report.size == (64, 128)


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("aspect", [0.3, 1.0, 4.0])
def test_no_cell_overlaps_another_or_leaves_the_picture(count, aspect):
    picture, boxes = draw(np.zeros((3, 4, count), np.float32), ["c"] * count, "a title " * 5, aspect)
    taken = np.zeros(picture.shape[:2], int)
    for x, y, width, height in boxes:
        taken[y : y + height, x : x + width] += 1
        assert x + width <= picture.shape[1]
        assert y + height <= picture.shape[0]
    assert taken.max() == 1


def test_the_same_image_gives_the_same_bytes():
    image = photograph(96, 128)
    first, second = made(image), made(image)
    assert first.numbers == second.numbers
    assert np.array_equal(first.picture, second.picture)


def test_an_image_that_is_too_thin_for_the_network_is_refused_before_it_is_enlarged():
    with pytest.raises(ImageTooLarge):
        made(np.zeros((1, 60_000, 3), np.float32))
