#!/usr/bin/env python3
"""Runs a test program in which a bug was planted; passes only when a test case of it failed."""
import re
import subprocess
import sys

ran = subprocess.run([*sys.argv[1:], "--abort-after=1"], capture_output=True, text=True, check=False)
summary = re.search(r"test cases:\s*(\d+) \|\s*(\d+) passed \|\s*(\d+) failed", ran.stdout)
if summary is None:
    sys.exit(f"no summary of tests: the program ended with {ran.returncode}\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
caught = sorted(set(re.findall(r"TEST CASE:\s*(.*)", ran.stdout)))
if int(summary.group(3)) == 0:
    sys.exit(f"the planted bug was not caught by any of {summary.group(1)} test cases")
print(f"caught by {summary.group(3)} of {summary.group(1)}:", *caught, sep="\n  ")
