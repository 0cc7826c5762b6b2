"""pip: which of the user's settings it sees, and the cure for each of its failures."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from deploy import packages, say

PYTHON = Path(sys.executable)
# What pip 23 to 26 says, shortened; what can be had without a network is had from pip itself below.
SAID = {
    "the disk is full": "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    "no permission to write": "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'",
    "the file system is read-only": "ERROR: Could not install packages: [Errno 30] Read-only file system: '/x'",
    "what its hash says": "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
    "certificate is not trusted": (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL: "
        "CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate'))': /simple/numpy/\n"
        "ERROR: Could not find a version that satisfies the requirement numpy (from versions: none)\n"
        "ERROR: No matching distribution found for numpy"
    ),
    "the proxy does not let": (
        "WARNING: Retrying after connection broken by 'ProxyError('Cannot connect to proxy.', "
        "OSError('Tunnel connection failed: 407 Proxy Authentication Required'))'"
    ),
    "wants a login": "ERROR: HTTP error 403 while getting https://m/x.whl\nERROR: 403 Client Error: Forbidden",
    "the package index cannot be reached": (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...: Failed to establish a "
        "new connection: [Errno -3] Temporary failure in name resolution')': /simple/numpy/\n"
        "ERROR: No matching distribution found for numpy"
    ),
    "does not support Python 3.14.0": "ERROR: Package 'x' requires a different Python: 3.14.0 not in '<3.14'",
    "a package is not whole": "ERROR: Wheel 'numpy' located at /tmp/numpy.whl is invalid.",
    "the index does not answer, or lacks this package": (
        "ERROR: Could not find a version that satisfies the requirement numpy (from versions: none)\n"
        "ERROR: No matching distribution found for numpy"
    ),
    "has no version for Python 3.14.0 on": (
        "ERROR: Could not find a version that satisfies the requirement onnxruntime>=1.28 (from versions: 1.17.0)\n"
        "ERROR: No matching distribution found for onnxruntime>=1.28"
    ),
    "is not built for Python 3.14.0": "error: subprocess-exited-with-error\n × Building wheel did not run successfully",
    "out of memory": "MemoryError",
    "installation failed, see above": "something new",
}


@pytest.mark.parametrize("text", SAID)
def test_each_failure_has_its_own_cure(text: str) -> None:
    zh, en = packages.cure(SAID[text], 1, Path("/check out"), "3.14.0")
    assert text in en
    assert zh.startswith("安装失败")
    assert "{" not in zh + en


def test_no_two_failures_share_a_cure() -> None:
    cures = [packages.cure(said, 1, Path("/"), "3.14.0") for said in SAID.values()]
    assert len(set(cures)) == len(SAID) == len(packages._CURES) + 1


@pytest.mark.parametrize("status", [-9, 137])
def test_what_the_kernel_ended_ran_out_of_memory(status: int) -> None:
    assert "out of memory" in packages.cure("", status, Path("/"), "3.12")[1]


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing.py", "x" * 100_000)
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    return path


def said_by_pip(capsys: pytest.CaptureFixture[str], root: Path, *words: str | Path) -> str:
    with pytest.raises(say.Fatal):
        packages.pip(PYTHON, ["install", "--quiet", *words], root=root, cwd=root)
    return capsys.readouterr().err


def test_pip_itself_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("INDEX_URL", "http://127.0.0.1:1/simple"), ("RETRIES", "1"), ("FIND_LINKS", "")):
        monkeypatch.setenv(f"PIP_{name}", value)
    assert "the package index cannot be reached" in said_by_pip(capsys, tmp_path, "--target", tmp_path / "t", "thing")


def test_pip_itself_without_a_fitting_version(tmp_path: Path, wheel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ("--no-index", "--find-links", wheel.parent, "--target", tmp_path / "t")
    assert "the index has no version for Python 3." in said_by_pip(capsys, tmp_path, *source, "thing>=2")


def test_pip_itself_with_a_wrong_hash(tmp_path: Path, wheel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lock.txt").write_text(f"thing==1.0 --hash=sha256:{'0' * 64}\n")
    source = ("--no-index", "--find-links", wheel.parent, "--target", tmp_path / "t", "-r", tmp_path / "lock.txt")
    assert "not what its hash says" in said_by_pip(capsys, tmp_path, *source)


def test_pip_itself_with_a_cut_wheel(tmp_path: Path, wheel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel.write_bytes(wheel.read_bytes()[:300])
    assert "a package is not whole" in said_by_pip(capsys, tmp_path, "--no-index", "--target", tmp_path / "t", wheel)


def test_pip_itself_on_a_full_disk(
    full_disk: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(full_disk))
    assert "the disk is full" in said_by_pip(capsys, wheel.parent, "--no-index", "--target", full_disk / "t", wheel)


def test_settings_that_would_put_packages_elsewhere_are_not_seen(
    tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "none.txt"))
    monkeypatch.setenv("PIP_USER", "1")
    packages.pip(
        PYTHON, ["install", "-q", "--no-index", "--target", tmp_path / "t", wheel], root=tmp_path, cwd=tmp_path
    )
    assert (tmp_path / "t" / "thing.py").exists()
    assert not (tmp_path / "elsewhere").exists()
    assert {"PIP_TARGET", "PIP_USER"} < set(packages.ignored(PYTHON, os.environ))


def test_the_mirror_of_pip_conf_is_kept_and_the_rest_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text(
        "[global]\nindex-url = https://mirror.example/simple\ntimeout = 7\ntarget = /elsewhere\n"
        "[install]\nextra-index-url =\n  https://one.example\n  https://two.example\nuser = true\n"
    )
    for name in packages.KEPT:
        monkeypatch.delenv(packages.variable(name), raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(conf))
    monkeypatch.setenv("PIP_TIMEOUT", "9")
    seen = packages.environ(PYTHON, tmp_path)
    assert seen["PIP_INDEX_URL"] == "https://mirror.example/simple"
    assert seen["PIP_EXTRA_INDEX_URL"] == "https://one.example https://two.example"
    assert seen["PIP_TIMEOUT"] == "9", "a variable comes before pip.conf"
    assert seen["PIP_CONFIG_FILE"] == os.devnull
    assert not {"PIP_TARGET", "PIP_USER"} & set(seen)
    assert {"pip.conf: target", "pip.conf: user"} <= set(packages.ignored(PYTHON, os.environ))


def test_a_path_starts_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").touch()
    monkeypatch.setenv("PIP_CERT", "ca.pem")
    monkeypatch.setenv("PIP_INDEX_URL", "ca.pem")
    seen = packages.environ(PYTHON, tmp_path)
    assert seen["PIP_CERT"] == str(tmp_path / "ca.pem")
    assert seen["PIP_INDEX_URL"] == "ca.pem"
