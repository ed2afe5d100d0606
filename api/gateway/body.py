"""Reads a request's body before a thread works on it: not too long, not too slowly, in a budget."""

import asyncio
import tempfile
from typing import IO, NoReturn, cast

from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, RequestTimeout, UnsupportedMediaType

from api.gateway.wsgi import Receive
from api.jobs.disk_budget import DiskBudget, Hold
from shared.errors import DreamError, LocalDiskError

FIRST_CREDIT_S = 10.0  # what a body may lag behind its minimum rate at first
LONGEST_CREDIT_S = 20.0  # and at most, however fast it was before
BYTES_PER_S = 16 * 1024  # the minimum rate
IN_MEMORY = 64 * 1024  # longer bodies go to the disk
TOO_SLOW = "The request's body came too slowly; the connection was closed."
CUT_OFF = "The request's body ended before its announced length."

Refusal = HTTPException | DreamError


class Unread:
    """The input of a request whose body was not read. The application learns why as soon as it wants the body."""

    def __init__(self, why: Refusal) -> None:
        self.why = why

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002 - a file's signature
        self._refuse()

    def readline(self, size: int = -1) -> bytes:  # noqa: ARG002 - a file's signature
        self._refuse()

    def close(self) -> None:
        """Does nothing: there is nothing to close."""

    def _refuse(self) -> NoReturn:
        raise self.why


class BodyReader:
    """Reads the body of one request into memory or a temporary file, whose bytes it holds of the budget."""

    def __init__(self, receive: Receive, *, longest: int, budget: DiskBudget, owner: str, copies: int) -> None:
        """Prepares reading.

        longest: bytes.   copies: how many copies of a long body the application makes on the disk, this one included.
        """
        self._receive = receive
        self._longest = longest
        self._copies = copies
        self._hold = Hold(budget, owner)
        self._credit_s = FIRST_CREDIT_S

    async def read(self, announced: int | None) -> IO[bytes]:
        """Returns the complete body, or an input that tells the application why it was not read.

        announced: the Content-Length, if there is one.
        """
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the request
        try:
            if announced is not None:
                self._admit(announced)
            await self._read(cast(IO[bytes], file))
        except (HTTPException, DreamError) as exc:
            file.close()
            self.close()
            return cast(IO[bytes], Unread(exc))
        except OSError:
            file.close()
            self.close()
            return cast(IO[bytes], Unread(LocalDiskError()))
        file.seek(0)
        return cast(IO[bytes], file)

    def close(self) -> None:
        """Gives the bytes back to the budget."""
        self._hold.release()

    async def _read(self, file: IO[bytes]) -> None:
        size, more = 0, True
        while more:
            chunk, more = await self._next()
            size += len(chunk)
            self._admit(size)
            if size <= IN_MEMORY:
                file.write(chunk)
            else:  # a disk may be slow, and everybody's requests wait for this thread
                await asyncio.to_thread(file.write, chunk)

    def _admit(self, size: int) -> None:
        if size > self._longest:
            raise RequestEntityTooLarge
        if size > IN_MEMORY:
            self._hold.grow_to(size * self._copies)

    async def _next(self) -> tuple[bytes, bool]:
        """Returns the next bytes, and whether more follow."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            async with asyncio.timeout(self._credit_s):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout(TOO_SLOW) from None
        if message["type"] == "http.disconnect":
            raise BadRequest(CUT_OFF)
        chunk: bytes = message.get("body", b"")
        earned_s = len(chunk) / BYTES_PER_S - (loop.time() - asked_at)
        self._credit_s = min(LONGEST_CREDIT_S, self._credit_s + earned_s)
        return chunk, message.get("more_body", False)


def longest_body(method: str, path: str, mimetype: str, *, longest_upload: int) -> int:
    """Returns how many bytes the body of such a request may have. Raises UnsupportedMediaType."""
    wanted = JSON_ROUTES.get((method, path)) or (PATCH if method == "PATCH" and path.startswith("/v1/jobs/") else None)
    if wanted is None:
        return NO_BODY
    if mimetype == FORM and (method, path) == SUBMISSION:
        return longest_upload
    if mimetype != JSON:
        raise UnsupportedMediaType(WRONG_TYPE[(method, path) == SUBMISSION])
    return wanted


FORM, JSON = "multipart/form-data", "application/json"
SUBMISSION = ("POST", "/v1/jobs")
PATCH = 16 * 1024
NO_BODY = 1024  # of any other route, whose body is short or ignored: some clients send an empty object
JSON_ROUTES = {
    SUBMISSION: 256 * 1024,
    ("POST", "/v1/uploads"): 4 * 1024,
    ("POST", "/v1/uploads/parts"): 4 * 1024,
    ("POST", "/v1/keys"): 4 * 1024,
    ("POST", "/v1/session"): 1024,
}
WRONG_TYPE = {
    False: "Send the request as application/json.",
    True: "Send the job as multipart/form-data, with the picture in the field 'image', or as JSON that names uploads.",
}
