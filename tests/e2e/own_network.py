# SPDX-License-Identifier: Apache-2.0
"""A network of a test's own: loopback alone, with a default route, which some programs want before they register."""
import os
import subprocess
import sys

ENTERED = "SHEAF_OWN_NETWORK"
ADDRESS = "192.0.2.1"  # RFC 5737 §3: nobody's
SETUP = (["link", "set", "lo", "up"], ["address", "add", f"{ADDRESS}/32", "dev", "lo"],
         ["route", "add", "default", "dev", "lo", "src", ADDRESS])


def enter():
    """Starts this program again in a network namespace, with all that it starts. Where the machine allows none the program
    goes on in the machine's own network, and says so: what needs a default route then needs the machine's."""
    if os.environ.get(ENTERED):
        for command in SETUP:
            subprocess.run(["ip", *command], check=True)
        return
    into = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    tried = subprocess.run([*into, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        print(f"no network of its own: {tried.stderr.strip()}", file=sys.stderr)
        return
    os.environ[ENTERED] = "1"
    os.execvp(into[0], [*into, sys.executable, *sys.argv])
