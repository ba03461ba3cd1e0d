# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fetching from a server on this machine, in good and bad weather; verifying and converting."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import hashlib
import http.server
import io
import re
import socket
import ssl
import threading
from pathlib import Path

import pytest
import torch

from siammask_ros import weights
from siammask_ros.network import CheckpointError, build_network, load_network, save_network
from siammask_ros.weights import WeightsError, convert, fetch, list_weights, verify

OPTIONS = {"channels": [4, 4, 8], "blocks": [1, 1, 1], "width": 8, "refiner_widths": [4, 4, 4]}
KNOWN_HASH, UNKNOWN_HASH = "SiamMask_DAVIS", "SiamMask_VOT"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file with ranges; misbehaves as the server's settings say."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers))
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and self.headers.get("If-Range") == server.etag:
            start = int(wanted[1])
            if start >= len(server.content):
                self.send_error(416)
                return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/*")
        self.end_headers()
        self.wfile.write(body if server.cut_at is None else body[: server.cut_at])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.etag = checkpoint_bytes(), '"one"'
    server.status, server.cut_at, server.requests = None, None, []
    server.address = f"http://127.0.0.1:{server.server_port}/file.pth"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def checkpoint_bytes(seed=0):
    torch.manual_seed(seed)
    network = build_network("compact", **OPTIONS)
    stream = io.BytesIO()
    content = {"format": "siammask_ros/1", "architecture": "compact", "options": OPTIONS}
    torch.save({**content, "state_dict": network.state_dict()}, stream)
    return stream.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def get(server, tmp_path, monkeypatch):
    """Fetch from the server; the weights of known hash are the server's file."""
    digest, size = sha256(server.content), len(server.content)
    changed = tuple(
        dataclasses.replace(known, size_bytes=size, sha256=digest)
        if known.name == KNOWN_HASH
        else known
        for known in weights.KNOWN
    )
    monkeypatch.setattr(weights, "KNOWN", changed)

    def get(name=KNOWN_HASH, **options):
        return fetch(name, cache=tmp_path, **{"address": server.address, "timeout_s": 5, **options})

    return get


def failure(reason, call, *arguments, **options):
    """The message of the WeightsError of this reason that a call raises."""
    with pytest.raises(WeightsError) as caught:
        call(*arguments, **options)
    assert caught.value.reason == reason, caught.value
    return str(caught.value)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))


def test_a_known_file_is_fetched_once(get, server, tmp_path):
    seen = []
    path = get(progress=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "SiamMask_DAVIS.pth"
    assert path.read_bytes() == server.content
    assert seen[-1] == (len(server.content), len(server.content))
    assert names(tmp_path) == ["SiamMask_DAVIS.pth", "SiamMask_DAVIS.pth.sha256"]
    assert get("siammask_davis.PTH") == path
    assert len(server.requests) == 1
    listed = {entry.known.name: entry.cached for entry in list_weights(tmp_path)}
    assert listed.pop("SiamMask_DAVIS") == path
    assert set(listed.values()) == {None}


def test_a_broken_download_goes_on_where_it_stopped(get, server, tmp_path):
    server.cut_at = 5000
    message = failure("interrupted", get)
    assert f"after 5000 of {len(server.content)} bytes" in message
    assert not (tmp_path / "SiamMask_DAVIS.pth").exists()
    server.cut_at = 2000
    failure("interrupted", get)
    assert (tmp_path / "SiamMask_DAVIS.pth.part").stat().st_size == 7000
    server.cut_at = None
    seen = []
    path = get(progress=lambda done, _: seen.append(done))
    assert path.read_bytes() == server.content
    assert [request.get("Range") for request in server.requests] == [
        None,
        "bytes=5000-",
        "bytes=7000-",
    ]
    assert seen[0] > 7000
    assert names(tmp_path) == ["SiamMask_DAVIS.pth", "SiamMask_DAVIS.pth.sha256"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(get, server, tmp_path):
    server.cut_at = 5000
    failure("interrupted", get, UNKNOWN_HASH)
    server.content, server.etag, server.cut_at = checkpoint_bytes(seed=1), '"two"', None
    path = get(UNKNOWN_HASH, confirm=lambda found: found.sha256 == sha256(server.content))
    assert path.read_bytes() == server.content
    assert server.requests[-1]["If-Range"] == '"one"'
    assert names(tmp_path) == ["SiamMask_VOT.pth", "SiamMask_VOT.pth.sha256"]


def test_a_complete_part_needs_no_more_bytes(get, server, tmp_path):
    (tmp_path / "SiamMask_DAVIS.pth.part").write_bytes(server.content)
    (tmp_path / "SiamMask_DAVIS.pth.part.validator").write_text(server.etag)
    assert get().read_bytes() == server.content
    assert names(tmp_path) == ["SiamMask_DAVIS.pth", "SiamMask_DAVIS.pth.sha256"]


def test_a_wrong_hash_is_refused_and_deleted(get, server, tmp_path):
    right = sha256(server.content)
    server.content = server.content[:-1] + b"!"
    message = failure("hash", get)
    assert sha256(server.content) in message
    assert right in message
    assert names(tmp_path) == []


def test_a_wrong_size_is_refused_before_the_download(get, server, tmp_path):
    size = len(server.content)
    server.content += b"more"
    assert f"offers {size + 4} bytes, instead of {size}" in failure("size", get)
    assert names(tmp_path) == []


def test_an_unknown_hash_is_confirmed_by_someone(get, server, tmp_path):
    digest = sha256(server.content)
    assert digest in failure("not confirmed", get, UNKNOWN_HASH)
    asked = []
    failure("not confirmed", get, UNKNOWN_HASH, confirm=asked.append)
    assert (asked[0].sha256, asked[0].size_bytes) == (digest, len(server.content))
    assert not (tmp_path / "SiamMask_VOT.pth").exists()
    path = get(UNKNOWN_HASH, confirm=lambda _: True)
    assert path.read_bytes() == server.content
    assert len(server.requests) == 1  # what waited for its confirmation was kept
    assert get(UNKNOWN_HASH) == path  # and the confirmed hash too
    path.write_bytes(b"changed")
    assert digest in failure("hash", get, UNKNOWN_HASH)


def test_an_unknown_hash_can_be_given(get, server, tmp_path):
    path = get(UNKNOWN_HASH, sha256=sha256(server.content).upper())
    assert path.read_bytes() == server.content
    path.unlink()
    failure("hash", get, UNKNOWN_HASH, sha256="0" * 64)
    assert not path.exists()
    assert not path.with_name("SiamMask_VOT.pth.unconfirmed").exists()


def test_given_hashes_are_checked(get):
    with pytest.raises(ValueError, match="64 hex digits: 'abc'"):
        get(sha256="abc")
    assert "is known to have SHA-256" in failure("hash", get, sha256="0" * 64)


def test_a_page_instead_of_a_checkpoint_is_refused(get, server, tmp_path):
    server.content = b"<html>moved</html>" * 100
    message = failure("not a checkpoint", get, UNKNOWN_HASH, confirm=lambda _: True)
    assert "not a checkpoint" in message
    assert names(tmp_path) == []


def test_a_file_that_fetch_did_not_put_there_needs_its_hash(get, server, tmp_path):
    (tmp_path / "SiamMask_VOT.pth").write_bytes(server.content)
    assert sha256(server.content) in failure("not confirmed", get, UNKNOWN_HASH)
    assert get(UNKNOWN_HASH, sha256=sha256(server.content)) == tmp_path / "SiamMask_VOT.pth"
    (tmp_path / "SiamMask_DAVIS.pth").write_bytes(b"other")
    failure("hash", get)
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "not found"), (410, "not found"), (403, "server"), (503, "server")]
)
def test_what_the_server_refuses_is_named(get, server, status, reason):
    server.status = status
    assert f"answers {status}" in failure(reason, get)


def test_no_network_is_named(get):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/file.pth"
        assert "cannot be reached" in failure("no network", get, address=address)
    failure("no network", get, address="http://nowhere.invalid/file.pth")


def test_a_silent_server_is_named(get):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/file.pth"
        message = failure("interrupted", get, address=address, timeout_s=0.2)
    assert "timed out" in message


def test_a_fault_of_the_encryption_is_named(get, server, monkeypatch):
    def broken_read(*_):
        raise ssl.SSLError("record layer failure")

    monkeypatch.setattr(http.client.HTTPResponse, "read", broken_read)
    assert "record layer failure" in failure("interrupted", get)


def test_a_full_disk_is_named(get, monkeypatch):
    class Usage:
        free = 10

    monkeypatch.setattr(weights.shutil, "disk_usage", lambda _: Usage)
    assert "has 10 bytes free" in failure("disk", get)
    monkeypatch.undo()


def test_a_write_that_fails_is_named(get, server, tmp_path, monkeypatch):
    def no_space(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights.os, "fsync", no_space)
    assert "disk is full" in failure("disk", get)
    assert not (tmp_path / "SiamMask_DAVIS.pth").exists()
    assert len(server.requests) == 1


def test_a_cache_that_cannot_be_made_is_named(get, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in failure("disk", fetch, KNOWN_HASH, cache=tmp_path / "file" / "x")


def test_two_fetches_at_once_do_not_mix(get, tmp_path):
    with (tmp_path / ".SiamMask_DAVIS.pth.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process" in failure("busy", get)
    assert get().is_file()


def test_names_and_addresses(get):
    message = failure("unknown name", fetch, "SiamMask_X")
    assert "'SiamMask_X', known: SiamMask_DAVIS, SiamMask_VOT, SiamMask_VOT_LD" in message
    assert "MODEL_ZOO.md" in failure("no address", get, "siammask_r50_l3", address=None)
    with pytest.raises(ValueError, match="not an http"):
        get(address="file:///etc/passwd")


def test_the_one_hash_that_a_public_source_states():
    davis = weights.known_weights("SiamMask_DAVIS")
    assert davis.size_bytes == 105878246
    assert davis.sha256 == "d5a0e7cb13e2799bcf93545691261e7a48413ffb54bce9cb3b7fa3c560da4204"
    assert davis.address == "http://www.robots.ox.ac.uk/~qwang/SiamMask_DAVIS.pth"


def test_the_cache_follows_the_environment(monkeypatch):
    monkeypatch.setenv("SIAMMASK_CACHE", "/a/b")
    assert weights.cache_dir() == Path("/a/b")
    monkeypatch.delenv("SIAMMASK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert weights.cache_dir() == Path("/c/siammask_ros")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert weights.cache_dir() == Path("/home/somebody/.cache/siammask_ros")


def test_verify_says_what_a_file_is(tmp_path):
    network = build_network("compact", **OPTIONS)
    path = tmp_path / "mine.pth"
    save_network(network, path, metadata={"steps": 3})
    found = verify(path)
    assert (found.sha256, found.size_bytes) == (sha256(path.read_bytes()), path.stat().st_size)
    assert (found.known_as, found.warning) == (None, None)
    assert found.parameter_count == sum(p.numel() for p in network.parameters())
    assert (found.checkpoint.architecture, found.checkpoint.metadata) == ("compact", {"steps": 3})
    renamed = path.rename(tmp_path / "SiamMask_DAVIS.pth")
    assert "published file has SHA-256 d5a0e7cb" in verify(renamed).warning
    with pytest.raises(CheckpointError, match="cannot be read"):
        verify(path)


def test_convert_writes_our_format(tmp_path):
    source, target = tmp_path / "source.pth", tmp_path / "target.pth"
    source.write_bytes(checkpoint_bytes())
    written = convert(source, target)
    assert written.path == target
    assert written.checkpoint.metadata == {
        "source_file": "source.pth",
        "source_sha256": sha256(source.read_bytes()),
        "source_layout": "siammask_ros",
    }
    old, new = load_network(source).state_dict(), load_network(target).state_dict()
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert "exists already" in failure("exists", convert, source, target)
    assert convert(source, target, overwrite=True).path == target
    assert "cannot be written" in failure("disk", convert, source, tmp_path / "no" / "x.pth")
