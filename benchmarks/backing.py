"""What the stacks of bars stand on: one store and a directory, or what takes their place.

`make bar BAR=R-1 ON=bucket` keeps media in a bucket of an S3 server, `ON=sentinels` the records
in a group of three stores behind Sentinels, `ON=bucket,sentinels` does both.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from tests.object_server import ObjectServer

BUCKET = "bucket"
SENTINELS = "sentinels"
KINDS = (BUCKET, SENTINELS)


@contextmanager
def backing(kinds: Collection[str]) -> Iterator[ObjectServer | None]:
    """Have every stack that is started meanwhile, here or by a child, stand on these.

    Yields the server of the bucket, if there is one.
    """
    before = dict(os.environ)
    server = ObjectServer() if BUCKET in kinds else None

    if server is not None:
        os.environ.update(server.environment | {"LIKENESS_TEST_BUCKET": server.new_bucket()})
    if SENTINELS in kinds:
        # One replica has a job before it is acknowledged: what an operator is told to set.
        os.environ.update({"LIKENESS_TEST_STORE": SENTINELS, "LIKENESS_STORE_REPLICAS": "1"})

    try:
        yield server
    finally:
        if server is not None:
            server.close()
        os.environ.clear()
        os.environ.update(before)
