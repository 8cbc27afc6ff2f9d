"""Validates the OpenAPI document and sends what it allows, and what it does not, to the admin API.

Usage: fuzz.py TOLLGATE DOCUMENT [SECONDS]

Fails if an answer is a server error, or has a status, a type or a body that the document does not have.
"""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

BIN = pathlib.Path(sys.executable).parent
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % s.getsockname()[1]


def wait_for(url, process):
    for _ in range(100):
        try:
            urllib.request.urlopen(url + "/api/ready", timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    sys.exit("the gateway does not start")


def main(tollgate, document, seconds="75"):
    subprocess.run([BIN / "openapi-spec-validator", document], check=True)
    # No password: a few guesses of a fuzzer would lock it out.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TOLLGATE_") and k != "ADMIN_PASS"}
    with tempfile.TemporaryDirectory() as folder:
        admin, proxy = free_address(), free_address()
        gateway = subprocess.Popen(
            [os.path.abspath(tollgate), "local", "--quiet", "--data", folder,
             "--admin-addr", admin, "--proxy-addr", proxy], env=clean)
        try:
            wait_for("http://" + admin, gateway)
            # Hypothesis keeps a database where it is run. More than one worker fails now and
            # then on Python 3.11, whose ast module counts its depth across threads.
            done = subprocess.run(
                [BIN / "schemathesis", "--no-color", "run", "http://%s/api/openapi.json" % admin,
                 "--url", "http://" + admin, "--exclude-tag", "proxy", "--checks", CHECKS,
                 "--seed", "1", "--max-time", seconds, "--workers", "1", "--warnings", "off",
                 "--suppress-health-check", "all", "--continue-on-failure"], cwd=folder)
            stopped = gateway.poll() is not None
        finally:
            gateway.terminate()
            gateway.wait(20)
    if stopped:
        sys.exit("the gateway stopped while it was tested")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
