# SPDX-License-Identifier: Apache-2.0
"""dnsmasq as a DNS server that knows what the test says, of names under .test, and nothing else."""
import subprocess

READY = b"started, version"


class Dnsmasq:
    """On `here`, (host, port). `records` are dnsmasq's options: "srv-host=_sip._udp.far.test,a.far.test,5060,10,0"."""

    def __init__(self, here, records):
        self.here = here
        self.popen = subprocess.Popen(
            ["/usr/sbin/dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--pid-file=", "--no-resolv", "--no-hosts",
             "--bind-interfaces", f"--listen-address={here[0]}", f"--port={here[1]}", "--local=/test/",
             "--cache-size=0", *(f"--{record}" for record in records)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        said = b""
        while READY not in said:
            line = self.popen.stderr.readline()
            if not line:
                self.close()
                raise RuntimeError(f"dnsmasq did not start: {said.decode(errors='replace')}")
            said += line

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        self.popen.stderr.close()
