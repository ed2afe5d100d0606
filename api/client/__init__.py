"""The Python client; needs only httpx and pydantic."""
