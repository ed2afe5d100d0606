import os

import pytest

from shared.jobs.file_names import attachment, cleaned, download_name, free, readable, shortened


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("cat.jpg", "cat.jpg"),
        ("C:\\Users\\ann\\Pictures\\cat.jpg", "cat.jpg"),
        ("/home/ann/../cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd"),
        ("  IMG  0001 .JPG ", "IMG 0001.JPG"),
        ("...hidden.png", "hidden.png"),
        ("a\x00b\x1fc\x7f\r\nd.png", "abc d.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("Ka\u0308tzchen.png", "Kätzchen.png"),
        ("写真.heic", "写真.heic"),
        ("👩\u200d🚀.png", "👩\u200d🚀.png"),
        ("say %22hi%22.png", 'say "hi".png'),
        ("two%0D%0Alines%0A.png", "two lines.png"),
        ("=?UTF-8?B?w5xidW5nLmpwZw==?=", "Übung.jpg"),
        ("=?utf-8?q?=C3=9Cbung.jpg?=", "Übung.jpg"),
        ("=?nonsense?b?!!?=", "=?nonsense?b?!!?="),
        ("\ud800.png", "png"),
        ("blob", None),
        ("", None),
        ("/", None),
        ("..", None),
        ("\u200b", None),
    ],
)
def test_a_name_is_cleaned_of_what_is_no_name(raw, name):
    assert cleaned(raw) == name


@pytest.mark.parametrize(
    ("stored", "name"), [("Übung.jpg".encode(), "Übung.jpg"), (b"caf\xe9.jpg", "café.jpg"), (b"\xff\xfe", "ÿþ")]
)
def test_a_file_name_that_is_not_utf_8_is_read_as_latin_1(stored, name):
    assert readable(os.fsdecode(stored)) == name


@pytest.mark.parametrize("letter", ["a", "ß", "写", "🐈"])
def test_a_name_has_at_most_255_bytes_and_keeps_its_ending(letter):
    name = cleaned(letter * 300 + ".jpeg")

    assert 250 < len(name.encode()) <= 255
    assert name.endswith(f"{letter}.jpeg")
    long = shortened(letter * 300, ".png", more="-animals")
    assert 250 < len(long.encode()) <= 255
    assert long.endswith("-animals.png")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat.jpg", "cat-animals.png"),
        ("IMG_0001.HEIC", "IMG_0001-animals.png"),
        ("v1.2 final", "v1.2 final-animals.png"),
        ('a"b:c?.png', "a_b_c_-animals.png"),
        (".jpg", ".jpg-animals.png".lstrip(".")),
        ("x" * 255, "x" * 243 + "-animals.png"),
        (None, "dream-1.png"),
    ],
)
def test_a_download_is_named_after_the_photograph(name, expected):
    assert download_name(name, "animals", ".png", otherwise="dream-1") == expected


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("cat-dream.png", 'attachment; filename="cat-dream.png"'),
        ("Kätzchen.png", "attachment; filename=\"Katzchen.png\"; filename*=UTF-8''K%C3%A4tzchen.png"),
        ("写真.png", "attachment; filename=\"dream.png\"; filename*=UTF-8''%E5%86%99%E7%9C%9F.png"),
        (
            "写真-animals.png",
            "attachment; filename=\"dream-animals.png\"; filename*=UTF-8''%E5%86%99%E7%9C%9F-animals.png",
        ),
        ('a";b\\.png', "attachment; filename=\"a__b_.png\"; filename*=UTF-8''a%22%3Bb%5C.png"),
    ],
)
def test_a_name_goes_into_a_header_for_old_and_new_clients(name, header):
    assert attachment(name) == header
    assert attachment(name).isascii()


def test_a_free_name_is_the_first_that_no_file_has(tmp_path):
    for _ in range(3):
        free(tmp_path / "cat.png").touch()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat (2).png", "cat (3).png", "cat.png"]
