"""Reads files of weights, whatever network they are of, and verifies their checksums."""
