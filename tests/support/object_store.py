"""Object stores on this machine: servers that speak S3 and that of Google, and fsspec's memory, while a test runs."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

BUCKET = "rows"
GOOGLE_SERVER = Path(__file__).with_name("google_store_server.py")


@contextlib.contextmanager
def object_store(kind="s3"):
    """Starts a store with an empty bucket; yields what makes the URI of a key. Skips a test where its server is missing.

    Args:
        kind: "s3", "gs" or "memory", which other processes cannot see.
    """
    with {"s3": s3_store, "gs": google_store, "memory": memory_store}[kind]() as uri:
        yield uri


@contextlib.contextmanager
def s3_store():
    """A server in a thread, on a free port of the loopback."""
    for name in ("moto", "flask_cors"):
        pytest.importorskip(name)
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with mock.patch.dict(os.environ, keys):
        server.start()
        try:
            host, port = server.get_host_and_port()
            ending = (
                f"?scheme=http&endpoint_override={host}:{port}&region=us-east-1&allow_bucket_creation=true"
            )
            files, path = fs.FileSystem.from_uri(f"s3://{BUCKET}{ending}")
            files.create_dir(path)
            yield lambda key: f"s3://{BUCKET}/{key}{ending}"
        finally:
            server.stop()


@contextlib.contextmanager
def google_store():
    """A server in a process of its own: pyarrow holds the interpreter while it waits for some answers of this store."""
    pytest.importorskip("gcp_storage_emulator")
    words = [sys.executable, str(GOOGLE_SERVER), BUCKET]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            place = server.stdout.readline().strip()
            assert place, "the server did not start"
            ending = f"?scheme=http&endpoint_override={place}&retry_limit_seconds=60"
            yield lambda key: f"gs://anonymous@{BUCKET}/{key}{ending}"
        finally:
            server.kill()


@contextlib.contextmanager
def memory_store():
    """A file system of fsspec that pyarrow does not know."""
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    try:
        yield lambda key: f"memory://{BUCKET}/{key}"
    finally:
        if files.exists(f"/{BUCKET}"):
            files.rm(f"/{BUCKET}", recursive=True)
