"""The demo's stage: the lab, the AWS stand-in and the daemon, brought up and taken down again."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LAB = ROOT / "tests" / "lab" / "lab.sh"
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"
LAB_NAME = os.environ.get("LAB_NAME", "bothends")
GATEWAY = ["ip", "netns", "exec", f"{LAB_NAME}-cgw"]

# The gateway has a network of its own, so its ports are free.
STAND_IN_PORT = 4599
RECEIVER_PORT = 4600
STAND_IN = f"http://127.0.0.1:{STAND_IN_PORT}"
DAEMON = "http://127.0.0.1:9846"

# The keys of AWS's documentation. Nothing of the caller's own AWS set-up may reach the daemon.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": STAND_IN,
}


class Broken(Exception):
    """A step of the demo failed; the text says which."""


def lab(*args):
    """Runs a command of the lab; returns what it printed."""
    environment = {**os.environ, "LAB_NAME": LAB_NAME, "LAB_OWNER": str(os.getpid())}
    done = subprocess.run([LAB, *args], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise Broken(f"lab.sh {' '.join(args)} failed:\n{done.stderr.strip()}")
    return done.stdout


def fetch(url, method="GET", body=None):
    """Fetches from a server on the gateway. Returns the body, or None without an answer or with an error."""
    command = [*GATEWAY, "curl", "--silent", "--fail", "--max-time", "5", "--request", method, url]
    if body is not None:
        command += ["--header", "content-type: application/json", "--data", body]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


class Process:
    """A program on the gateway, with its output in a file."""

    def __init__(self, name, command, environment, directory):
        self.name = name
        self.log = directory / f"{name}.log"
        if not pathlib.Path(command[0]).exists():
            raise Broken(f"{command[0]} is missing: \"make demo\" builds it")
        clean = {"PATH": os.environ["PATH"], "HOME": str(directory), **environment}
        with self.log.open("wb") as output:
            self.child = subprocess.Popen([*GATEWAY, *command], env=clean, stdin=subprocess.DEVNULL,
                                          stdout=output, stderr=output, start_new_session=True)

    def ended(self):
        """Its exit code; None while it runs."""
        return self.child.poll()

    def stop(self, within=6):
        """Terminates it, and kills it if it does not end. Returns its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(within)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode

    def last_output(self, lines=15):
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Stage:
    """Everything that runs. `down` undoes `up`, however far `up` got, and may be called again."""

    def __init__(self, sink):
        self.sink = sink
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bothends-demo-"))
        self.config = self.directory / "bothends.toml"
        self.processes = []

    def start(self, name, command, environment=None):
        """Starts a program on the gateway."""
        process = Process(name, [str(part) for part in command], environment or {}, self.directory)
        self.processes.append(process)
        return process

    def start_stand_in(self):
        return self.start("aws-stand-in", [
            TARGET / "examples" / "aws-stand-in",
            "--settings", HERE / "aws.json",
            "--listen", f"127.0.0.1:{STAND_IN_PORT}",
            "--follow", f"{LAB} aws-view",
        ], {"LAB_NAME": LAB_NAME})

    def start_daemon(self):
        self.config.write_text((HERE / "bothends.toml").read_text().replace(*self.sink.instead(self.directory)))
        return self.start("bothends", [TARGET / "bothends", "run", "--config", self.config],
                          {**CREDENTIALS, "STATE_DIRECTORY": str(self.directory)})

    def start_receiver(self):
        """A receiver of webhooks, which writes them to a file."""
        return self.start("receiver", [sys.executable, HERE / "receiver.py", str(RECEIVER_PORT), self.directory / "posted"])

    def check_alive(self):
        """Fails the demo if a program has ended by itself."""
        for process in self.processes:
            if process.ended() is not None:
                raise Broken(f"{process.name} ended with exit code {process.ended()}")

    def down(self):
        while self.processes:
            self.processes.pop().stop()
        lab("down")
        shutil.rmtree(self.directory, ignore_errors=True)
