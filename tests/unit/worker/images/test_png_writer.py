import io

import cv2
import numpy as np
from PIL import Image as Pillow

from worker.images.png_writer import write_png


def written(image, **text):
    file = io.BytesIO()
    write_png(image, file, bits=16, profile=b"a profile", text=text)
    return file.getvalue()


def test_opencv_reads_the_very_numbers_back():
    image = np.random.default_rng(0).uniform(-5, 260, (300, 70, 3)).astype(np.float32)
    read = cv2.imdecode(np.frombuffer(written(image), np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, np.rint(np.clip(image, 0, 255) * 257))


def test_profile_and_text_are_there_for_pillow():
    with Pillow.open(io.BytesIO(written(np.zeros((3, 4, 3), np.float32), recipe="{'ü': 1}"))) as picture:
        assert picture.size == (4, 3)
        assert picture.info["icc_profile"] == b"a profile"
        assert picture.text == {"recipe": "{'ü': 1}"}
