"""Who is let in: names, keys, and what a browser may do with the answers."""

import re
import subprocess
import sys

import pytest
from serving import ask, picture, post, running, served

from dsla.errors import ConfigError
from dsla.serve.access import Access, hosts_for
from dsla.serve.limits import Limits, parse_limits
from dsla.serve.model import read_keys
from dsla.serve.server import bind
from dsla.serve.service import Service


@pytest.fixture(scope="module")
def locked():
    with running(Service(served(), Limits(), Access(keys=("first-key", "zweiter-schlüssel")))) as port:
        yield port


@pytest.mark.parametrize("path", ["/v1/model", "/metrics", "/v1/detect", "/nothing"])
def test_without_a_key_nothing_but_the_page_is_there(locked, path):
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer "}, {"Authorization": "Basic Zmlyc3Qta2V5"}):
        reply = ask(locked, "POST" if path == "/v1/detect" else "GET", path, headers=headers)
        assert (reply.status, reply.tree["code"], reply.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")
        assert "first-key" not in reply.body.decode()


def test_each_key_opens_in_both_headers(locked):
    assert post(locked, picture(), X_API_Key="first-key").status == 200
    assert post(locked, picture(), Authorization="bearer first-key").status == 200
    assert post(locked, picture(), X_API_Key="zweiter-schlüssel".encode().decode("latin-1")).status == 200
    for path in ("/", "/docs", "/page/app.js", "/healthz", "/readyz", "/openapi.json"):
        assert ask(locked, path=path).status == 200


def test_keys_come_from_a_file_or_the_environment(tmp_path):
    file = tmp_path / "keys"
    file.write_text("# ours\n  one \n\ntwo\n")
    assert read_keys(file, "other") == ("one", "two")
    assert read_keys(None, " other\n") == ("other",)
    assert read_keys(None, None) == read_keys(None, "") == ()
    file.write_text("# none\n")
    with pytest.raises(ConfigError, match="no API key"):
        read_keys(file, "other")


def test_a_local_server_answers_to_local_names_alone(port):
    for host in ("localhost", f"127.0.0.1:{port}", "[::1]:80", "LOCALHOST:1"):
        assert ask(port, path="/healthz", headers={"Host": host}).status == 200
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "",
        "localhost@evil.example",
        "[::1",
    ):
        reply = ask(port, path="/healthz", headers={"Host": host})
        assert (reply.status, reply.tree["code"]) == (421, "wrong_host")


def test_hosts_are_bound_to_the_address():
    assert hosts_for("0.0.0.0", []) == ()
    assert "own.example" in hosts_for("127.0.0.1", ["Own.Example:443"])
    assert hosts_for("0.0.0.0", ["own.example"]) == ("0.0.0.0", "own.example")


def test_a_request_id_is_taken_over_where_it_is_harmless(port):
    assert ask(port, headers={"X-Request-ID": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    for wished in ("a b", "x" * 65, "é", '{"a":1}', "<script>"):
        given = ask(port, headers={"X-Request-ID": wished.encode("utf-8").decode("latin-1")}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{16}", given)


def test_browsers_are_told_what_the_page_may_do(port):
    for path in ("/", "/nothing", "/v1/model"):
        headers = ask(port, path=path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and "server" not in headers
        assert "access-control-allow-origin" not in headers
    page = ask(port)
    again = ask(port, headers={"If-None-Match": page.headers["etag"]})
    assert again.status == 304 and again.body == b""


def test_a_taken_port_is_said():
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match=r"cannot listen at 127.0.0.1:\d+ .*another --host or --port"):
            bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ConfigError, match="cannot listen at no-such-host"):
        bind("no-such-host.invalid", 1)


def test_limits_that_contradict_each_other_are_refused():
    for wrong in ({"pictures": 65}, {"queue": 0}, {"pixels": 10**9}, {"body_seconds": 0.0}):
        with pytest.raises(ConfigError, match="limits"):
            Limits(**wrong)


def test_the_server_needs_no_torch():
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'timm', 'lightning', 'matplotlib.pyplot'): sys.modules[name] = None\n"
        "import dsla.serve.server, dsla.serve.detecting, dsla.pixels, dsla.engine.draw, dsla.cli.serve\n"
        "print(len(dsla.serve.server.__doc__) > 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "True\n", ran.stderr


def test_limits_are_written_in_the_units_of_people():
    assert parse_limits(["megabytes=0.5", "megapixels=2", "queue=99", "seconds=1.5"]) == Limits(
        body_bytes=2**19, pixels=2_000_000, queue=99, seconds=1.5
    )
    for word, reason in (
        ("quue=3", "did you mean queue"),
        ("queue=many", "NUMBER"),
        ("queue=1.5", "whole"),
        ("x=1", "known are"),
    ):
        with pytest.raises(ConfigError, match=reason):
            parse_limits([word])
