"""Interrupts reach what tests start, also where the tests run in the background.

A shell starts a background job with SIGINT ignored, and what ignores a signal passes that on to all
of its children: Ctrl-C in a test would then be lost.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
