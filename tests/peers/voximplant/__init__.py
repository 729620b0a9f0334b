"""The published Node.js client of the Voximplant Management API, unmodified, as npm brings it."""
import json
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = "@voximplant/apiclient-nodejs"
INSTALLED = ROOT / "build/voximplant-sdk"


def version():
    """The version that package.json asks for."""
    return json.loads((HERE / "package.json").read_text())["dependencies"][PACKAGE]


def is_installed():
    file = INSTALLED / "node_modules" / PACKAGE / "package.json"
    return file.exists() and json.loads(file.read_text())["version"] == version()


def unavailable():
    """Why the client cannot be had here, or None."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    if is_installed():
        return None
    half = INSTALLED.with_name("voximplant-sdk.new")  # so that what was interrupted is not taken for the whole
    shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(INSTALLED, ignore_errors=True)
    half.mkdir(parents=True)
    shutil.copy(HERE / "package.json", half)
    try:
        done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts",
                               "--loglevel=error"], cwd=half, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=180, check=False)
    except subprocess.TimeoutExpired:
        return f"npm did not bring {PACKAGE} within three minutes"
    if done.returncode:
        return f"npm could not bring {PACKAGE} {version()}: exit status {done.returncode}"
    half.rename(INSTALLED)
    return None if is_installed() else f"npm brought another version of {PACKAGE} than {version()}"


class Sdk:
    """One client: a Node.js process that is given calls line by line."""

    def __init__(self, credentials, host, authority, account_id=None):
        """credentials: path of the flat JSON file; authority: PEM file of the certificate authority to trust."""
        argv = ["node", str(HERE / "sdk.js"), str(credentials), host, *([str(account_id)] if account_id else [])]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      env={"NODE_PATH": str(INSTALLED / "node_modules"), "NODE_EXTRA_CA_CERTS": str(authority),
                                           "PATH": str(pathlib.Path(shutil.which("node")).parent)})
        assert self._line() == {"ready": True}

    def _line(self):
        line = self.child.stdout.readline()
        assert line, self.child.stderr.read()
        return json.loads(line)

    def call(self, method, **parameters):
        """What the client resolved to; AssertionError where it rejected."""
        self.child.stdin.write(json.dumps({"method": method, "parameters": parameters}) + "\n")
        self.child.stdin.flush()
        answer = self._line()
        assert "rejected" not in answer, answer
        return answer["resolved"]

    def stop(self):
        self.child.stdin.close()
        self.child.wait(10)
        self.child.stdout.close()
        self.child.stderr.close()
