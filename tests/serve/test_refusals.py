"""What nobody should send: each gets its answer at once, and the next good request is answered as ever."""

import io
import socket
import struct
import time
import zlib

import pytest
from PIL import Image
from serving import ask, form, picture, post, raw

GOOD = picture()


@pytest.fixture(autouse=True)
def _the_next_good_request_is_answered(port):
    yield
    assert post(port, GOOD).status == 200


def bomb(width, height) -> bytes:
    """A PNG that says it is large, and is small."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def damaged(kind) -> bytes:
    data = bytearray(picture(kind, size=(200, 150)))
    data[len(data) // 2 :] = b"\xa5" * (len(data) - len(data) // 2)
    return bytes(data)


FOUR = form(*[("a.png", GOOD)] * 4)
MIXED = form(("good.png", GOOD), ("bad.png", b"no"))
REFUSED = {
    "empty": (b"", "", "image/png", 400, "bad_body"),
    "no picture": (b"hello", "", "image/png", 422, "not_a_picture"),
    "a program": (b"\x7fELF" + b"\0" * 100, "", "application/octet-stream", 422, "not_a_picture"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "", "image/png", 422, "not_a_picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "", "image/png", 422, "not_a_picture"),
    "cut short": (GOOD[:90], "", "image/png", 422, "not_a_picture"),
    "cut short jpeg": (picture("JPEG")[:300], "", "image/jpeg", 422, "not_a_picture"),
    "damaged tiff": (damaged("TIFF")[:-200], "", "image/tiff", 422, "not_a_picture"),
    "bomb": (bomb(30_000, 30_000), "", "image/png", 413, "too_many_pixels"),
    "flat bomb": (bomb(4_000_000_000, 1), "", "image/png", None, None),
    "no pixels": (bomb(0, 10), "", "image/png", 422, "not_a_picture"),
    "small lie": (bomb(300, 300), "", "image/png", 422, "not_a_picture"),
    "too large": (picture(size=(400, 300)), "", "image/png", 413, "too_many_pixels"),
    "too many bytes": (GOOD + b"\0" * 300_000, "", "image/png", 413, "too_many_bytes"),
    "json": (b"{}", "", "application/json", 415, "unsupported_type"),
    "form fields": (b"a=b", "", "application/x-www-form-urlencoded", 415, "unsupported_type"),
    "no boundary": (b"--xx\r\n", "", "multipart/form-data", 400, "bad_body"),
    "wrong boundary": (form(("a.png", GOOD))[0], "", "multipart/form-data; boundary=yy", 400, "bad_body"),
    "form cut short": (form(("a.png", GOOD), end=False)[0], "", "multipart/form-data; boundary=xx", 400, "bad_body"),
    "form without files": (
        b'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--xx--\r\n', "",
        "multipart/form-data; boundary=xx", 400, "bad_body",
    ),
    "too many pictures": (FOUR[0], "", FOUR[1], 413, "too_many_pictures"),
    "one bad of two": (MIXED[0], "", MIXED[1], 422, "not_a_picture"),
    "threshold": (GOOD, "?threshold=2", "image/png", 422, "bad_parameter"),
    "threshold nan": (GOOD, "?threshold=nan", "image/png", 422, "bad_parameter"),
    "threshold word": (GOOD, "?threshold=much", "image/png", 422, "bad_parameter"),
    "unknown class": (GOOD, "?class=brihgt", "image/png", 422, "bad_parameter"),
    "answer": (GOOD, "?answer=svg", "image/png", 422, "bad_parameter"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "query", "kind", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_each_bad_request_gets_its_own_answer(port, body, query, kind, status, code):
    reply = post(port, body, query, kind)
    assert reply.headers["content-type"] == "application/json" and set(reply.tree) == {"code", "message"}
    assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["x-request-id"]
    if status is not None:
        assert (reply.status, reply.tree["code"]) == (status, code), reply.tree
    assert 400 <= reply.status < 500 and len(reply.tree["message"]) > 10
    assert "/tmp" not in reply.tree["message"] and "Traceback" not in reply.tree["message"]


def test_messages_name_what_is_wrong(port):
    body, kind = form(("good.png", GOOD), ("../../etc/bad\n.png", b"no"))
    assert post(port, body, kind=kind).tree["message"].startswith("bad.png: not a picture")
    assert "bright" in post(port, GOOD, "?class=brihgt").tree["message"]
    assert "400x300" in post(port, picture(size=(400, 300))).tree["message"]


def test_several_pictures_cannot_be_drawn_as_one(port):
    body, kind = form(("a.png", GOOD), ("b.png", GOOD))
    assert post(port, body, "?answer=png", kind).tree["code"] == "not_acceptable"
    assert post(port, GOOD, Accept="text/html").tree["code"] == "not_acceptable"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/page/", "/page/../limits.py", "/page/..%2flimits.py", "/page/%2e%2e/limits.py", "//etc/passwd",
        "/page/....//....//etc/passwd", "/..%5c..%5cwindows", "/page/%00", "/static/style.css", "/v1/detect/",
        "/page/index.html%00.js", "/%c0%ae%c0%ae/etc/passwd", "/" + "a" * 5000, "/page/__init__.py", "/docs/../page/",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(port, path):
    reply = ask(port, path=path)
    assert (reply.status, reply.tree["code"]) == (404, "not_found")
    assert "root:" not in reply.body.decode() and path not in reply.tree["message"]


def test_other_methods_are_told_which_are_allowed(port):
    reply = ask(port, path="/v1/detect")
    assert (reply.status, reply.tree["code"], reply.headers["allow"]) == (405, "method_not_allowed", "POST")
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        assert ask(port, method, "/v1/detect").status == 405


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"], 400),  # TLS
        ([b"HELLO\r\n\r\n"], 400),
        ([b"GET / HTTP/1.1\r\n\r\n"], 400),  # no Host
        ([b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 40_000], 431),
        ([b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 8000 + b"\r\n"], 431),
        ([b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"], 431),
        ([b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n"], 400),
        ([b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"], 400),
        ([b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], 400),
        ([b"GET / HTTP/1.1\r\nHost: local"], 408),  # and then nothing
        ([b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\nab"], 408),
        ([b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"], 421),
    ],
)  # fmt: skip
def test_broken_http_is_answered_and_the_connection_closed(port, pieces, status):
    heard = raw(port, *pieces)
    assert heard.startswith(f"HTTP/1.1 {status} ".encode()), heard[:200]
    assert b'{"code": "' in heard and b"connection: close" in heard.lower()


def test_a_body_in_drops_and_silence_end_in_time(port):
    head = b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
    began = time.monotonic()
    heard = raw(port, head, *[b"x"] * 12, pause=0.06)
    assert b"slow_body" in heard and time.monotonic() - began < 4
    assert raw(port) == b""  # who says nothing is told nothing
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:  # a second request that never ends
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = b""
        while b'"ok"}' not in heard:
            heard += slow.recv(65536)
        slow.sendall(b"GET /he")
        with slow.makefile("rb") as rest:
            assert b"slow_head" in rest.read()
    assert time.monotonic() - began < 4


def test_a_large_body_is_refused_before_it_is_sent(port):
    head = b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000000000\r\nExpect: 100-continue\r\n\r\n"
    heard = raw(port, head)
    assert heard.startswith(b"HTTP/1.1 413 ") and b"100 Continue" not in heard
    chunked = b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"too_many_bytes" in raw(port, chunked, *[b"c350\r\n" + b"x" * 50_000 + b"\r\n"] * 5)


def test_who_hangs_up_leaves_nothing_behind(port):
    head = f"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(GOOD)}\r\n\r\n".encode()
    for sent in (head, head + GOOD[:50], head + GOOD):
        for _ in range(8):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(sent)
    time.sleep(0.3)
    assert "dsla_waiting_pictures 0.0" in ask(port, path="/metrics").body.decode()


def test_odd_but_good_pictures_are_answered(port):
    for mode, size in (
        ("1", (9, 9)),
        ("P", (20, 10)),
        ("LA", (5, 50)),
        ("I;16", (30, 20)),
        ("RGBA", (1, 1)),
        ("L", (90_000, 1)),
    ):
        encoded = io.BytesIO()
        Image.new(mode, size).save(encoded, "PNG")
        reply = post(port, encoded.getvalue())
        assert reply.status == 200 and (reply.tree["pictures"][0]["width"], reply.tree["pictures"][0]["height"]) == size
