"""Runs a test server until standard input closes, so that it cannot outlive the test however that ends."""

import contextlib
import os
import sys
import tempfile
import threading


def watch():
    sys.stdin.buffer.read()
    with contextlib.suppress(OSError):
        os.remove(f"{tempfile.gettempdir()}/ministack-{os.environ.get('GATEWAY_PORT')}.pid")
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()
sys.argv = sys.argv[1:]
if sys.argv[0] == "ministack":
    from ministack.app import main
else:
    from moto.server import main
main()
