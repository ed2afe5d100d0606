"""Runs clients that submit, cancel, delete and retry jobs during faults, and repeat every request that fails."""

import json
import random
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

SEEDS = (1, 2, 3)  # one for each distinct result
LARGE_SEED = 4  # of the large dreams, whose tiles idle workers compute too
PARAMS = {"octaves": 2, "iterations": 60}
LARGE_PARAMS = {"octaves": 1, "iterations": 8, "tile_size": 384}  # twenty tiles that are worth sending
LARGE_SHARE = 0.1  # of the jobs
GAP_S = 0.5
UNAVAILABLE = {429, 503}


class Crowd:
    """Runs the clients.

    `asked` has every job accepted with 202, and the later requests for it and whether they were confirmed.
    """

    def __init__(self, url: str, photograph: Path, large_photograph: Path, rng: random.Random) -> None:
        self._url = url
        self._photograph = photograph.read_bytes()
        self._large_photograph = large_photograph.read_bytes()
        self._random = rng
        self._stopped, self._resting = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.asked: dict[str, dict[str, object]] = {}
        self.broken: list[str] = []
        self.refused = 0  # requests that failed and were repeated

    def begin(self, jobs: int, seconds: float) -> None:
        self._thread = threading.Thread(target=self._live, args=(jobs, seconds / jobs), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread:
            self._thread.join()

    def submit(self, seed: int, *, damaged: bool = False) -> str | None:
        image, params = self._photograph, PARAMS
        if seed == LARGE_SEED:
            image, params = self._large_photograph, LARGE_PARAMS
        if damaged:  # header and end are intact: only decoding finds the damage
            image = image[: len(image) // 2] + bytes(64) + image[len(image) // 2 + 64 :]
        fields = {"params": json.dumps({**params, "seed": seed})}
        answer = self._ask("POST", "/v1/jobs", data=fields, files={"image": ("p.png", image)}, good=202)
        if answer is None:
            return None
        job_id = str(answer.json()["id"])
        self.asked[job_id] = {"seed": seed, "damaged": damaged}
        return job_id

    @contextmanager
    def resting(self):
        """Submits nothing while the body of the `with` statement runs."""
        self._resting.set()
        try:
            yield
        finally:
            self._resting.clear()

    @contextmanager
    def slow_upload(self):
        """Sends half of a submission before the body of the `with` statement runs; does not require a response."""
        started = threading.Event()

        def body():
            yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="p.png"\r\n\r\n'
            yield self._photograph[:20_000]
            started.set()
            time.sleep(1)
            yield self._photograph[20_000:] + b"\r\n--b--\r\n"

        def upload():
            headers = {"content-type": "multipart/form-data; boundary=b"}
            with suppress(httpx.HTTPError):
                answer = httpx.post(f"{self._url}/v1/jobs", content=body(), headers=headers, timeout=10)
                if answer.status_code == 202:
                    self.asked[answer.json()["id"]] = {"seed": None, "damaged": False}

        thread = threading.Thread(target=upload, daemon=True)
        thread.start()
        started.wait(5)
        yield
        thread.join(15)

    def _live(self, jobs: int, gap_s: float) -> None:
        for _ in range(jobs):
            if self._stopped.wait(gap_s):
                return
            while self._resting.is_set() and not self._stopped.wait(GAP_S):
                pass
            is_large = self._random.random() < LARGE_SHARE
            damaged = not is_large and self._random.random() < 0.06  # a decoder may overlook it in a JPEG
            job_id = self.submit(LARGE_SEED if is_large else self._random.choice(SEEDS), damaged=damaged)
            if job_id is None:
                return
            earlier = self._random.choice(list(self.asked))
            choice = self._random.random()
            if choice < 0.06:
                self._request(earlier, "POST", f"/v1/jobs/{earlier}/cancel", "canceled", good=202)
            elif choice < 0.12:
                self._request(earlier, "DELETE", f"/v1/jobs/{earlier}", "deleted", good=204)
            elif choice < 0.18:
                self._request(earlier, "POST", f"/v1/jobs/{earlier}/retry", "retried", good=202)

    def _request(self, job_id: str, method: str, path: str, what: str, *, good: int) -> None:
        asked = self.asked[job_id]
        asked[f"{what}?"] = True  # it may take effect without a response
        answer = self._ask(method, path, good=good)
        asked[what] = answer is not None and answer.status_code == good

    def _ask(self, method: str, path: str, *, good: int, **sent) -> httpx.Response | None:
        """Repeats a request until it succeeds or is refused for good; returns the response, or None after `stop`."""
        while not self._stopped.is_set():
            try:
                answer = httpx.request(method, self._url + path, timeout=60, **sent)
            except httpx.HTTPError:
                answer = None
            if answer is not None and (answer.status_code in (good, 200) or answer.status_code in (404, 409)):
                return answer
            self.refused += 1
            if answer is not None and answer.status_code not in UNAVAILABLE:
                self.broken.append(f"{method} {path} returned {answer.status_code} {answer.text[:300]}")
            self._stopped.wait(GAP_S)
        return None
