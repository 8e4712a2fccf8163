"""What the benchmarks share: a load by wrk, and the limits of the machine that it is measured beside."""

import os
import pathlib
import re
import subprocess
import tempfile
import time

CONNECTIONS = 8
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


class Measured:
    """One run of wrk."""

    def __init__(self, rate, p50, p99, failed, cores):
        self.rate, self.p50, self.p99, self.failed, self.cores = rate, p50, p99, failed, cores


def wrk(server, request, seconds, folder, connections=CONNECTIONS):
    """The same request again and again over so many connections, or a list of them in turn; times in milliseconds."""
    script = folder / "request.lua"
    requests = request if isinstance(request, list) else [request]
    shown = ",\n".join(formatted(request) for request in requests)
    report = 'print(string.format("figures %d %d %f %f %d", s.requests, s.duration, l:percentile(50), l:percentile(99), failed))'
    failed = "local failed = s.errors.status + s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout"
    script.write_text(
        f"local all = {{{shown}}}\nlocal turn = 0\nlocal made = {{}}\n"
        "init = function()\nfor i, r in ipairs(all) do made[i] = wrk.format(r[1], r[2], r[3], r[4]) end\nend\n"
        "request = function()\nturn = turn % #made + 1\nreturn made[turn]\nend\n"
        f"done = function(s, l)\n{failed}\n{report}\nend\n"
    )
    pid = server.process.pid
    before, begun = cpu_seconds(pid), time.monotonic()
    ran = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, server.endpoint],
        capture_output=True, text=True, check=True, timeout=seconds + 60,
    )  # fmt: skip
    cores = (cpu_seconds(pid) - before) / (time.monotonic() - begun)
    requests, micros, p50, p99, failed = re.search(r"figures (\d+) (\d+) (\S+) (\S+) (\d+)", ran.stdout).groups()
    return Measured(int(requests) / int(micros) * 1e6, float(p50) / 1000, float(p99) / 1000, int(failed), cores)


def formatted(request):
    """A request as a Lua table: method, path, headers, body."""
    headers = ", ".join(f"[{lua(name)}] = {lua(value)}" for name, value in request.headers.items())
    return f"{{{lua(request.method)}, {lua(request.path)}, {{{headers}}}, {lua(request.body) if request.body else 'nil'}}}"


def lua(text):
    """A Lua string of exactly these bytes."""
    text = text if isinstance(text, bytes) else str(text).encode()
    return '"' + "".join(f"\\{byte:03}" for byte in text) + '"'


def signatures(algorithm="ecdsap256"):
    """Signatures a second, by OpenSSL on one core."""
    ran = subprocess.run(
        ["openssl", "speed", "-mr", "-seconds", "1", algorithm], capture_output=True, text=True, check=True
    )
    # +F4:0:256:<seconds a signature>:<seconds a verification>, or rates, by version; +F2 for RSA
    figure = float(re.search(r"^\+F[24]:\d+:\d+:([^:]+):", ran.stdout, re.M)[1])
    return figure if figure > 1 else 1 / figure


def syncs(folder, seconds=1.0):
    """4 KiB appends, each followed by fdatasync, a second."""
    block, count = os.urandom(4096), 0
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            os.pwrite(file.fileno(), block, count * len(block))
            os.fdatasync(file.fileno())
            count += 1
    return count / seconds
