import sqlite3

with sqlite3.connect("shop.sqlite") as database:
    database.execute("ALTER TABLE orders ADD COLUMN tax INTEGER")
