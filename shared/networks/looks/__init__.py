"""The presets of each network, and the classic recipes."""
