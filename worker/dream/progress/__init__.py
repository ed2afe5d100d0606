"""A dream's progress: the engine's callbacks, estimates and the progress bar."""
