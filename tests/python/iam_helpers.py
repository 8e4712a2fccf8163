"""What the tests of IAM share."""

import json

import refusals

# The status of each code (IAM's model, and the front end's for a key that is not known).
STATUS = {
    "AccessDenied": 403,
    "DeleteConflict": 409,
    "EntityAlreadyExists": 409,
    "InvalidClientTokenId": 403,
    "LimitExceeded": 409,
    "NoSuchEntity": 404,
}


def refused(code, call, **arguments):
    """The text of the refusal, which must have this code and its status."""
    with refusals.refused(code, status=STATUS.get(code, 400)) as refusal:
        call(**arguments)
    return refusal.message


def document(actions=("kms:Encrypt",), resource="*", **more):
    """A policy for identities, as text."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(service="ec2.amazonaws.com"):
    """A trust policy for a service, as text."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
