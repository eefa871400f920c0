"""Programs of a JDK that tests start live for a second: they start without what pays off later.

The optimising compiler and the parallel collector take half of the processor time of `keytool`.
"""

import os

os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
