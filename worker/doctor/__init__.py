"""What `dream-worker doctor` looks at, and what it says."""
