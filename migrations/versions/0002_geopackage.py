"""The file of a store is a GeoPackage: its types, its geometry, its list of layers. Text is text on both databases."""

from __future__ import annotations

import shapely
import sqlalchemy as sa
from alembic import op

from gridgis.store import geopackage
from gridgis.store.types import SRID, Blob, Document, Shape

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: The tables of rows of revision 0001, those with places first.
PLACED = (
    "unit", "barrier", "water", "compound", "building", "house", "person", "board", "block", "border", "grid", "defect",
)  # fmt: skip
PLAIN = ("staff", "posting", "patrol", "patrol_coverage", "rule_result")
OWN = ("setting", "saved")


def upgrade() -> None:
    connection = op.get_bind()
    file = connection.dialect.name == "sqlite"
    for name in (*PLACED, *PLAIN, *OWN):
        _retype(name, sa.Text(), Document() if file else None, geometry=Blob() if file else None)
    if not file:
        return
    geopackage.make(connection)
    for name in (*PLACED, *PLAIN):
        geopackage.register(connection, name, placed=name in PLACED, srid=SRID)
    for name in PLACED:
        _rewrite(name, lambda blob: geopackage.to_blob(shapely.from_wkb(blob), SRID))
    for name in PLACED:
        table = sa.Table(name, sa.MetaData(), sa.Column("geometry", Shape()))
        geopackage.note_change(connection, table, connection.execute(sa.select(table.c.geometry)).scalars())
    _respell_times("strftime('%Y-%m-%dT%H:%M:%fZ', {0})")


def downgrade() -> None:
    connection = op.get_bind()
    file = connection.dialect.name == "sqlite"
    if file:
        _respell_times("strftime('%Y-%m-%d %H:%M:%f', {0}) || '000'")
        for name in PLACED:
            _rewrite(name, lambda blob: shapely.to_wkb(geopackage.from_blob(blob)))
        geopackage.unmake(connection)
    for name in (*PLACED, *PLAIN, *OWN):
        _retype(name, sa.String(), sa.JSON() if file else None, geometry=sa.LargeBinary() if file else None)


def _retype(name: str, text: sa.types.TypeEngine, document: sa.types.TypeEngine | None, geometry: object) -> None:
    """Give each column of text, JSON and geometry its new type; SQLite writes the table anew for that."""
    columns = sa.inspect(op.get_bind()).get_columns(name)
    with op.batch_alter_table(name) as batch:
        for column in columns:
            kind = column["type"]
            if column["name"] in ("extra", "codes", "columns"):
                if document is not None:
                    batch.alter_column(column["name"], type_=document, existing_nullable=column["nullable"])
            elif column["name"] == "geometry":
                if geometry is not None:
                    batch.alter_column("geometry", type_=geometry)
            elif isinstance(kind, sa.String):
                batch.alter_column(column["name"], type_=text, existing_nullable=column["nullable"])


def _rewrite(name: str, change: object) -> None:
    """Change every geometry of an SQLite table."""
    connection = op.get_bind()
    rows = connection.exec_driver_sql(f"SELECT row, geometry FROM {name} WHERE geometry IS NOT NULL").all()
    for row, blob in rows:
        connection.exec_driver_sql(f"UPDATE {name} SET geometry = ? WHERE row = ?", (change(blob), row))


def _respell_times(how: str) -> None:
    """Moments of patrols: from SQLAlchemy's spelling to a GeoPackage's, or back."""
    for column in ('"start"', '"end"'):
        op.get_bind().exec_driver_sql(f"UPDATE patrol SET {column} = {how.format(column)}")
