import asyncio
import inspect

import pytest

from api.client import AsyncDreamClient, DreamClient
from shared.jobs.job import JobState
from tests.fakes.client import AsyncTransport


def methods(client):
    return {name: value for name, value in vars(client).items() if inspect.isfunction(value) and name[0] != "_"}


def test_both_clients_have_the_same_methods():
    assert methods(AsyncDreamClient).keys() == methods(DreamClient).keys()


@pytest.mark.parametrize("name", methods(DreamClient))
def test_both_clients_methods_take_the_same_arguments(name):
    blocking, asynchronous = (getattr(client, name) for client in (DreamClient, AsyncDreamClient))

    assert inspect.signature(asynchronous).parameters == inspect.signature(blocking).parameters


def test_several_dreams_wait_at_the_same_time(transport, photo, world):
    # given a worker that ends jobs only once both were submitted
    async def sleep(seconds):
        await asyncio.sleep(0)
        if len(world.store.jobs) == 2:
            for job in world.store.jobs.values():
                if job.state is JobState.QUEUED:
                    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

    async def both():
        async with AsyncDreamClient("http://localhost", transport=AsyncTransport(transport), sleep=sleep) as client:
            return await asyncio.gather(client.dream(photo), client.dream(photo, {"seed": 1}))

    # when, then
    assert asyncio.run(both()) == [b"png", b"png"]
