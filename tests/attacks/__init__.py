"""Our own attackers: what a hostile app tries, and how the host sees whether it got through.

``tests/attackers/`` runs in a dyno and needs nothing but Python; this runs on the host. ``catalogue.py`` lists the
attempts, ``expected.py`` which of them get through where: the one table to edit.
``python tests/attacks --sandbox NAME`` prints what gets through here, for whoever runs it.
"""

import sys
from pathlib import Path

#: The attackers' own code; its system calls serve the host as well.
ATTACKERS = Path(__file__).parents[1] / "attackers"
sys.path.append(str(ATTACKERS))
