"""Gradient ascent: octaves, tiles and their gradients, on the CPU and on a GPU."""
