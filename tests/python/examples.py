"""The files of examples/, as tests use them: at other places than a reader would."""

import pathlib

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
# What their configurations of agents name.
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:wordpress-AbCdEf"
STATE = 'state = "/var/lib/keystead-agent"'


def of_example(name, changes):
    """A file of an example with other places in it, each of which it has."""
    text = (EXAMPLES / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{old} is not in {name}"
        text = text.replace(old, str(new))
    return text
