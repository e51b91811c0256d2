import psycopg

print("migrating schema 3 to 4")
psycopg.connect("host=127.23.0.9 port=5432 dbname=shop user=shop connect_timeout=3")
