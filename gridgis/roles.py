"""What a user of a store may be; the roles of staff in grids are others (:data:`gridgis.rules.ROLES`).

Apart from the store, so that who only has to name them, as the help of a command, loads no database.
"""

from __future__ import annotations

#: What a user may be, the least first.
ROLES = ("worker", "head", "editor", "supervisor", "administrator")
ADMINISTRATOR = ROLES[-1]
#: What else has to be known of a user of a role: the id of a member of staff, or the code of a unit.
BOUND_TO = {"worker": "staff", "head": "staff", "editor": "unit"}
