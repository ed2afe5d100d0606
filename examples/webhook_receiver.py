"""Receives webhooks and verifies their signatures (Standard Webhooks, https://www.standardwebhooks.com).

Libraries for that exist in most languages; this program needs Python alone.
`GET /v1/webhooks/secret` returns the secret.
Run: WEBHOOK_SECRET=whsec_... python -m examples.webhook_receiver 8080
"""

import base64
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

TOLERANCE_S = 300  # older messages are refused, so that a recorded one can't be replayed


def is_genuine(secret: str, headers: dict[str, str], body: bytes, now: float) -> bool:
    """Returns whether the message was signed with the secret within the last minutes."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (timestamp.isdecimal() and len(timestamp) < 20) or abs(now - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    expected = f"v1,{base64.b64encode(digest).decode()}"
    signatures = headers.get("webhook-signature", "").split()  # several while a secret is replaced
    return any(hmac.compare_digest(expected.encode(), signature.encode()) for signature in signatures)


class Receiver(BaseHTTPRequestHandler):
    seen: set[str] = set()  # noqa: RUF012 - ids that were handled; a real receiver stores them

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if not (size.isdecimal() and len(size) < 6):  # messages have a few kilobytes
            self._answer(400)
            return
        body = self.rfile.read(int(size))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not is_genuine(os.environ["WEBHOOK_SECRET"], headers, body, time.time()):
            self._answer(400)
            return
        if headers["webhook-id"] not in self.seen:  # a message may arrive twice
            self.seen.add(headers["webhook-id"])
            message = json.loads(body)
            job = message["data"]
            print(f"{message['type']}: job {job['id']} is {job['state']}", job["links"]["result"] or "", flush=True)
        self._answer(204)  # answer quickly and work afterwards; anything else is retried for a day

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
