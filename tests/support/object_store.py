"""An object store on this machine: a server that speaks S3, on a free port of the loopback, while a test runs."""

import contextlib
import os
from unittest import mock

import pytest

BUCKET = "rows"


@contextlib.contextmanager
def object_store():
    """Starts the server with an empty bucket; yields what makes the URI of a key. Skips a test where it is missing."""
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
