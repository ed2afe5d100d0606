"""What the api bears: polls, lists, submissions and streams on loopback, by wrk. Run: make bench-api

Two gunicorn processes share one core; wrk, Redis and S3 have the others. Rate limits are on, and set out of reach.
"""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
from PIL import Image

from deploy import parts
from deploy.process import Child
from deploy.services import Kept, embedded_redis, embedded_s3
from shared.settings import Settings

SECONDS, CONNECTIONS, STREAMS = 10, 16, 200
HERE = Path(__file__).parent
LIMITS = {f"DREAM_{name}_PER_MINUTE": "10000000" for name in ("POLLS", "REQUESTS", "SUBMISSIONS")}


def a_photograph() -> bytes:
    """About 1 MB of JPEG."""
    file = io.BytesIO()
    noise = Image.effect_noise((1400, 1000), 90)
    Image.merge("RGB", [noise, noise.rotate(90, expand=False), noise]).save(file, "JPEG", quality=82)
    return file.getvalue()


def wrk(url: str, *headers: str, script: str = "", connections: int = CONNECTIONS) -> dict[str, str]:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{SECONDS}s",
            "--latency",
            *(["-s", lua.name] if script else []),
        ]
        for header in headers:
            command += ["-H", header]
        said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    found = {name: re.search(rf"{name}\s+([\d.]+\w*)", said) for name in ("50%", "99%", "Requests/sec:")}
    errors = re.search(r"(Non-2xx.*|Socket errors.*)", said)
    return {name: match[1] if match else "?" for name, match in found.items()} | (
        {"errors": errors[1]} if errors else {}
    )


def memory(child: Child) -> str:
    """Of each process, MB; what they share is counted once in the PSS."""
    workers = psutil.Process(child.footprint.pid).children(recursive=True)
    sizes = [process.memory_full_info() for process in workers]
    return ", ".join(f"{size.rss / 1e6:.0f} MB (PSS {size.pss / 1e6:.0f})" for size in sizes)


def hold(url: str, job_id: str) -> list[socket.socket]:
    host, port = url.removeprefix("http://").split(":")
    held = []
    for _ in range(STREAMS):
        stream = socket.create_connection((host, int(port)), timeout=20)
        stream.sendall(f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        while b"event: job" not in stream.recv(65536):
            pass
        held.append(stream)
    return held


def measure(url: str, api: Child) -> dict[str, object]:
    photograph = a_photograph()
    client = httpx.Client(base_url=url, timeout=30)
    jobs = [client.post("/v1/jobs", files={"image": ("a.jpg", photograph)}).json() for _ in range(20)]
    address = f"{url}{jobs[0]['links']['self']}"
    etag = client.get(address).headers["ETag"]
    found: dict[str, object] = {"photograph_bytes": len(photograph), "memory at first": memory(api)}
    found["poll, 200"] = wrk(address)
    found["poll, 304"] = wrk(address, f"If-None-Match: {etag}")
    found["list of 20"] = wrk(f"{url}/v1/jobs?limit=20")
    body = HERE / "body.tmp"
    boundary = "----dream"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'.encode()
    body.write_bytes(head + photograph + f"\r\n--{boundary}--\r\n".encode())
    script = (
        f'local f = io.open("{body}", "rb"); wrk.body = f:read("*a"); f:close(); wrk.method = "POST"; '
        f'wrk.headers["Content-Type"] = "multipart/form-data; boundary={boundary}"'
    )
    try:
        found["submit 1 MB"] = wrk(f"{url}/v1/jobs", script=script, connections=8)
    finally:
        body.unlink()
    streams = hold(url, jobs[0]["id"])
    found[f"poll, 304, with {STREAMS} streams open"] = wrk(address, f"If-None-Match: {etag}")
    found[f"memory with {STREAMS} streams"] = memory(api)
    for stream in streams:
        stream.close()
    return found


def main() -> int:
    if not shutil.which("wrk"):
        sys.stderr.write("wrk is not here: apt-get install wrk\n")
        return 1
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        home, kept, settings = Path(folder), Kept(), Settings()
        redis, settings = embedded_redis(home / "redis", kept, settings)
        s3, settings = embedded_s3(home / "s3", kept, settings)
        children = []
        try:
            os.sched_setaffinity(0, cores[1:] or cores)
            for part in (redis, s3):
                children.append(Child(part, home / f"{part.name}.log"))
                children[-1].wait_until_ready()
            os.sched_setaffinity(0, cores[:1])
            port = kept.port("api")
            api = Child(parts.api(port, {**parts.environment(settings), **LIMITS}), home / "api.log")
            os.sched_setaffinity(0, cores[1:] or cores)
            children.append(api)
            api.wait_until_ready()
            time.sleep(1)
            print(json.dumps(measure(f"http://127.0.0.1:{port}", api), indent=1))  # noqa: T201 - its answer
        finally:
            for child in reversed(children):
                child.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
