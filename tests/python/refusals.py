"""Asserting that a call is refused, and how."""

import contextlib

import botocore.exceptions


class Refusal:
    """What the server said; filled when the block ends."""

    code = message = status = None


@contextlib.contextmanager
def refused(code, text=None, status=400):
    """The block's call must fail with `code`, this HTTP status, and `text` in its message."""
    seen = Refusal()
    try:
        yield seen
    except botocore.exceptions.ClientError as error:
        seen.code = error.response["Error"]["Code"]
        seen.message = error.response["Error"]["Message"]
        seen.status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    else:
        raise AssertionError(f"the call succeeded where {code} was expected")
    assert (seen.code, seen.status) == (code, status), f"{seen.code} {seen.status}: {seen.message}"
    if text is not None:
        assert text in seen.message, seen.message


def code_of(call):
    """The code with which this call is refused."""
    return words_of(call)[0]


def words_of(call):
    """The code and the message with which this call is refused."""
    try:
        call()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("the call succeeded where a refusal was expected")
