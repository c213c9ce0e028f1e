"""Serves an empty bucket as Google's object store does, on a free port of the loopback, and prints its place."""

import sys
from functools import partial
from http.server import ThreadingHTTPServer

from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

if __name__ == "__main__":
    storage = Storage(use_memory_fs=True)
    create_bucket(sys.argv[1], storage)
    # its own server answers one request at a time, and clients hold several
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(RequestHandler, storage))
    print("{}:{}".format(*server.server_address[:2]), flush=True)
    server.serve_forever()
