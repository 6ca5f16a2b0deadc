"""Does one act as a program."""

import sys

from acts import perform

print(perform(sys.argv[1]), flush=True)
