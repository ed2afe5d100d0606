"""Clients that never give up: they submit, cancel, delete and retry while everything around them falls over."""

import json
import random
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

SEEDS = (1, 2, 3)  # as many different pictures
PARAMS = {"octaves": 2, "iterations": 60}
GAP_S = 0.5
AWAY = {429, 503}


class Crowd:
    """`asked` knows every job that was answered with 202, and what else was asked of it and answered."""

    def __init__(self, url: str, photograph: Path, rng: random.Random) -> None:
        self._url = url
        self._photograph = photograph.read_bytes()
        self._random = rng
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.asked: dict[str, dict[str, object]] = {}
        self.broken: list[str] = []
        self.refused = 0  # answers other than the hoped-for one; each was tried again

    def begin(self, jobs: int, seconds: float) -> None:
        self._thread = threading.Thread(target=self._live, args=(jobs, seconds / jobs), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread:
            self._thread.join()

    def submit(self, seed: int, *, damaged: bool = False) -> str | None:
        image = self._photograph
        if damaged:  # header and end are whole: only decoding shows it
            image = image[: len(image) // 2] + bytes(64) + image[len(image) // 2 + 64 :]
        fields = {"params": json.dumps({**PARAMS, "seed": seed})}
        answer = self._ask("POST", "/v1/jobs", data=fields, files={"image": ("p.png", image)}, good=202)
        if answer is None:
            return None
        job_id = str(answer.json()["id"])
        self.asked[job_id] = {"seed": seed, "damaged": damaged}
        return job_id

    @contextmanager
    def slow_upload(self):
        """A submission of which half is under way. What it answers, if anything, is not waited for."""
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
            damaged = self._random.random() < 0.06
            job_id = self.submit(self._random.choice(SEEDS), damaged=damaged)
            if job_id is None:
                return
            earlier = self._random.choice(list(self.asked))
            whim = self._random.random()
            if whim < 0.06:
                self._wish(earlier, "POST", f"/v1/jobs/{earlier}/cancel", "canceled", good=202)
            elif whim < 0.12:
                self._wish(earlier, "DELETE", f"/v1/jobs/{earlier}", "deleted", good=204)
            elif whim < 0.18:
                self._wish(earlier, "POST", f"/v1/jobs/{earlier}/retry", "retried", good=202)

    def _wish(self, job_id: str, method: str, path: str, what: str, *, good: int) -> None:
        asked = self.asked[job_id]
        asked[f"{what}?"] = True  # it may come true without an answer
        answer = self._ask(method, path, good=good)
        asked[what] = answer is not None and answer.status_code == good

    def _ask(self, method: str, path: str, *, good: int, **sent) -> httpx.Response | None:
        """The hoped-for answer or a final refusal; None when told to stop."""
        while not self._stopped.is_set():
            try:
                answer = httpx.request(method, self._url + path, timeout=60, **sent)
            except httpx.HTTPError:
                answer = None
            if answer is not None and (answer.status_code in (good, 200) or answer.status_code in (404, 409)):
                return answer
            self.refused += 1
            if answer is not None and answer.status_code not in AWAY:
                self.broken.append(f"{method} {path} was answered {answer.status_code} {answer.text[:300]}")
            self._stopped.wait(GAP_S)
        return None
