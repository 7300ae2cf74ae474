"""What is wrong with a request, told the same way everywhere: `{"code": ..., "message": ...}`.

A code is for programs and never changes; the message is for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

HEAD_BYTES = 32 * 1024
"""The most that a request's line and headers may have together."""


@dataclass(eq=False)
class RequestError(Exception):
    """A request that gets no result; anything in this package may raise one."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

    def content(self) -> dict[str, str]:
        """The body of the answer."""
        return {"code": self.code, "message": self.message}


def busy(message: str) -> RequestError:
    """The server has more to do than it takes on; the client may come back in a second."""
    return RequestError(503, "busy", message, {"Retry-After": "1"})


def large_head() -> RequestError:
    """Line and headers above `HEAD_BYTES`."""
    message = f"the request's line and headers are larger than {HEAD_BYTES // 1024} KB"
    return RequestError(431, "too_large_head", message, {"Connection": "close"})


class ClientGoneError(Exception):
    """The client closed the connection; there is nobody to answer."""


CODES: Mapping[str, tuple[int, str]] = {
    "bad_http": (400, "The bytes are no HTTP; the connection is closed."),
    "bad_body": (400, "The body is empty, or no well-formed multipart form."),
    "unauthorized": (401, "No API key came, or an unknown one."),
    "not_found": (404, "There is nothing at this path."),
    "method_not_allowed": (405, "The path is there, the method is not."),
    "not_acceptable": (406, "Accept names nothing that can be given."),
    "slow_head": (408, "The head of the request did not arrive in time; the connection is closed."),
    "slow_body": (408, "The body did not arrive in time; the connection is closed."),
    "too_many_bytes": (413, "The body is larger than the limit."),
    "too_many_pixels": (413, "A picture has more pixels than the limit."),
    "too_many_pictures": (413, "The request has more pictures than the limit."),
    "unsupported_type": (415, "The Content-Type is neither a picture's nor multipart/form-data."),
    "wrong_host": (421, "The Host header is not one that this server answers to."),
    "bad_parameter": (422, "A parameter is out of its range, or names an unknown class."),
    "not_a_picture": (422, "A picture is damaged, cut short, or of an unknown kind."),
    "too_large_head": (431, "The request's line and headers are larger than the limit; the connection is closed."),
    "internal": (500, "The server failed; its log has the reason under the request's id."),
    "busy": (503, "As much is waiting as the server takes on; come back after Retry-After seconds."),
    "stopping": (503, "The server is stopping."),
    "too_slow": (504, "The answer was not ready in time."),
}
"""Every code with its status and meaning; the documents and OpenAPI are made from it."""
