"""How far a dream is: the engine's callbacks, estimates and the progress bar."""
