#!/usr/bin/env python3
"""Runs the core groups of the Autobahn test suite against a WebSocket echo server. README.md beside this file tells more.

    run.py                     builds and runs the server crate's example `echo`
    run.py -- COMMAND ...      runs COMMAND; its first line of output must hold the ws:// URL it serves

Ends with 0 only if every case of the groups ran and none failed.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]

SUITE = "autobahntestsuite==25.10.1"
SUITE_SHA256 = "b083d6e15330fc16f3e5f0975cce2b15f21bfa0c6db09547316b1852c6dbd6df"
# autobahn as the suite itself pins it; the others as tried with Python 3.11 and 3.13.
REQUIREMENTS = [
    "autobahn==0.10.9", "Twisted[tls]==26.10.0", "txaio==2.1.0", "Jinja2==3.1.6",
    "setuptools==80.9.0",  # pkg_resources, gone from later ones
    "fissix==24.4.24",  # lib2to3, gone from Python 3.13
]
MODULES = ["_version.py", "interfaces.py", "caseset.py", "report.py", "fuzzing.py"]
GROUPS = [1, 2, 3, 4, 5, 6, 7, 10]
CASES = 247
TIME_LIMIT = 60  # seconds; a run takes about 12

# What 2to3 cannot know: (file pattern, old, new, why). Each must apply, or the script stops.
EDITS = [
    (r".*\.py", "import binascii\n", "from autobahntestsuite import python2 as binascii\n", "b2a_hex of strings"),
    (r"fuzzing\.py", "import os, json, binascii,", "from autobahntestsuite import python2 as binascii\nimport os, json,", "the same"),
    (r"case12_x_x\.py", "pkg_resources, hashlib, binascii", "pkg_resources, hashlib", "the same; its group is not run"),
    (r"case6_x_x\.py", "autobahn.websocket.utf8validator import", "autobahntestsuite.python2 import", "validates strings"),
    (r"__init__\.py", "from .case9_9_1 import *\n", "", "the suite itself does not run it"),
    (r"case\.py", "pickle.dumps(obj1) == pickle.dumps(obj2)", "obj1 == obj2", "equal objects pickle differently"),
    (r"case(6_x_x|7_7_X|7_9_X|9_7_X|12_x_x)\.py", "(object, Case, )", "(Case, )", "a base class cannot precede its own subclass"),
    (r"case10_1_1\.py", "len(self.payload) / ", "len(self.payload) // ", "a division of integers"),
    (r"fuzzing\.py", "dd.decode('utf8'", "dd.encode('latin-1').decode('utf8'", "one character per byte"),
    (r"fuzzing\.py", """c[1])).encode("utf-8"))""", "c[1])))", "reports are text files"),
    (r"fuzzing\.py", "ll.encode('utf8')", "ll", "the same"),
    (r"fuzzing\.py", "class FuzzingClientProtocol(", "from .python2 import Python2Strings\n\nclass FuzzingClientProtocol(Python2Strings, ",
     "bytes outside, strings inside"),
]

GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "autobahn",
                        help="where the suite is installed and reports go")
    parser.add_argument("command", nargs="*", help="the echo server to start instead of ours")
    options = parser.parse_args()
    python, package = install(options.work.resolve())
    command = options.command or ["cargo", "run", "--quiet", "--package", "crowfly-server", "--example", "echo"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"wss?://\S+", server.stdout.readline())
        if not url:
            sys.exit(f"error: the first line of {command} holds no ws:// URL")
        results = fuzz(python, package, url.group(), options.work.resolve() / "report")
    finally:
        server.terminate()
        server.wait()
    return judge(results, options.work.resolve() / "report")


def install(work):
    """A virtual environment with the suite's sources converted to Python 3, made again whenever this directory changes."""
    stamp = work / "stamp"
    key = hashlib.sha256(Path(__file__).read_bytes() + (HERE / "python2.py").read_bytes() + sys.version.encode()).hexdigest()
    python, package = work / "venv/bin/python", work / "suite/autobahntestsuite"
    if stamp.exists() and stamp.read_text() == key:
        return python, package
    shutil.rmtree(work, ignore_errors=True)
    venv.create(work / "venv", with_pip=True)
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *REQUIREMENTS], check=True)
    wanted = work / "suite.txt"
    wanted.write_text(f"{SUITE} --hash=sha256:{SUITE_SHA256}\n")
    subprocess.run([*pip, "download", "--no-deps", "--no-binary=:all:", "--no-build-isolation", "--dest", work, "-r", wanted], check=True)
    [archive] = work.glob("*.tar.gz")
    shutil.unpack_archive(archive, work / "sdist")
    convert(python, next((work / "sdist").iterdir()) / "autobahntestsuite", package)
    stamp.write_text(key)
    return python, package


def convert(python, source, package):
    """Copies what the fuzzing client needs, reading bytes as Latin-1 (see python2.py), and makes Python 3 of it."""
    files = [source / name for name in MODULES] + sorted((source / "case").glob("*.py"))
    (package / "case").mkdir(parents=True)
    for file in files:
        text = file.read_bytes().decode("latin-1").replace("\r\n", "\n")
        (package / file.relative_to(source)).write_text("# coding: utf-8\n" + text.replace("# coding=utf-8\n", ""), "utf-8")
    shutil.copytree(source / "testdata", package / "testdata")
    shutil.copy(HERE / "python2.py", package / "python2.py")
    (package / "__init__.py").write_text("from ._version import __version__ as version\n")
    copies = [package / file.relative_to(source) for file in files]
    subprocess.run([python, "-m", "fissix", "--write", "--nobackups", "--no-diffs", *copies], check=True, capture_output=True)
    for pattern, old, new, why in EDITS:
        hits = [copy for copy in copies if re.fullmatch(pattern, copy.name) and old in copy.read_text("utf-8")]
        if not hits:
            sys.exit(f"error: the edit of {pattern} for “{why}” does not apply to {SUITE}")
        for copy in hits:
            copy.write_text(copy.read_text("utf-8").replace(old, new), "utf-8")


def fuzz(python, package, url, report):
    """Runs the suite's fuzzing client; returns its results by case."""
    shutil.rmtree(report, ignore_errors=True)
    spec = {"outdir": str(report), "servers": [{"agent": "echo", "url": url}], "cases": [f"{group}.*" for group in GROUPS]}
    program = "import json, sys\nfrom autobahntestsuite import fuzzing\nfuzzing.startClient(json.loads(sys.argv[1]))\nfuzzing.reactor.run()"
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONWARNINGS": "ignore"}
    log = report.with_name("client.log")
    with log.open("w") as output:
        try:
            subprocess.run([python, "-c", program, json.dumps(spec)], env=environment, stdout=output, stderr=subprocess.STDOUT,
                           timeout=TIME_LIMIT, check=True)
            return json.loads((report / "index.json").read_text())["echo"]
        except (subprocess.SubprocessError, OSError, KeyError) as problem:
            sys.exit(f"error: no report from the fuzzing client: {problem!r}\n{log.read_text()[-4000:]}")


def judge(results, report):
    order = sorted(results, key=lambda case: [int(part) for part in case.split(".")])
    bad = [case for case in order if not {results[case]["behavior"], results[case]["behaviorClose"]} <= GOOD]
    for case in order:
        behavior, close = results[case]["behavior"], results[case]["behaviorClose"]
        if case in bad or behavior == "NON-STRICT":
            print(f"{case}: {behavior}, close {close}: {results[case]['remoteCloseCode']}")
    counts = ", ".join(f"{count} {name}" for name, count in Counter(result["behavior"] for result in results.values()).items())
    print(f"{SUITE}, groups {', '.join(map(str, GROUPS))}: {len(results)} cases: {counts}; reports in {report}")
    if len(results) != CASES:
        print(f"error: {CASES} cases were expected")
        return 1
    print(f"{len(results) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
