"""The real `keystead` binary as a throw-away child process, and clients that talk to it."""

import atexit
import datetime
import functools
import json
import os
import pathlib
import queue
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import boto3
import botocore.auth
import botocore.config
import botocore.session

BINARY = os.environ["KEYSTEAD_BIN"]
ACCOUNT = "123456789012"
REGION = "us-east-1"
# How long a start may take before a test calls it hung: a debug build on a busy two-core machine.
START_SECONDS = 60


CBOR = "smithy-rpc-v2-cbor"


@functools.cache
def our_models():
    """A folder in botocore's layout with the models that are ours: any AWS SDK can speak to these services."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keystead-models-"))
    atexit.register(shutil.rmtree, folder)
    for name in ("keystead", "rolesanywhere-sessions", "kms-xks-proxy"):
        model = pathlib.Path(__file__).parents[2] / "models" / f"{name}.json"
        version = json.loads(model.read_text())["metadata"]["apiVersion"]
        (folder / name / version).mkdir(parents=True)
        shutil.copy(model, folder / name / version / "service-2.json")
    return str(folder)


def session():
    """An SDK that knows our own service beside AWS's."""
    made = botocore.session.Session()
    made.get_component("data_loader").search_paths.append(our_models())
    return made


def speak(session, service, protocol):
    """Makes a botocore session speak one protocol of those that the service's model names.

    The newest model of acm-pca puts CBOR first, and SDKs of other languages follow it; botocore ranks the
    protocols by itself and takes JSON.
    """
    model = session.get_component("data_loader").load_service_model(service, "service-2")
    assert protocol in model["metadata"]["protocols"], model["metadata"]
    model["metadata"]["protocols"] = [protocol]


# Where the clock of the server is that a request goes to, seen from here: the SDK signs by that clock.
_ahead = datetime.timedelta(0)
_now = botocore.auth.get_current_datetime
botocore.auth.get_current_datetime = lambda *arguments, **named: _now(*arguments, **named) + _ahead


def _sign_ahead(by):
    def before_signing(**_):
        global _ahead
        _ahead = by

    return before_signing


class StartFailure(Exception):
    """The server ended, or hung, before it was ready."""

    def __init__(self, said, status):
        super().__init__(f"the server did not become ready (status {status}): {said}")
        self.said = said
        self.status = status


class Server:
    """One server on one data directory. `start` again after `kill` or `stop` goes on with the same data."""

    def __init__(self, folder, *arguments, account=ACCOUNT, preexec=None):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.arguments = list(arguments)
        self.account = account
        self.preexec = preexec
        self.surroundings = {}
        self.key_id = "AKIA" + secrets.token_hex(8).upper()
        self.secret = secrets.token_urlsafe(30)
        self.process = None
        self.said = []
        self.variables = {}
        self.ready_at = None
        self.ahead = datetime.timedelta(0)

    def environment(self):
        """The environment of the server and of clients: nothing of AWS's that the caller had set."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return inherited | {
            "HOME": str(self.folder),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        } | self.surroundings

    def start(self, *more, listen="127.0.0.1:0", ahead=datetime.timedelta(0)):
        """Starts the server, its clock moved ahead, and waits for its line `ready`."""
        command = [BINARY, "up", "--listen", listen, "--data-dir", str(self.data)]
        self.ahead = ahead
        if ahead:
            command += ["--clock-offset", f"{int(ahead.total_seconds())}s"]
        if self.account:
            command += ["--account", self.account]
        environment = self.environment() | {
            "KEYSTEAD_ROOT_ACCESS_KEY_ID": self.key_id,
            "KEYSTEAD_ROOT_SECRET_ACCESS_KEY": self.secret,
        }
        self.said = []
        self.process = subprocess.Popen(
            command + self.arguments + list(more),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=self.preexec,
        )
        lines = queue.Queue()
        readers = [
            threading.Thread(target=self._follow, args=(pipe, sink), daemon=True)
            for pipe, sink in ((self.process.stdout, lines), (self.process.stderr, None))
        ]
        for reader in readers:
            reader.start()
        while True:
            try:
                line = lines.get(timeout=START_SECONDS)
            except queue.Empty:
                self.kill()
                raise StartFailure("hung: " + "".join(self.said), None) from None
            if line is None:
                status = self.process.wait(START_SECONDS)
                for reader in readers:
                    reader.join(START_SECONDS)
                raise StartFailure("".join(self.said), status)
            if line.strip() == "ready":
                self.ready_at = time.monotonic()
                break
        printed = self.run("env", "--json", "--data-dir", str(self.data)).stdout
        self.variables = json.loads(printed)
        return self

    def _follow(self, pipe, lines):
        for line in pipe:
            self.said.append(line)
            if lines is not None:
                lines.put(line)
        if lines is not None:
            lines.put(None)

    def run(self, *arguments, check=True):
        """Another subcommand of the same binary."""
        return subprocess.run(
            [BINARY, *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def kill(self):
        """Ends it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        """Asks it to stop, and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.process = None
        return status

    @property
    def endpoint(self):
        return self.variables["AWS_ENDPOINT_URL"]

    @property
    def host(self):
        return self.endpoint.split("//")[1]

    def client(self, service, region=REGION, protocol=None, **options):
        """A boto3 client that never retries: a test sees every answer there was."""
        settings = {"retries": {"total_max_attempts": 1}, "read_timeout": 60, "parameter_validation": True}
        botocore_session = session()
        if protocol:
            speak(botocore_session, service, protocol)
        client = boto3.session.Session(botocore_session=botocore_session).client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=options.pop("key_id", self.key_id),
            aws_secret_access_key=options.pop("secret", self.secret),
            aws_session_token=options.pop("token", None),
            config=botocore.config.Config(**(settings | options)),
        )
        client.meta.events.register("before-sign", _sign_ahead(self.ahead))
        return client

    def shell_environment(self, region=REGION):
        """What `eval "$(keystead env)"` leaves in a shell."""
        return self.environment() | self.variables | {"AWS_DEFAULT_REGION": region}
