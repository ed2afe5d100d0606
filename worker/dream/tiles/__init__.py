"""Tiles: how an image is cut into them, with halos, and their windows read and written back."""
