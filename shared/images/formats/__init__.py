"""Headers of each picture format, read without decoding a pixel."""
