"""Reads the header of a picture file, once for the API's check and for the worker's decoding."""
