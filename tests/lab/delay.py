"""delay.py DEV MS: a TUN device that returns every packet after MS milliseconds.

Stands in for netem, which some kernels lack: route packets into DEV; they come out of DEV again.
"""
import collections
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001

name, delay = sys.argv[1], float(sys.argv[2]) / 1000
tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN_NO_PI))
held = collections.deque()  # (due, packet), oldest first
while True:
    wait = max(0, held[0][0] - time.monotonic()) if held else None
    if select.select([tun], [], [], wait)[0]:
        held.append((time.monotonic() + delay, os.read(tun, 65536)))
    while held and held[0][0] <= time.monotonic():
        os.write(tun, held.popleft()[1])
