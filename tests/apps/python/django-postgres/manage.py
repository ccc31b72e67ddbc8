#!/usr/bin/env python
import sys

import ledger  # its settings
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
