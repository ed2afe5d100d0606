"""Dreams on several photographs at once with asyncio, and prints the progress of each.

Run: python -m examples.async_client http://127.0.0.1:PORT dreams/ cat.jpg dog.jpg
"""

import asyncio
import os
import sys
from pathlib import Path

from api.client import AsyncDreamClient, JobFailed, Refused

PARAMS = {"octaves": 4}


async def dream(client: AsyncDreamClient, photograph: Path, folder: Path) -> None:
    try:
        picture = await client.dream(
            photograph,
            PARAMS,
            look="eyes",
            on_change=lambda job: print(f"{photograph.name}: {job.progress.fraction:.0%}"),
        )
    except (JobFailed, Refused) as exc:  # the other dreams go on
        print(f"{photograph}: {exc}", file=sys.stderr)
    else:
        (folder / f"{photograph.stem}.png").write_bytes(picture)


async def main(url: str, folder: Path, photographs: list[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncDreamClient(url, key=os.environ.get("DREAM_KEY")) as client:
        await asyncio.gather(*(dream(client, photograph, folder) for photograph in photographs))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]]))
