"""The Python client, for threads and for asyncio; needs only httpx, httpx-sse, pydantic and tenacity."""

from api.client.async_client import AsyncDreamClient
from api.client.dream_client import DreamClient
from api.client.responses import JobFailed, Refused, ServerUnavailable
from api.client.sse_reader import Event

__all__ = ["AsyncDreamClient", "DreamClient", "Event", "JobFailed", "Refused", "ServerUnavailable"]
