"""The catalog of networks, their layers, and the presets."""
