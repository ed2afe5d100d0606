"""Gradient ascent on the CPU: octaves, gradients, memory and tile sizes."""
