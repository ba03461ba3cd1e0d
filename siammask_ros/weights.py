# Copyright 2026 The siammask_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published weights: where they are, how to get them safely, what a file holds."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch

from siammask_ros.network import (
    Checkpoint,
    CheckpointError,
    build_network,
    read_checkpoint,
    save_network,
)

Reason = Literal[
    "unknown name",
    "no address",
    "no network",
    "not found",
    "server",
    "interrupted",
    "disk",
    "size",
    "hash",
    "not confirmed",
    "not a checkpoint",
    "busy",
    "exists",
]
Progress = Callable[[int, "int | None"], None]
"""Called with the bytes there are so far and their total, where it is known."""

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30.0
LARGEST_BYTES = 1 << 30
"""A file of unknown size may not be larger; the known ones have about a tenth of it."""


class WeightsError(RuntimeError):
    """Weights could not be had; the message says why, :attr:`reason` names the kind."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class KnownWeights:
    """Weights that others have published.

    Attributes:
        name: what :func:`fetch` calls them.
        file_name: name of the file in the cache.
        address: where to download them, or None where a browser is needed.
        page: page that tells about them.
        size_bytes: size of the file, or None where no trustworthy source states it.
        sha256: hash of the file in lower-case hex, or None likewise.
        preset: tracker preset that they were published with.
        terms: under which terms their authors give them away.
        description: one line.
    """

    name: str
    file_name: str
    address: str | None
    page: str
    size_bytes: int | None
    sha256: str | None
    preset: str
    terms: str
    description: str


_AUTHORS = "http://www.robots.ox.ac.uk/~qwang"
_AUTHORS_PAGE = "https://github.com/foolwood/SiamMask"
_AUTHORS_TERMS = (
    "published beside MIT-licensed code, no terms of their own; "
    "trained on data sets that have theirs"
)
KNOWN = (
    KnownWeights(
        name="SiamMask_DAVIS",
        file_name="SiamMask_DAVIS.pth",
        address=f"{_AUTHORS}/SiamMask_DAVIS.pth",
        page=_AUTHORS_PAGE,
        size_bytes=105_878_246,
        sha256="d5a0e7cb13e2799bcf93545691261e7a48413ffb54bce9cb3b7fa3c560da4204",
        preset="davis",
        terms=_AUTHORS_TERMS,
        description="the authors' SiamMask with refinement, for segmentation (DAVIS)",
    ),
    KnownWeights(
        name="SiamMask_VOT",
        file_name="SiamMask_VOT.pth",
        address=f"{_AUTHORS}/SiamMask_VOT.pth",
        page=_AUTHORS_PAGE,
        size_bytes=None,
        sha256=None,
        preset="vot",
        terms=_AUTHORS_TERMS,
        description="the authors' SiamMask with refinement, for tracking (VOT)",
    ),
    KnownWeights(
        name="SiamMask_VOT_LD",
        file_name="SiamMask_VOT_LD.pth",
        address=f"{_AUTHORS}/SiamMask_VOT_LD.pth",
        page=_AUTHORS_PAGE,
        size_bytes=None,
        sha256=None,
        preset="vot18",
        terms=_AUTHORS_TERMS,
        description="the same, trained on more data",
    ),
    KnownWeights(
        name="siammask_r50_l3",
        file_name="siammask_r50_l3.pth",
        address=None,
        page="https://github.com/STVIR/pysot/blob/master/MODEL_ZOO.md",
        size_bytes=None,
        sha256=None,
        preset="pysot",
        terms="CC BY-SA 3.0",
        description="PySOT's SiamMask with refinement",
    ),
)


@dataclass(frozen=True)
class ListedWeights:
    """Known weights and the file of them in the cache, None if they are not there."""

    known: KnownWeights
    cached: Path | None


@dataclass(frozen=True)
class FetchedFile:
    """A complete download whose hash nobody has confirmed yet: what `confirm` is asked about."""

    name: str
    address: str
    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class VerifiedFile:
    """What a checkpoint file holds; every key of it is accounted for.

    Attributes:
        path: the file.
        size_bytes, sha256: of the file.
        known_as: name of the known weights with this hash, or None.
        warning: why the file is not what its name says, or None.
        checkpoint: the content, see :class:`siammask_ros.network.Checkpoint`.
        parameter_count: learned numbers (batch norm statistics not counted).
    """

    path: Path
    size_bytes: int
    sha256: str
    known_as: str | None
    warning: str | None
    checkpoint: Checkpoint
    parameter_count: int


def cache_dir() -> Path:
    """Folder of downloads: SIAMMASK_CACHE, else siammask_ros in XDG_CACHE_HOME or ~/.cache."""
    if named := os.environ.get("SIAMMASK_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "siammask_ros"


def list_weights(cache: Path | None = None) -> tuple[ListedWeights, ...]:
    """All known weights, and which of them are in the cache (default: :func:`cache_dir`)."""
    folder = cache or cache_dir()
    paths = ((known, folder / known.file_name) for known in KNOWN)
    return tuple(ListedWeights(known, path if path.is_file() else None) for known, path in paths)


def known_weights(name: str) -> KnownWeights:
    """The known weights of a name, in any case, with or without `.pth`.

    Raises:
        WeightsError: if the name is unknown.
    """
    for known in KNOWN:
        if name.lower().removesuffix(".pth") == known.name.lower():
            return known
    names = ", ".join(known.name for known in KNOWN)
    raise WeightsError("unknown name", f"unknown weights {name!r}, known: {names}")


def fetch(
    name: str,
    *,
    confirm: Callable[[FetchedFile], bool] | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
    cache: Path | None = None,
    address: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Path:
    """Download known weights into the cache, unless they are there, and check them.

    A download that breaks off goes on where it stopped when called again. Nothing becomes usable
    before its size and hash are right. Where the right hash is not known, someone has to say
    so: by ``sha256``, or by ``confirm``, which is then asked once with the hash that the
    download has. The confirmed hash is kept beside the file.

    Args:
        name: see :func:`list_weights`.
        confirm: asked where no hash is known; returns whether the shown hash is right.
        sha256: the hash the file must have, 64 hex digits.
        progress: told about every chunk.
        cache: folder of downloads, by default :func:`cache_dir`.
        address: another http(s) address of the same file, a mirror for instance.
        timeout_s: seconds without a byte after which the network counts as gone.

    Returns:
        The file in the cache.

    Raises:
        WeightsError: with the reason.
        ValueError: if ``sha256`` or ``address`` is malformed.
    """
    known = known_weights(name)
    expected = _expected_hash(known, sha256)
    target = (cache or cache_dir()) / known.file_name
    with _disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        _check_cached(known, target, expected)
        return target
    source = _checked_address(known, address)
    part = target.with_name(f"{target.name}.part")
    done = target.with_name(f"{target.name}.unconfirmed")
    with _only_one(target):
        if not done.is_file():
            _download(source, part, known.size_bytes, progress, timeout_s)
            _check_size(known, part)
            with _disk_errors(part):
                part.replace(done)
        found = FetchedFile(known.name, source, done, done.stat().st_size, file_sha256(done))
        _confirm(found, expected, confirm)
        with _disk_errors(target):
            _hash_file(target).write_text(f"{found.sha256}  {target.name}\n")
            done.replace(target)
    return target


def verify(path: str | os.PathLike[str]) -> VerifiedFile:
    """Read a checkpoint file offline, account for every key, and say what it is.

    Raises:
        siammask_ros.network.CheckpointError: if it cannot be loaded.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path)
    digest = file_sha256(path)
    named = next((known for known in KNOWN if known.file_name == path.name), None)
    by_hash = next((known for known in KNOWN if known.sha256 == digest), None)
    warning = None
    if named and named.sha256 and named.sha256 != digest:
        warning = f"is called {path.name}, but the published file has SHA-256 {named.sha256}"
    return VerifiedFile(
        path=path,
        size_bytes=path.stat().st_size,
        sha256=digest,
        known_as=by_hash.name if by_hash else None,
        warning=warning,
        checkpoint=checkpoint,
        parameter_count=sum(
            tensor.numel()
            for name, tensor in checkpoint.state_dict.items()
            if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
        ),
    )


def convert(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *, overwrite: bool = False
) -> VerifiedFile:
    """Write any checkpoint that loads in this package's own format, offline.

    Args:
        source: file to read.
        target: file to write, whole or not at all.
        overwrite: whether an existing file may be replaced.

    Returns:
        What was written. Its metadata name the source and its hash.

    Raises:
        siammask_ros.network.CheckpointError: if the source cannot be loaded.
        WeightsError: if the target exists or cannot be written.
    """
    target = Path(target)
    if target.exists() and not overwrite:
        raise WeightsError("exists", f"{target} exists already")
    verified = verify(source)
    checkpoint = verified.checkpoint
    with torch.device("meta"):
        network = build_network(checkpoint.architecture, **checkpoint.options)
    network.load_state_dict(checkpoint.state_dict, strict=True, assign=True)
    network.default_preset = checkpoint.default_preset
    metadata: dict[str, Any] = {
        **checkpoint.metadata,
        "source_file": verified.path.name,
        "source_sha256": verified.sha256,
        "source_layout": checkpoint.layout,
    }
    with _disk_errors(target):
        save_network(network, target, metadata=metadata)
    return verify(target)


def _expected_hash(known: KnownWeights, given: str | None) -> str | None:
    if given is None:
        return known.sha256
    digest = given.strip().lower()
    if len(digest) != hashlib.sha256().digest_size * 2 or set(digest) - set("0123456789abcdef"):
        raise ValueError(f"not a SHA-256, which has 64 hex digits: {given!r}")
    if known.sha256 not in (None, digest):
        raise WeightsError(
            "hash", f"{known.name} is known to have SHA-256 {known.sha256}, not the given {digest}"
        )
    return digest


def _checked_address(known: KnownWeights, address: str | None) -> str:
    source = address or known.address
    if source is None:
        raise WeightsError(
            "no address",
            f"{known.name} cannot be downloaded without a browser: get it from {known.page} and "
            f"save it as {known.file_name}",
        )
    if urllib.parse.urlsplit(source).scheme not in ("http", "https"):
        raise ValueError(f"not an http(s) address: {source!r}")
    return source


def _check_cached(known: KnownWeights, path: Path, expected: str | None) -> None:
    """A file in the cache has the expected hash, or the one confirmed when it was fetched."""
    if expected is None and _hash_file(path).is_file():
        expected = _hash_file(path).read_text().split(" ", 1)[0]
    digest = file_sha256(path)
    if expected is None:
        raise WeightsError(
            "not confirmed",
            f"{path} was not put there by fetch, its SHA-256 is {digest}: give that as sha256 "
            f"if it is right, or delete the file",
        )
    if digest != expected:
        raise WeightsError(
            "hash",
            f"{path} has SHA-256 {digest}, {known.name} should have {expected}: delete the file "
            "and fetch again",
        )


def _confirm(
    found: FetchedFile, expected: str | None, confirm: Callable[[FetchedFile], bool] | None
) -> None:
    if expected is not None:
        if found.sha256 == expected:
            return
        found.path.unlink()
        raise WeightsError(
            "hash",
            f"the download from {found.address} has SHA-256 {found.sha256} instead of {expected}; "
            "it was deleted",
        )
    try:
        read_checkpoint(found.path)
    except CheckpointError as error:
        found.path.unlink()
        raise WeightsError(
            "not a checkpoint", f"what {found.address} sent is of no use and was deleted: {error}"
        ) from None
    if confirm is None or not confirm(found):
        raise WeightsError(
            "not confirmed",
            f"nobody has confirmed that {found.name} has SHA-256 {found.sha256} "
            f"({found.size_bytes} bytes); fetch it again with this hash once you have",
        )


def _check_size(known: KnownWeights, part: Path) -> None:
    size = part.stat().st_size
    if known.size_bytes not in (None, size):
        part.unlink()
        raise WeightsError(
            "size", f"the download has {size} bytes instead of {known.size_bytes}; it was deleted"
        )


def _download(
    address: str, part: Path, size: int | None, progress: Progress | None, timeout_s: float
) -> None:
    """Bring the rest of a file into ``part``, which keeps what there is if that fails."""
    validator = part.with_name(f"{part.name}.validator")
    start = part.stat().st_size if part.is_file() and validator.is_file() else 0
    # Python's own opener follows http(s) and ftp redirects only; the address was checked.
    request = urllib.request.Request(address, headers={"User-Agent": "siammask_ros"})  # noqa: S310
    if start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", validator.read_text())
    with _network_errors(address), _response(request, timeout_s) as response:
        if response is None:  # nothing is left to send
            validator.unlink()
            return
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        start = start if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        _check_room(address, part, total, start, size)
        with _disk_errors(part):
            stored = response.headers.get("ETag") or response.headers.get("Last-Modified")
            if stored and not stored.startswith("W/"):  # weak ones do not go with If-Range
                validator.write_text(stored)
            else:
                validator.unlink(missing_ok=True)
            stream = part.open("ab" if resumed else "wb")
        with stream:
            count = _copy(response, stream, start, total, size or LARGEST_BYTES, progress)
    if total is not None and count < total:
        raise WeightsError(
            "interrupted",
            f"{address}: the connection ended after {count} of {total} bytes; fetch again to go on",
        )
    validator.unlink(missing_ok=True)


def _copy(
    response: http.client.HTTPResponse,
    stream: BinaryIO,
    start: int,
    total: int | None,
    largest: int,
    progress: Progress | None,
) -> int:
    """Write what comes, and return how large the file is then."""
    count = start
    while chunk := response.read(CHUNK_BYTES):
        with _disk_errors(Path(stream.name)):
            stream.write(chunk)
        count += len(chunk)
        if count > largest:
            raise WeightsError("size", f"more than {largest} bytes came, stopped")
        if progress is not None:
            progress(count, total)
    with _disk_errors(Path(stream.name)):
        stream.flush()
        os.fsync(stream.fileno())
    return count


@contextmanager
def _response(
    request: urllib.request.Request, timeout_s: float
) -> Iterator[http.client.HTTPResponse | None]:
    """The answer to a request, or None if the server has nothing beyond what is there."""
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                yield None
                return
            raise
    with response:
        yield response


def _check_room(address: str, part: Path, total: int | None, start: int, size: int | None) -> None:
    """The file has the right size and fits on the disk, as far as the server tells."""
    if total is None:
        return
    if size not in (None, total) or total > LARGEST_BYTES:
        limit = f"instead of {size}" if size else f"the limit is {LARGEST_BYTES}"
        raise WeightsError("size", f"{address} offers {total} bytes, {limit}")
    free = shutil.disk_usage(part.parent).free
    if total - start > free:
        raise WeightsError(
            "disk", f"{part.parent} has {free} bytes free, {total - start} are needed"
        )


@contextmanager
def _network_errors(address: str) -> Iterator[None]:
    """Name what went wrong between here and the server."""
    try:
        yield
    except urllib.error.HTTPError as error:
        gone = error.code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
        raise WeightsError(
            "not found" if gone else "server",
            f"{address}: the server answers {error.code} {error.reason}",
        ) from None
    except urllib.error.URLError as error:
        raise WeightsError("no network", f"{address} cannot be reached: {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:  # time-outs, resets, TLS faults
        detail = str(error) or type(error).__name__
        raise WeightsError(
            "interrupted", f"{address}: the connection broke: {detail}; fetch again to go on"
        ) from None


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = " (the disk is full)" if error.errno == errno.ENOSPC else ""
        raise WeightsError(
            "disk", f"{path} cannot be written: {error.strerror or error}{full}"
        ) from None


@contextmanager
def _only_one(target: Path) -> Iterator[None]:
    """Keep two processes from writing the same download."""
    lock = target.with_name(f".{target.name}.lock")
    with _disk_errors(lock):
        stream = lock.open("w")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WeightsError("busy", f"{target} is being fetched by another process") from None
        yield


def _hash_file(path: Path) -> Path:
    """Where the confirmed hash of a file is kept, in the format of sha256sum."""
    return path.with_name(f"{path.name}.sha256")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file in lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
