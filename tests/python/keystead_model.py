"""Keystead's own service for botocore: its model is in the repository, in botocore's format."""

import functools
import pathlib
import shutil
import tempfile

import botocore.session

MODEL = pathlib.Path(__file__).parents[2] / "models" / "keystead.json"


@functools.cache
def _folder():
    """The model laid out as botocore looks for it; kept until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="keystead-model-")
    place = pathlib.Path(folder.name) / "keystead" / "2026-11-01"
    place.mkdir(parents=True)
    shutil.copy(MODEL, place / "service-2.json")
    return folder


def session():
    """A botocore session that knows the service `keystead` beside AWS's."""
    made = botocore.session.Session()
    made.get_component("data_loader").search_paths.append(_folder().name)
    return made


def client(server):
    """A client of the service, with the root key of `server`."""
    return session().create_client(
        "keystead",
        "us-east-1",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.key_id,
        aws_secret_access_key=server.secret,
    )
