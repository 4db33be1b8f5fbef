"""A machine that boots a real systemd and journald in a container (systemd-nspawn), in seconds, on a throw-away disk.

The root file system of a Debian release is built once (half a minute) and kept below CACHE; every machine runs on an overlay of
it, in its own cgroups and network, and leaves nothing behind. The host's PID 1 need not be systemd.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

CACHE = pathlib.Path(os.environ.get("BOTHENDS_BOOT_CACHE", "/var/cache/bothends/boot"))
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# The packages that a machine needs; the package under test is installed without a network.
PACKAGES = "apt,systemd,systemd-sysv,dbus,udev,iproute2,iputils-ping,procps,ca-certificates,libcap2-bin"
# A root file system built from another list must not be used.
STAMP = f"1 {PACKAGES}\n"

BOOT_WITHIN = 60
STOP_WITHIN = 20


class Trouble(Exception):
    """The machine itself is broken; this says nothing about the package."""


def mirror():
    """The Debian mirror of this host's apt."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=True)
    for uri in listed.stdout.split():
        if uri.endswith("/debian/"):
            return uri
    raise Trouble("apt on this host names no Debian mirror")


def root_file_system(suite):
    """The directory with the root file system of a Debian release, built if necessary."""
    root, stamp = CACHE / suite, CACHE / f"{suite}.made-of"
    if stamp.exists() and stamp.read_text() == STAMP:
        return root
    CACHE.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    archive = CACHE / f"{suite}.tar"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", f"--keyring={KEYRING}",
                    suite, archive, mirror()], check=True, stdin=subprocess.DEVNULL)
    root.mkdir()
    subprocess.run(["tar", "-xpf", archive, "-C", root, "--numeric-owner"], check=True)
    archive.unlink()
    (root / "etc/machine-id").write_text("")
    stamp.write_text(STAMP)
    return root


class Machine:
    """One boot of one disk. Use it as a context manager; `reboot` boots the same disk again."""

    def __init__(self, suite):
        self.suite = suite
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bothends-boot-"))
        self.name = "bothends-boot-" + self.directory.name.encode().hex()[-16:]  # a valid machine name
        self.root = self.directory / "root"
        self.nspawn = None
        self.leader = None
        self.cgroups = []

    def __enter__(self):
        try:
            disk = self.directory / "disk"
            disk.mkdir()
            self.root.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", self.name, disk], check=True)
            for part in ("upper", "work"):
                (disk / part).mkdir()
            options = f"lowerdir={root_file_system(self.suite)},upperdir={disk}/upper,workdir={disk}/work"
            subprocess.run(["mount", "-t", "overlay", "-o", options, self.name, self.root], check=True)
            self.write("/etc/hostname", "gateway\n")
            self.write("/etc/hosts", "127.0.0.1 localhost gateway\n")
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        for mounted in (self.root, self.directory / "disk"):
            subprocess.run(["umount", "-l", mounted], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def boot(self):
        """Boots, and waits until systemd has started its units."""
        self.cgroups = []
        for hierarchy in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            if pathlib.Path(hierarchy, "cgroup.procs").exists():
                self.cgroups.append(pathlib.Path(hierarchy, self.name))
                self.cgroups[-1].mkdir(exist_ok=True)

        joins = "".join(f"echo $$ > {cgroup}/cgroup.procs; " for cgroup in self.cgroups)
        nspawn = ["systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self.name}", "--register=no", "--keep-unit",
                  "--boot", "--private-network", "--console=read-only", "systemd.log_target=journal"]
        with (self.directory / "console.log").open("ab") as console:
            self.nspawn = subprocess.Popen(["sh", "-c", f'{joins}exec "$@"', "sh", *nspawn], stdin=subprocess.DEVNULL,
                                           stdout=console, stderr=console)
        try:
            self.leader = self.wait("systemd-nspawn has started its init", self.init, BOOT_WITHIN)
            self.wait("systemd has booted", lambda: self.run("systemctl", "is-system-running", check=False).output.strip()
                      in ("running", "degraded"), BOOT_WITHIN)
        except AssertionError as error:
            raise Trouble(f"{error}\n{(self.directory / 'console.log').read_text(errors='replace')[-2000:]}") from error

    def init(self):
        """The host's process id of the machine's process 1. systemd-nspawn briefly has another child, which sets it up."""
        for child in pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split():
            names = re.search(r"^NSpid:\s+(.*)$", pathlib.Path(f"/proc/{child}/status").read_text(), re.M)
            if names and len(names[1].split()) > 1 and names[1].split()[-1] == "1":
                return int(child)
        return None

    def reboot(self):
        """Powers off cleanly, and boots the same disk again."""
        self.stop()
        self.boot()

    def stop(self):
        """Powers off, cleanly if the machine still can."""
        if self.nspawn is None:
            return
        # SIGRTMIN+4 starts poweroff.target (systemd(1)).
        self.signal(self.leader, signal.SIGRTMIN + 4)
        try:
            self.nspawn.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            for pid in (self.leader, self.nspawn.pid):
                self.signal(pid, signal.SIGKILL)
            self.nspawn.wait()
        self.nspawn, self.leader = None, None
        for cgroup in self.cgroups:
            for directory, _, _ in os.walk(cgroup, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:
                    pass

    @staticmethod
    def signal(pid, number):
        try:
            if pid:
                os.kill(pid, number)
        except ProcessLookupError:
            pass

    def run(self, *command, check=True, timeout=90, environment=None):
        """Runs a command in the machine."""
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb",
                     "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_PAGER": "", **(environment or {})}
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--", "env", "-i",
                  *(f"{name}={value}" for name, value in variables.items()), *map(str, command)]
        done = subprocess.run(inside, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))} exited with {done.returncode}:\n{done.stdout}")
        return Done(done.returncode, done.stdout)

    def shell(self, script, **options):
        """Runs a script in the machine."""
        return self.run("sh", "-c", script, **options)

    def path(self, inside):
        """The host's path of a file in the machine, unless the machine has mounted something over it."""
        return self.root / str(inside).lstrip("/")

    def write(self, inside, text, mode=0o644):
        """Writes a file in the machine."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def copy(self, source, inside):
        """Copies a file of the host into the machine."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)

    def host_pid(self, inside_pid):
        """The host's process id of a process of the machine."""
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                names = re.search(r"^NSpid:\s+(.*)$", (entry / "status").read_text(), re.M)
                same = os.readlink(entry / "ns/pid") == os.readlink(f"/proc/{self.leader}/ns/pid")
            except OSError:
                continue
            if names and same and names[1].split()[-1] == str(inside_pid):
                return int(entry.name)
        raise AssertionError(f"the machine has no process {inside_pid}")

    @staticmethod
    def wait(what, condition, within=30):
        """Waits until a condition holds and returns its value; fails if it does not hold in time."""
        end = time.monotonic() + within
        last = None
        while time.monotonic() < end:
            try:
                value = condition()
                if value:
                    return value
                last = value
            except (AssertionError, OSError, IndexError, ValueError) as error:
                last = error
            time.sleep(0.1)
        raise AssertionError(f"timed out after {within} s waiting until {what} (last: {last})")


class Done:
    """A command's exit code, and its output on both streams."""

    def __init__(self, code, output):
        self.code = code
        self.output = output
