"""The Python client; needs only httpx, httpx-sse, pydantic and tenacity."""

from api.client.dream_client import DreamClient
from api.client.responses import Refused, ServerAway
from api.client.sse_reader import Event

__all__ = ["DreamClient", "Event", "Refused", "ServerAway"]
