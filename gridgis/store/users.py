"""The users of an organisation: who they are, what they may do, and whether a password is theirs.

Passwords are kept as Argon2id hashes alone. Nothing here, nor the audit log, gives a hash out; a backup and a copy of
the whole store carry them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, func, insert, select, update

from gridgis.errors import InputError, NotFoundError, StoreError
from gridgis.roles import ADMINISTRATOR, BOUND_TO, ROLES
from gridgis.store import Store, audit
from gridgis.store.models import Base

_USER = Base.metadata.tables["user_account"]

#: The least and the most characters of a password.
LEAST, MOST = 12, 1024

#: The shape of an identity number, of today and of before 1999: nobody is kept by one.
_IDENTITY = re.compile(r"(?<!\d)(\d{17}[\dXx]|\d{15})(?![\dXx])")


class User(NamedTuple):
    """A user as others may see it: everything but the hash. `made_at` and `changed_at` are in UTC."""

    name: str
    display_name: str | None
    role: str
    staff: str | None
    unit: str | None
    active: bool
    made_at: datetime
    changed_at: datetime


_SEEN = [_USER.c[name] for name in User._fields]


class Users:
    """The users of an open store's organisation. Every change is one transaction, with a row in the audit log.

    Parameters
    ----------
    store : Store
    by : str
        Who changes them, for the log.
    hasher : argon2.PasswordHasher, optional
        By default argon2-cffi's own parameters (RFC 9106, low memory). A hash made with others is made anew when its
        password is verified.
    """

    def __init__(self, store: Store, by: str, hasher: PasswordHasher | None = None) -> None:
        self._store, self._by = store, by
        self._hasher = hasher or PasswordHasher()

    def add(
        self,
        name: str,
        password: str,
        *,
        role: str,
        staff: str | None = None,
        unit: str | None = None,
        display_name: str | None = None,
    ) -> User:
        """Add a user.

        Parameters
        ----------
        name : str
            Unique within the organisation, whatever the case of its letters; without spaces at its ends.
        password : str
            At least 12 characters, at most 1,024, and not the name.
        role : str
            worker, head, editor, supervisor or administrator.
        staff, unit : str, optional
            The id of a member of staff, needed for worker and head; the code of a unit, needed for editor; for no
            others. Whether there is such a row is not asked: it may be loaded later.
        display_name : str, optional
            As it is shown.

        Raises
        ------
        InputError
            One of them cannot be used; the message never has the password.
        StoreError
            There is a user of this name.
        """
        if not name or name != name.strip():
            raise InputError("a user needs a name without spaces at its ends", found=repr(name))
        bound = _bound(role, staff, unit)
        _no_identity(name=name, display_name=display_name, **bound)
        check_password(name, password)
        hashed, now = self._hasher.hash(password), _now()
        values: dict[str, Any] = {"name": name, "display_name": display_name, "role": role, **bound}
        with self._store.locked() as connection:
            names = connection.execute(select(_USER.c.name)).scalars().all()
            taken = [held for held in names if held.casefold() == name.casefold()]
            if taken:
                raise StoreError("there is a user of this name", source=self._store.name, found=repr(taken[0]))
            row = {**values, "password_hash": hashed, "active": True, "made_at": now, "changed_at": now}
            connection.execute(insert(_USER).values(row))
            audit.note(connection, self._by, "add", _USER.name, name, after={**values, "active": True})
            return User(**values, active=True, made_at=now, changed_at=now)

    def listed(self) -> list[User]:
        """All users, by name; the disabled ones too."""
        query = select(*_SEEN).order_by(_USER.c.name)
        return self._store.ask(lambda connection: [User._make(row) for row in connection.execute(query)])

    def set_role(self, name: str, role: str, *, staff: str | None = None, unit: str | None = None) -> None:
        """Make a user something else; `staff` and `unit` as :meth:`add`.

        Raises
        ------
        InputError
            The role, or what it is bound to, cannot be used.
        NotFoundError
            There is no such user.
        StoreError
            It is the last active administrator.
        """
        new = {"role": role, **_bound(role, staff, unit)}
        _no_identity(staff=staff, unit=unit)
        self._change(name, "role", new, leaves=role != ADMINISTRATOR)

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password. Errors as :meth:`add` and :meth:`set_role`."""
        check_password(name, password)
        self._change(name, "password", {"password_hash": self._hasher.hash(password)})

    def disable(self, name: str) -> None:
        """Let a user in no more. Errors as :meth:`set_role`."""
        self._change(name, "disable", {"active": False}, leaves=True)

    def enable(self, name: str) -> None:
        """Let a user in again. Errors as :meth:`set_role`."""
        self._change(name, "enable", {"active": True})

    def verify(self, name: str, password: str) -> User | None:
        """The user whose name and password these are; None where they are nobody's, or of one who is disabled.

        An unknown name costs a hash too, so that the time does not tell who is a user. It does not count failures:
        who asks has to limit them. A hash of other parameters than the present ones is made anew. Who is disabled or
        given another password while the hash is made is judged by what then holds.
        """
        held, user = self._known(name)
        while True:
            try:
                self._hasher.verify(held or _nobody(self._hasher), password[: MOST + 1])
            except (VerificationError, InvalidHashError):
                return None
            # Hashing took its time: by now the user may be disabled, or this may no longer be the user's hash.
            verified, (held, user) = held, self._known(name)
            if held == verified:
                break
        if held is None or user is None or not user.active:
            return None
        if self._hasher.check_needs_rehash(held):
            self._rehash(name, held, password)
        return user

    # --- inside -------------------------------------------------------------------------------------------------------

    def _known(self, name: str) -> tuple[str | None, User | None]:
        """A user's hash, and the user, of one moment; None for both where there is none of that name."""
        query = select(_USER.c.password_hash, *_SEEN).where(_USER.c.name == name)
        row = self._store.ask(lambda connection: connection.execute(query).one_or_none())
        return (None, None) if row is None else (str(row[0]), User._make(row[1:]))

    def _rehash(self, name: str, held: str, password: str) -> None:
        mine = (_USER.c.name == name, _USER.c.password_hash == held)
        hashed = self._hasher.hash(password)
        with self._store.locked() as connection:
            if connection.execute(update(_USER).where(*mine).values(password_hash=hashed)).rowcount:
                audit.note(connection, self._by, "rehash", _USER.name, name)

    def _change(self, name: str, what: audit.What, new: dict[str, Any], *, leaves: bool = False) -> None:
        """Change a user; with `leaves` it is no active administrator afterwards, so another one has to be there."""
        with self._store.locked() as connection:
            found = _user_row(connection, name, self._store.name)
            old = User._make(found[1:])
            if leaves and old.active and old.role == ADMINISTRATOR:
                self._another(connection, name)
            differs = {key: value for key, value in new.items() if getattr(old, key, None) != value}
            if not differs:
                return
            values = {**differs, "changed_at": _now()}
            connection.execute(update(_USER).where(_USER.c.id == found.id).values(values))
            told = {key: value for key, value in differs.items() if key != "password_hash"}
            before = {key: getattr(old, key) for key in told}
            audit.note(connection, self._by, what, _USER.name, name, before=before or None, after=told or None)

    def _another(self, connection: Connection, name: str) -> None:
        others = select(func.count()).select_from(_USER).where(
            _USER.c.role == ADMINISTRATOR, _USER.c.active, _USER.c.name != name
        )  # fmt: skip
        if not connection.execute(others).scalar():
            raise StoreError("this is the last active administrator", source=self._store.name, found=repr(name),
                             remedy="Make another one first.")  # fmt: skip


def check_password(name: str, password: str) -> None:
    """Refuse a password that is too short, too long, or the name.

    Raises
    ------
    InputError
        It says how long it is, and never the password.
    """
    if not LEAST <= len(password) <= MOST:
        raise InputError("the password cannot be used", found=f"{len(password)} characters",
                         wanted=f"{LEAST} to {MOST:,} characters")  # fmt: skip
    if password.casefold() == name.casefold():
        raise InputError("the password is the name of the user", wanted="another one")


def _bound(role: str, staff: str | None, unit: str | None) -> dict[str, str | None]:
    """What a user of a role is bound to: just what the role asks for."""
    if role not in ROLES:
        raise InputError("there is no such role", found=repr(role), wanted=", ".join(ROLES))
    given = {"staff": staff or None, "unit": unit or None}
    needed = BOUND_TO.get(role)
    for key, value in given.items():
        if (key == needed) == (value is not None):
            continue
        told = ", ".join(f"{one}: {what}" for one, what in BOUND_TO.items())
        if key == needed:
            raise InputError(f"the role {role} needs {key}", wanted=told)
        raise InputError(f"the role {role} has no {key}", wanted=told)
    return given


def _no_identity(**texts: str | None) -> None:
    for key, value in texts.items():
        if value is not None and _IDENTITY.search(value):
            raise InputError("nobody is kept by an identity number", found=f"one in {key}", wanted="another name or id")


def _user_row(connection: Connection, name: str, source: str) -> Row[Any]:
    row = connection.execute(select(_USER.c.id, *_SEEN).where(_USER.c.name == name)).one_or_none()
    if row is None:
        raise NotFoundError("there is no such user", source=source, found=repr(name))
    return row


def _now() -> datetime:
    """This moment, to the millisecond, as the store keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@cache
def _nobody(hasher: PasswordHasher) -> str:
    """A hash of nobody's password, of the cost of the others."""
    return hasher.hash("-" * LEAST)


__all__ = ["LEAST", "MOST", "User", "Users", "check_password"]
