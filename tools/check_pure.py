#!/usr/bin/env python3
"""Fails when a pure room's library needs a symbol that touches the world: sockets, files, clocks, threads, chance."""
import re
import subprocess
import sys

FORBIDDEN = re.compile(r"^(socket|sendto|sendmsg|sendmmsg|recvfrom|recvmsg|recvmmsg|bind|connect|open|open64|openat|"
                       r"fopen|fopen64|read|write|pread|pwrite|mmap|poll|epoll_\w+|pthread_create|clock_gettime|"
                       r"gettimeofday|time|nanosleep|usleep|rand|random|getenv|getrandom|RAND_\w+|"
                       r"_ZNSt6chrono\S*clock3nowEv|_ZNSt6thread\S*|_ZNSt13random_device\S*|"
                       r"_ZNSt1[3-5]basic_(if|of|f)\S*stream\S*)$")
libraries = sys.argv[1:]
if not libraries:
    sys.exit("no library given")
bad = []
for library in libraries:
    listing = subprocess.run(["nm", "-u", library], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        symbol = line.split()[-1] if line.strip() else ""
        if FORBIDDEN.match(symbol.split("@")[0]):
            bad.append(f"{library}: {symbol}")
print("\n".join(bad) or f"pure: {len(libraries)} rooms")
sys.exit(bool(bad))
