import psycopg

psycopg.connect("host=127.23.0.9 port=5432 dbname=shop user=shop connect_timeout=3")
