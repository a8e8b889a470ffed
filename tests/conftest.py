"""What all tests stand on."""

from __future__ import annotations

import signal

# A shell lets its background jobs ignore Ctrl-C, and all that they start: tests that interrupt would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
